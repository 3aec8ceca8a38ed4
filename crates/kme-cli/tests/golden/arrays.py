"""Points and statistics as PyTorch and NumPy save them, for tests/points.rs.

Made on 2026-11-27 with Python 3.11.7, PyTorch 2.13.0 (CPU), NumPy 2.4.6:

    python arrays.py            writes arrays/ beside this script

The points are exact in every type used, and so are their mean and covariance. The files change only when this script does.
"""

import pathlib

import numpy as np
import torch

here = pathlib.Path(__file__).parent / "arrays"
here.mkdir(exist_ok=True)
x = torch.arange(12, dtype=torch.float64).reshape(4, 3) - 4

torch.save((x / 2).float(), here / "tensor.pt")
# Columns one after another, and not exact in single precision.
torch.save((x / 10).T.contiguous().T, here / "double.pt")
torch.save({"features": (x / 2).half(), "labels": torch.arange(4)}, here / "dictionary.pth")
torch.save({"features": (x / 2).float()}, here / "legacy.pth", _use_new_zipfile_serialization=False)

# Five points whose mean and covariance are whole numbers.
y = np.array([[0, 2, 4], [4, 0, 8], [8, 4, 4], [4, 10, 0], [4, 4, 4]], dtype="<f4")
np.save(here / "five.npy", y)
mu, sigma = y.astype("<f8").mean(0), np.cov(y.astype("<f8"), rowvar=False)
np.savez(here / "statistics.npz", mu=mu, sigma=sigma)
torch.save({"mu": torch.tensor(mu), "sigma": torch.tensor(sigma)}, here / "statistics.pt")
print(mu, sigma)
