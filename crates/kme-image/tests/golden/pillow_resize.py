"""Values of Pillow's resampling filters on a small picture, for the test of `Resize`.

Made on 2026-11-22 with Python 3.11.7, Pillow 13.0.0, NumPy 2.4.6:

    python pillow_resize.py > pillow_resize.txt

The picture has 11 rows and 14 columns, p[y, x] = ((37 y + 101 x + 17 x y) mod 256) / 256, exact in f32. Each line of
the output is: filter height width, then the resized pixels row after row (mode F, clamped to [0, 1] as `Resize` does).
The sizes are odd so that no pixel's centre lies on the border between two output pixels: to which of the two a box gives
that pixel, if to any, is a matter of rounding.

The file changes only when Pillow's definition of a filter does.
"""

import numpy as np
from PIL import Image

FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

y, x = np.mgrid[0:11, 0:14]
picture = Image.fromarray((((37 * y + 101 * x + 17 * x * y) % 256) / 256).astype(np.float32))
for name, resample in FILTERS.items():
    for height, width in [(3, 5), (7, 9), (15, 3), (17, 21)]:
        pixels = np.asarray(picture.resize((width, height), resample)).clip(0, 1)
        print(name, height, width, *(f"{value:.9g}" for value in pixels.ravel()))
