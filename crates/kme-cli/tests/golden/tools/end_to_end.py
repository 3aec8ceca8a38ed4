"""From picture files to features, FID and KID as clean-fid, torch-fidelity and pytorch-fid find them, for `tests/tools.rs`.

Made on 2026-11-27 with Python 3.11.7, PyTorch 2.13.0 (CPU), torch-fidelity 0.4.0, clean-fid 0.1.35, pytorch-fid 0.3.0,
Pillow 13.0.0 (libjpeg-turbo 3.2.0), NumPy 2.4.6, safetensors 0.8.0:

    KME_FIXTURES=... python end_to_end.py > end_to_end.txt
    python end_to_end.py --pixels > pixels.txt

KME_FIXTURES names the folder that has nets/inception_fid2015_f16.safetensors. The files under odd/ are made by this script
too; they are remade only with --odd, since another libjpeg or zlib writes other bytes. Each line of pixels.txt is one of them:
its name, width x height, and the SHA-256 of its red, green and blue bytes as Pillow's convert("RGB") has them.

Two sets of pictures. Picture k of a size and with c channels has samples

    p[c, y, x] = ((3 + k mod 3) y + (5 + k mod 4) x + x y div (8 + k) + 80 c + 13 k) mod 256

so that the test can make it without this script. SETS says which; names that end in no size are files of odd/.
Each line of the output is: tool, set, picture, then the norm of the 2048 features and every 64th of them; or tool, fid or
kid, and the number. FID is by singular values of the centred features; KID is unbiased, on all pictures.

The file changes only when one of the tools' definitions does.
"""

import os
import sys

import numpy as np
import pytorch_fid.inception
import torch
import torch_fidelity.feature_extractor_inceptionv3 as fidelity
from cleanfid.resize import make_resizer
from PIL import Image
from safetensors.numpy import load_file

torch.set_num_threads(2)
HERE = os.path.dirname(os.path.abspath(__file__))
ODD = os.path.join(HERE, "odd")

# (height, width, channels), in the order of their numbers k.
SETS = {
    "a": [(32, 32, 3), (33, 17, 3), (299, 299, 3), (375, 500, 3), (1, 1, 3), (3, 999, 3), (32, 32, 1), (299, 299, 1),
          (64, 48, 3), (600, 450, 3), (28, 28, 1), (256, 256, 3)],
    "b": [(32, 32, 3), (17, 33, 3), (299, 299, 3), (500, 375, 3), (2, 1, 3), (999, 3, 3), (40, 32, 1), (128, 128, 3),
          "palette.png", "palette_clear.png", "one_bit.png", "grey_clear.png", "rgb_clear.png", "rgb_16.png",
          "turned.jpg", "h2v2.jpg", "h2v1.jpg", "h1v2.jpg", "h4v1.jpg", "h1v1.jpg", "progressive.jpg", "restarts.jpg", "grey.jpg",
          "cmyk.jpg", "turned.tif", "grey.pgm"],
}


