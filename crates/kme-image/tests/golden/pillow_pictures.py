"""Small picture files of every mode and way of packing that Pillow writes, and the red, green and blue bytes that it reads.

    python pillow_pictures.py > pillow_pictures.txt        # Pillow 13.0.0 with libtiff 4.7.2, NumPy 2.4

A line: name, height, width, the file in base64, the bytes of `Image.open(file).convert("RGB")` in hexadecimal digits; in
the place of these, `refused` where kme does not read what Pillow reads.
"""

import base64
import contextlib
import io
import os
import struct
import sys
import zlib

import numpy as np
from PIL import Image

rng = np.random.default_rng(12)
H, W = 5, 7


def picture(mode):
    if mode == "1":
        return Image.fromarray((rng.integers(0, 2, (H, W)) * 255).astype(np.uint8)).convert("1")
    if mode == "I;16":
        # Small numbers too: those above 255 are all white to Pillow.
        return Image.fromarray(rng.choice([0, 3, 100, 254, 255, 256, 40000], (H, W)).astype(np.uint16))
    if mode == "I;16B":
        return Image.frombytes(mode, (W, H), rng.choice([0, 7, 200, 255, 300], (H, W)).astype(">u2").tobytes())
    if mode == "F":
        return Image.fromarray((rng.integers(-20, 3000, (H, W)) / 10).astype(np.float32))
    if mode in ("P", "PA"):
        samples = rng.integers(0, 256, (H, W, len(mode))).astype(np.uint8)
        found = Image.frombytes(mode, (W, H), samples.tobytes())
        found.putpalette(rng.integers(0, 256, 768).astype(np.uint8).tobytes())
        return found
    samples = rng.integers(0, 256, (H, W, len(Image.new(mode, (1, 1)).getbands()))).astype(np.uint8)
    return Image.frombytes(mode, (W, H), samples.tobytes())


def line(name, file, refused=False):
    with Image.open(io.BytesIO(file)) as found:
        rgb = found.convert("RGB")
    read = "refused" if refused else rgb.tobytes().hex()
    print(name, rgb.height, rgb.width, base64.b64encode(file).decode(), read)


def saved(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


PACKED = ["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "group3", "group4", "tiff_ccitt", "lzma", "zstd"]
TAGS = [{}, {317: 2}, {266: 2}, {274: 6}, {278: 2}, {262: 0}, {284: 2}]
UNREAD = {"group3", "tiff_ccitt", "lzma", "zstd"}


def tiff():
    for mode in ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "I;16", "I;16B", "F"]:
        for packed in PACKED:
            for tags in TAGS[:1] if packed in UNREAD or mode in ("P", "PA") else TAGS[:2] if mode in ("F", "I;16B") else TAGS:
                if packed == "raw" and 284 in tags:
                    # Pillow itself writes no planes, whatever the tag says.
                    continue
                name = "-".join(["tiff", mode, packed] + [f"{tag}.{value}" for tag, value in tags.items()])
                try:
                    file = saved(picture(mode), "TIFF", compression=packed, tiffinfo=tags)
                    line(name, file, packed in UNREAD or (mode, packed) == ("LA", "jpeg"))
                except (OSError, ValueError, RuntimeError, SyntaxError):
                    # libtiff does not pack this mode so, or Pillow does not read what it wrote.
                    continue
    line("tiff-big", saved(picture("RGB"), "TIFF", big_tiff=True, compression="tiff_lzw", tiffinfo={317: 2}))


def others():
    for mode in ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]:
        line(f"png-{mode}", saved(picture(mode), "PNG"))
        if mode not in ("LA", "I;16"):
            line(f"bmp-{mode}", saved(picture(mode), "BMP"))
            line(f"gif-{mode}", saved(picture(mode), "GIF"))
        if mode in ("1", "L", "RGB", "I;16"):
            line(f"pnm-{mode}", saved(picture(mode), "PPM"))
    line("png-P-transparent", saved(picture("P"), "PNG", transparency=bytes(range(0, 250, 5))))
    line("gif-P-transparent", saved(picture("P"), "GIF", transparency=3))
    line("webp-lossless", saved(picture("RGB"), "WEBP", lossless=True))
    for mode in ["L", "RGB", "CMYK"]:
        line(f"jpeg-{mode}", saved(picture(mode), "JPEG"))


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def by_hand():
    """What Pillow does not write."""
    # Grey of 16 bits of which one level is transparent.
    samples = rng.choice([0, 9, 255, 700], (H, W)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    head = struct.pack(">IIBBBBB", W, H, 16, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"tRNS", b"\0\x09"), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    line("png-grey16-transparent", b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    # A BMP of 16 bits: 5 for each colour, and 5, 6 and 5.
    for name, masks in [("555", b""), ("565", struct.pack("<3I", 0xF800, 0x7E0, 0x1F))]:
        data = rng.integers(0, 256, (W * 16 + 31) // 32 * 4 * H).astype(np.uint8).tobytes()
        head = struct.pack("<IiiHHIIiiII", 40, W, H, 1, 16, 3 if masks else 0, len(data), 0, 0, 0, 0) + masks
        start = 14 + len(head)
        line(f"bmp-{name}", b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + data)
    # A frame inside of a larger picture, and one that does not fit into it.
    frame = saved(picture("P"), "GIF")
    at = frame.index(b",\0\0\0\0")
    for name, size, corner in [("inside", (9, 8), (1, 2)), ("beyond", (W, H), (3, 1))]:
        file = frame[:6] + struct.pack("<HH", *size) + frame[10:at + 1] + struct.pack("<HH", *corner) + frame[at + 5:]
        line(f"gif-{name}", file)
    # Comments among the samples, and largest samples that are not 255.
    line("pnm-comments", b"P2 # grey\n3 2\n# most\n100\n0 50 # half\n100\n# 7 8 9\r1 2\t99\n")
    line("pnm-bits-comments", b"P1\n4 2\n0110#1111\n1 0 0 1\n")
    for most in [1, 2, 30, 100, 254, 300, 1023, 65534]:
        words = rng.integers(0, most + 1, 3 * H * W)
        words[0] = most
        line(f"pnm-P3-{most}", b"P3 7 5 %d " % most + b" ".join(b"%d" % word for word in words))
        line(f"pnm-P6-{most}", b"P6 7 5 %d\n" % most + words.astype(">u2" if most > 255 else "u1").tobytes())
        line(f"pnm-P5-{most}", b"P5 7 5 %d\n" % most + words[: H * W].astype(">u2" if most > 255 else "u1").tobytes())
    line("pnm-P5-above", b"P5 3 1 100\n\x64\x65\xff")


with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
    tiff()
    others()
    by_hand()
sys.stdout.flush()
