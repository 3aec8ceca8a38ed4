"""JPEG files of kinds that cameras and editors seldom write, and what Pillow reads from them.

    python jpeg.py > jpeg.txt

Lines of: name, height, width, the file in base64, and its pixels (red, green and blue) in base64. Made with Pillow 13.0.0,
whose libjpeg-turbo is 3.2.0, and NumPy 2. Files come from Pillow's encoder where it can write them; the others from the encoder
below, whose coefficients are random numbers: what counts is how they are decoded.
"""
import base64
import io
import sys

import numpy as np
from PIL import Image, features

random = np.random.default_rng(7)


def picture(h, w, channels=3):
    """Smooth shapes with an edge and some noise."""
    y, x = np.mgrid[:h, :w]
    planes = [128 + 90 * np.sin(x / (5 + 3 * c) + c) * np.cos(y / (7 - c)) + 40 * (x + c * y > w) for c in range(channels)]
    noise = random.normal(0, 6, (h, w, channels))
    return np.clip(np.stack(planes, -1) + noise, 0, 255).astype(np.uint8).squeeze()


def saved(pixels, mode=None, **options):
    out = io.BytesIO()
    Image.fromarray(pixels, mode).save(out, "JPEG", **options)
    return out.getvalue()


def segments(file):
    """(marker, start, end) of each segment, with the data that follow a scan's header."""
    at = 2
    while at < len(file) and file[at + 1] != 0xD9:
        marker, length = file[at + 1], int.from_bytes(file[at + 2:at + 4], "big")
        end = at + 2 + length
        if marker == 0xDA:
            while not (file[end] == 0xFF and file[end + 1] not in (0, *range(0xD0, 0xD8))):
                end += 1
        yield marker, at, end
        at = end


def cut(file, scans):
    """The file without the scans after so many."""
    ends = [end for marker, _, end in segments(file) if marker == 0xDA]
    return file[:ends[scans - 1]] + b"\xff\xd9"


def scans(file):
    return sum(marker == 0xDA for marker, *_ in segments(file))


def patched(file, marker, offset, values):
    start = next(start for found, start, _ in segments(file) if found == marker)
    return file[:start + offset] + bytes(values) + file[start + offset + len(values):]


class Writer:
    """Bits of a scan, codes of a fixed length: all symbols have 8 bits but the one of ones."""

    def __init__(self):
        self.bits = []

    def put(self, value, length):
        self.bits += [(value >> i) & 1 for i in reversed(range(length))]

    def done(self):
        bits = self.bits + [1] * (-len(self.bits) % 8)
        return bytes(np.packbits(bits)).replace(b"\xff", b"\xff\x00")


# 12 DC codes of 4 bits; 176 AC codes of 8.
DC = list(range(12))
AC = [0x00, 0xF0] + [16 * run + size for run in range(16) for size in range(1, 11)]


def number(writer, value, size):
    if size:
        writer.put(value if value > 0 else value + (1 << size) - 1, size)


def block(writer, coefficients, before):
    difference = int(coefficients[0]) - before
    size = abs(difference).bit_length()
    writer.put(DC.index(size), 4)
    number(writer, difference, size)
    run = 0
    for value in map(int, coefficients[1:]):
        if value == 0:
            run += 1
            continue
        while run > 15:
            writer.put(AC.index(0xF0), 8)
            run -= 16
        size = abs(value).bit_length()
        writer.put(AC.index(16 * run + size), 8)
        number(writer, value, size)
        run = 0
    if run:
        writer.put(AC.index(0), 8)
    return int(coefficients[0])


