"""A small JPEG file, for the tests of damaged pictures, since the program itself writes none.

Made on 2026-11-24 with Python 3.11.7, Pillow 13.0.0, NumPy 2.4.6:

    python grey_jpeg.py              writes grey.jpg beside this script

It has 28 rows and columns, p[y, x] = (37 y + 101 x) mod 256.
"""

import pathlib

import numpy as np
from PIL import Image

y, x = np.mgrid[0:28, 0:28]
Image.fromarray(((37 * y + 101 * x) % 256).astype(np.uint8)).save(pathlib.Path(__file__).parent / "grey.jpg")