def picture(k, height, width, channels):
    y, x = np.mgrid[0:height, 0:width]
    planes = [((3 + k % 3) * y + (5 + k % 4) * x + x * y // (8 + k) + 80 * c + 13 * k) % 256 for c in range(channels)]
    return np.stack(planes, -1).astype(np.uint8)


def odd():
    os.makedirs(ODD, exist_ok=True)
    rgb = Image.fromarray(picture(40, 47, 33, 3))
    smooth = Image.fromarray((picture(41, 6, 5, 3))).resize((35, 53), Image.BICUBIC)
    at = lambda name: os.path.join(ODD, name)
    palette = rgb.quantize(32)
    palette.save(at("palette.png"))
    palette.save(at("palette_clear.png"), transparency=bytes([0, 40, 80, 255, 128]))
    rgb.convert("1").save(at("one_bit.png"))
    clear = Image.fromarray(picture(42, 47, 33, 1)[..., 0])
    grey = Image.merge("LA", (rgb.convert("L"), clear))
    grey.save(at("grey_clear.png"))
    Image.merge("RGBA", (*rgb.split(), clear)).save(at("rgb_clear.png"))
    write_16(at("rgb_16.png"), (picture(43, 21, 19, 3).astype(np.uint16) << 8) + picture(44, 21, 19, 3))
    turned = Image.Exif()
    turned[0x0112] = 6
    smooth.save(at("turned.jpg"), exif=turned, quality=90, subsampling=0)
    smooth.save(at("turned.tif"), exif=turned, compression="raw")
    for name, way in [("h2v2", "4:2:0"), ("h2v1", "4:2:2"), ("h1v1", "4:4:4")]:
        rgb.save(at(name + ".jpg"), quality=60, subsampling=way)
    # Blocks in another arrangement: pictures of nothing, but files that Pillow does not write.
    rearrange(at("h2v1.jpg"), at("h1v2.jpg"), (33, 47), 0x12)
    rearrange(at("h2v2.jpg"), at("h4v1.jpg"), (23, 90), 0x41)
    rgb.save(at("progressive.jpg"), quality=80, subsampling="4:2:0", progressive=True)
    rgb.save(at("restarts.jpg"), quality=80, subsampling="4:2:0", restart_marker_blocks=2)
    rgb.convert("L").save(at("grey.jpg"), quality=75)
    rgb.convert("CMYK").save(at("cmyk.jpg"), quality=85)
    rgb.convert("L").save(at("grey.pgm"))
    # The other formats, in small: only their pixels are compared.
    small = Image.fromarray(picture(45, 13, 17, 3))
    opacity = Image.fromarray(picture(46, 13, 17, 1)[..., 0])
    clear = Image.merge("RGBA", (*small.split(), opacity))
    for name, image, ways in [
        ("lzw", small, {"compression": "tiff_lzw"}), ("deflate", small, {"compression": "tiff_adobe_deflate"}),
        ("packbits", small, {"compression": "packbits"}), ("grey", small.convert("L"), {}),
        ("cmyk", small.convert("CMYK"), {}),
        ("clear", clear, {}), ("bit", small.convert("1"), {}), ("fax", small.convert("1"), {"compression": "group4"}),
        ("big", small, {"big_tiff": True}),
    ]:
        image.save(at(name + ".tif"), **ways)
    small.save(at("colour.ppm"))
    small.convert("1").save(at("bit.pbm"))
    with open(at("text.ppm"), "w") as file:
        file.write("P3 # of text\n17 13\n255\n" + " ".join(map(str, np.asarray(small).flatten())) + "\n")
    small.save(at("colour.bmp"))
    small.quantize(16).save(at("palette.bmp"))
    small.quantize(16).save(at("colour.gif"))
    small.quantize(16).save(at("clear.gif"), transparency=3)
    small.save(at("lossless.webp"), lossless=True)
    clear.save(at("clear.webp"), lossless=True, exact=True)
    small.resize((34, 26), Image.BICUBIC).save(at("lossy.webp"), quality=80)


def pixels():
    import hashlib

    for name in sorted(os.listdir(ODD)):
        image = Image.open(os.path.join(ODD, name)).convert("RGB")
        print(name, "x".join(map(str, image.size)), hashlib.sha256(image.tobytes()).hexdigest())


def rearrange(source, target, size, sampling):
    """Another size (height, width) and other sampling factors of the first component in the header of a JPEG file."""
    with open(source, "rb") as file:
        data = bytearray(file.read())
    at = data.index(b"\xff\xc0")
    data[at + 5:at + 9] = size[0].to_bytes(2, "big") + size[1].to_bytes(2, "big")
    data[at + 11] = sampling
    with open(target, "wb") as file:
        file.write(data)


def write_16(path, samples):
    """A PNG of 16 bits, which Pillow does not write."""
    import struct
    import zlib

    height, width, _ = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    chunk = lambda kind, data: (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


# Names of the graph of 2015 for each of PyTorch's, block by block.
POOL = {"branch_pool": "tower_2_conv"}
NARROW = {"branch1x1": "conv", "branch5x5_1": "tower_conv", "branch5x5_2": "tower_conv_1", **POOL,
          **{f"branch3x3dbl_{i + 1}": "tower_1_conv" + ("", "_1", "_2")[i] for i in range(3)}}
FIRST = {"branch3x3": "conv", **{f"branch3x3dbl_{i + 1}": "tower_conv" + ("", "_1", "_2")[i] for i in range(3)}}
LONG = {"branch1x1": "conv", **POOL,
        **{f"branch7x7_{i + 1}": "tower_conv" + ("", "_1", "_2")[i] for i in range(3)},
        **{f"branch7x7dbl_{i + 1}": "tower_1_conv" + ("", "_1", "_2", "_3", "_4")[i] for i in range(5)}}
SECOND = {"branch3x3_1": "tower_conv", "branch3x3_2": "tower_conv_1",
          **{f"branch7x7x3_{i + 1}": "tower_1_conv" + ("", "_1", "_2", "_3")[i] for i in range(4)}}
WIDE = {"branch1x1": "conv", "branch3x3_1": "tower_conv", "branch3x3_2a": "tower_mixed_conv",
        "branch3x3_2b": "tower_mixed_conv_1", "branch3x3dbl_1": "tower_1_conv", "branch3x3dbl_2": "tower_1_conv_1",
        "branch3x3dbl_3a": "tower_1_mixed_conv", "branch3x3dbl_3b": "tower_1_mixed_conv_1", **POOL}
BLOCKS = [("5b", NARROW), ("5c", NARROW), ("5d", NARROW), ("6a", FIRST), ("6b", LONG), ("6c", LONG), ("6d", LONG),
          ("6e", LONG), ("7a", SECOND), ("7b", WIDE), ("7c", WIDE)]


def state():
    """The weights under PyTorch's names."""
    file = load_file(os.path.join(os.environ["KME_FIXTURES"], "nets/inception_fid2015_f16.safetensors"))
    # Some files have a dot where the graph has a stroke.
    file = {name.replace("tower.conv", "tower_conv").replace("tower_1.conv", "tower_1_conv")
                .replace("tower_2.conv", "tower_2_conv"): value.astype(np.float32) for name, value in file.items()}
    names = {"Conv2d_1a_3x3": "conv", "Conv2d_2a_3x3": "conv_1", "Conv2d_2b_3x3": "conv_2", "Conv2d_3b_1x1": "conv_3",
             "Conv2d_4a_3x3": "conv_4"}
    for i, (block, inner) in enumerate(BLOCKS):
        graph = "mixed" + (f"_{i}" if i else "")
        names.update({f"Mixed_{block}.{ours}": f"{graph}.{theirs}" for ours, theirs in inner.items()})
    found = {}
    for ours, theirs in names.items():
        weight = file[theirs + ".weight"]
        found[ours + ".conv.weight"] = weight
        found[ours + ".bn.weight"] = np.ones(len(weight), np.float32)
        found[ours + ".bn.bias"] = file[theirs + ".beta"]
        found[ours + ".bn.running_mean"] = file[theirs + ".mean"]
        found[ours + ".bn.running_var"] = file[theirs + ".var"]
        found[ours + ".bn.num_batches_tracked"] = np.array(0)
    # These weights have no logits, which nothing here asks for.
    found["fc.weight"], found["fc.bias"] = np.zeros((1008, 2048), np.float32), np.zeros(1008, np.float32)
    return {name: torch.tensor(value) for name, value in found.items()}


class Tools:
    def __init__(self):
        weights = state()
        path = os.path.join("/tmp", f"weights-{os.getpid()}.pth")
        torch.save(weights, path)
        self.fidelity = fidelity.FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=path).eval()
        os.remove(path)
        pytorch_fid.inception.load_state_dict_from_url = lambda *_, **__: weights
        self.pytorch = pytorch_fid.inception.InceptionV3([3]).eval()
        # clean-fid's network is the same in TorchScript: 299x299 pixels of 0 to 255, (x - 128)/128.
        self.bare = pytorch_fid.inception.InceptionV3([3], resize_input=False, normalize_input=False).eval()
        self.resize = make_resizer("PIL", False, "bicubic", (299, 299))

    @torch.no_grad()
    def features(self, tool, path):
        image = Image.open(path).convert("RGB")
        pixels = np.array(image)
        planes = torch.from_numpy(pixels.transpose(2, 0, 1))[None]
        if tool == "torch-fidelity":
            return self.fidelity(planes)[0][0].numpy()
        if tool == "pytorch-fid":
            import torchvision.transforms as transforms

            return self.pytorch(transforms.ToTensor()(image)[None])[0].flatten().numpy()
        resized = torch.from_numpy(self.resize(pixels).transpose(2, 0, 1))[None].float()
        return self.bare((resized - 128) / 128)[0].flatten().numpy()


def fid(x, y):
    a = (x - x.mean(0)) / np.sqrt(len(x) - 1)
    b = (y - y.mean(0)) / np.sqrt(len(y) - 1)
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * root


def kid(x, y):
    kernel = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3
    off = lambda k: (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))
    return off(kernel(x, x)) + off(kernel(y, y)) - 2 * kernel(x, y).mean()


def main():
    if "--odd" in sys.argv:
        return odd()
    if "--pixels" in sys.argv:
        return pixels()
    import tempfile

    folder = tempfile.mkdtemp()
    tools = Tools()
    for tool in ["clean-fid", "torch-fidelity", "pytorch-fid"]:
        sets = []
        for name, pictures in SETS.items():
            rows = []
            for k, what in enumerate(pictures):
                if isinstance(what, str):
                    path = os.path.join(ODD, what)
                else:
                    path = os.path.join(folder, f"{k:02}.png")
                    samples = picture(k + (20 if name == "b" else 0), *what)
                    Image.fromarray(samples[..., 0] if what[2] == 1 else samples).save(path)
                    what = "x".join(map(str, what))
                row = tools.features(tool, path).astype(np.float64)
                shown = " ".join(f"{value:.7g}" for value in [np.linalg.norm(row), *row[::64]])
                print(f"{tool} {name} {what} {shown}")
                rows.append(row)
            sets.append(np.array(rows))
        print(f"{tool} fid {fid(*sets):.9g}")
        print(f"{tool} kid {kid(*sets):.9g}")


main()