def segment(marker, content):
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def encoded(h, w, factors, ids=None, interleaved=True, wide=False, restart=0, adobe=None, jfif=True):
    """A sequential file of random coefficients, its components with these (horizontal, vertical) factors."""
    ids = ids or list(range(1, len(factors) + 1))
    most = [max(f[axis] for f in factors) for axis in (0, 1)]
    mcus = -(-w // (8 * most[0])), -(-h // (8 * most[1]))
    quantiser = np.array([8 + 4 * (i % 9) for i in range(64)])
    if wide:
        quantiser[[0, 1, 2, 5]] = 300, 257, 400, 1000
    blocks = []
    for fx, fy in factors:
        found = np.zeros((mcus[1] * fy, mcus[0] * fx, 64), int)
        found[..., 0] = random.integers(-90, 90, found.shape[:2]) * (8 / quantiser[0]) * 1.2
        found[..., 1:12] = random.integers(-6, 7, (*found.shape[:2], 11)) * (1 if not wide else random.integers(0, 2))
        found[..., 40] = random.integers(-2, 3, found.shape[:2])
        blocks.append(found)
    out = b"\xff\xd8"
    out += segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0") if jfif else b""
    out += segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([adobe])) if adobe is not None else b""
    values = b"".join(int(q).to_bytes(1 + wide, "big") for q in quantiser)
    out += segment(0xDB, bytes([16 * wide]) + values)
    described = b"".join(bytes([i, 16 * fx + fy, 0]) for i, (fx, fy) in zip(ids, factors))
    out += segment(0xC1 if wide else 0xC0, bytes([8]) + h.to_bytes(2, "big") + w.to_bytes(2, "big") + bytes([len(ids)]) + described)
    counts = lambda *pairs: bytes(dict(pairs).get(length, 0) for length in range(1, 17))
    out += segment(0xC4, b"\x00" + counts((4, len(DC))) + bytes(DC))
    out += segment(0xC4, b"\x10" + counts((8, len(AC))) + bytes(AC))
    out += segment(0xDD, restart.to_bytes(2, "big")) if restart else b""
    groups = [list(range(len(ids)))] if interleaved else [[i] for i in range(len(ids))]
    for group in groups:
        out += segment(0xDA, bytes([len(group)]) + b"".join(bytes([ids[i], 0]) for i in group) + b"\x00\x3f\x00")
        alone = len(group) == 1
        if alone:
            fx, fy = factors[group[0]]
            size = [-(-(-(-side * f // m)) // 8) for side, f, m in ((w, fx, most[0]), (h, fy, most[1]))]
        else:
            size = mcus
        writer, before, marker = Writer(), [0] * len(ids), 0
        for i in range(size[0] * size[1]):
            if restart and i and i % restart == 0:
                out += writer.done() + bytes([0xFF, 0xD0 + marker % 8])
                writer, before, marker = Writer(), [0] * len(ids), marker + 1
            row, column = divmod(i, size[0])
            for c in group:
                fx, fy = (1, 1) if alone else factors[c]
                for y in range(fy):
                    for x in range(fx):
                        before[c] = block(writer, blocks[c][row * fy + y, column * fx + x], before[c])
        out += writer.done()
    return out + b"\xff\xd9"


def files():
    rgb = saved(picture(19, 21), quality=85, keep_rgb=True)
    yield "rgb", rgb
    yield "rgb-by-names", encoded(17, 18, [(1, 1)] * 3, ids=list(b"RGB"), jfif=False)
    cmyk = saved(picture(19, 21, 4), "CMYK", quality=85)
    yield "cmyk", cmyk
    yield "ycck", patched(cmyk, 0xEE, 15, [2])
    yield "ycck-420", encoded(21, 19, [(2, 2), (1, 1), (1, 1), (2, 2)], adobe=2, jfif=False)
    for w in range(1, 7):
        yield f"420-width-{w}", saved(picture(9, w).reshape(9, w, 3), quality=80, subsampling="4:2:0")
        yield f"422-width-{w}", saved(picture(5, w).reshape(5, w, 3), quality=80, subsampling="4:2:2")
    for h in range(1, 4):
        yield f"420-height-{h}", saved(picture(h, 20).reshape(h, 20, 3), quality=80, subsampling="4:2:0")
    sampled = {"444": (1, 1), "422": (2, 1), "420": (2, 2), "440": (1, 2), "411": (4, 1), "410": (4, 2), "441": (1, 4), "24": (2, 4)}
    for name, (fx, fy) in sampled.items():
        factors = [(fx, fy), (1, 1), (1, 1)]
        yield f"{name}", encoded(27, 37, factors)
        yield f"{name}-one-by-one", encoded(21, 19, factors, interleaved=False)
        yield f"{name}-restart", encoded(21, 37, factors, restart=2)
    yield "one-by-one-restart", encoded(21, 37, [(2, 1), (1, 1), (1, 1)], interleaved=False, restart=3)
    yield "mixed", encoded(21, 37, [(2, 2), (2, 1), (1, 2)])
    yield "wide-quantiser", encoded(19, 21, [(1, 1)] * 3, wide=True)
    yield "wide-quantiser-grey", encoded(19, 21, [(1, 1)], wide=True)
    yield "grey-with-factors", encoded(19, 21, [(2, 2)])
    yield "restart-rows", saved(picture(40, 40), quality=70, restart_marker_rows=1, progressive=True)
    # Progressive files that end early.
    whole = {
        "420": saved(picture(36, 41), quality=60, progressive=True, subsampling="4:2:0"),
        "444": saved(picture(26, 35), quality=40, progressive=True, subsampling="4:4:4"),
        "grey": saved(picture(30, 43, 1), quality=50, progressive=True),
        "narrow": saved(picture(33, 7), quality=50, progressive=True, subsampling="4:2:0"),
        "cmyk": saved(picture(19, 21, 4), "CMYK", quality=50, progressive=True),
    }
    for name, file in whole.items():
        step = {"444": 3, "narrow": 4, "cmyk": 5}.get(name, 1)
        for count in range(1, scans(file) + 1, step):
            yield f"{name}-{count}-of-{scans(file)}", cut(file, count)
    # A single component's factors mean nothing but to the rows that are looked at.
    for h in (17, 24, 25, 40):
        grey = saved(picture(h, 30, 1), quality=50, progressive=True)
        yield f"grey-with-factors-{h}", patched(cut(grey, 1), 0xC2, 11, [0x22])


def main():
    print(f"# Pillow {Image.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}", file=sys.stderr)
    for name, file in files():
        image = Image.open(io.BytesIO(file))
        pixels = np.asarray(image.convert("RGB"))
        h, w, _ = pixels.shape
        print(name, h, w, base64.b64encode(file).decode(), base64.b64encode(pixels.tobytes()).decode())


main()
