"""Writes the arrays of points/ that tests/points.rs reads.

Made with Python 3.11.7, NumPy 2.4.6, safetensors 0.8.0 on 2026-11-22. To be run again only when a file is added.
"""

import pathlib

import numpy as np
import safetensors.numpy

here = pathlib.Path(__file__).parent / "points"
here.mkdir(exist_ok=True)
# Exact in every type used: rows (0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11), all minus 4.
x = np.arange(12).reshape(4, 3) - 4

np.save(here / "float32.npy", x.astype("<f4"))
np.save(here / "float16.npy", x.astype("<f2"))
np.save(here / "int64.npy", x.astype("<i8"))
np.save(here / "float64-columns-big-endian.npy", np.asfortranarray(x.astype(">f8")))
np.save(here / "int16-big-endian.npy", x.astype(">i2"))
np.save(here / "one-axis.npy", x[:, 0].astype("<f8"))
np.save(here / "four-axes.npy", np.zeros((2, 3, 2, 2), "<f4"))
np.save(here / "complex.npy", x.astype("<c8"))
np.savez(here / "stored.npz", x.astype("<f4"))
np.savez_compressed(here / "several.npz", features=x.astype("<f4"), pixels=x.astype("<f8") / 2, labels=x[:, 0])
np.savez_compressed(here / "labelled.npz", features=np.asfortranarray(x.astype("<f4")), labels=x[:, 0])
safetensors.numpy.save_file(
    {"features": x.astype("<f4"), "labels": x[:, 0].astype("<i8"), "images": np.zeros((2, 3, 2, 2), "<f4")},
    here / "labelled.safetensors",
    metadata={"made": "here"},
)
