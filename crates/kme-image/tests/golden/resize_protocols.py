"""Values of the tools' resizing on a small picture, for the test of `Protocol`.

Made on 2026-11-24 with Python 3.11.7, PyTorch 2.13.0 (CPU), torch-fidelity 0.4.0, clean-fid 0.1.35, Pillow 13.0.0,
NumPy 2.4.6:

    python resize_protocols.py > resize_protocols.txt

The picture has 3 channels, 19 rows and 23 columns, p[c, y, x] = (37 y + 101 x + 17 x y + 59 c) mod 256. Each line of the
output is: protocol height width every, a colon, and every so manyth of the resized pixels in 0 to 255, channel after
channel and row after row.

The file changes only when one of the tools' definitions does.
"""

import numpy as np
import torch
from cleanfid.resize import make_resizer
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

c, y, x = np.mgrid[0:3, 0:19, 0:23]
picture = ((37 * y + 101 * x + 17 * x * y + 59 * c) % 256).astype(np.uint8)
tensor = torch.from_numpy(picture)[None].float()


def clean_fid(size):
    resize = make_resizer("PIL", False, "bicubic", size[::-1])
    return resize(picture.transpose(1, 2, 0)).transpose(2, 0, 1)


def torch_fidelity(size):
    return interpolate_bilinear_2d_like_tensorflow1x(tensor, size=size, align_corners=False)[0].numpy()


def pytorch_fid(size):
    # On pixels in 0 to 1, as pytorch-fid does it.
    resized = torch.nn.functional.interpolate(tensor / 255, size=size, mode="bilinear", align_corners=False)
    return 255 * resized[0].numpy()


for name, resize in [("clean-fid", clean_fid), ("torch-fidelity", torch_fidelity), ("pytorch-fid", pytorch_fid)]:
    for size, every in [((7, 9), 1), ((19, 40), 23), ((38, 10), 13), ((299, 299), 4999)]:
        pixels = resize(size).ravel()[::every]
        print(name, *size, f"{every}:", *(f"{value:.9g}" for value in pixels))
