"""Writes quadratic_sums/{x,y,z}.npy and prints the sums that tests/quadratic_sums.rs expects.

Made with NumPy 2.4.6 in November 2026. To be changed only together with the numbers in the test, which come from the
derivation of the sum that the thesis misprints as its equation (A.2).
"""

from pathlib import Path

import numpy as np

rng = np.random.default_rng(0)
x, y, z = (rng.standard_normal((n, 4)) for n in (7, 7, 11))
b = 1.3
folder = Path(__file__).with_suffix("")
folder.mkdir(exist_ok=True)
for name, points in {"x": x, "y": y, "z": z}.items():
    np.save(folder / f"{name}.npy", points)

print("direct, n = m = 7      ", ((x @ y.T + b) ** 2).sum())
print("direct, n = 7, m = 11  ", ((x @ z.T + b) ** 2).sum())
print("first line as printed  ", ((x @ y.T + b * np.eye(7)) ** 2).sum())
print("last line as printed   ", ((x.T @ y) ** 2).sum() + 2 * b * (x * y).sum() + 7 * b * b)
