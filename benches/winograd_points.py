"""Which points make Winograd's F(4x4, 3x3) most accurate in single precision.

    python benches/winograd_points.py

For points 0, +-a, +-b, infinity the matrices are made exactly, applied in single precision to random patches and filters of 130
channels, and compared with sums in double precision. Printed: the largest error relative to the largest result.
"""

import itertools
from fractions import Fraction as F

import numpy as np

CHANNELS, FILTERS, PATCHES = 130, 4, 400


def matrices(points):
    """A^T, G, B^T of Toom-Cook interpolation at five finite points and infinity."""
    n = len(points)
    a = [[p**i for p in points] + [F(int(i == 3))] for i in range(4)]
    g = []
    for k, p in enumerate(points):
        scale = np.prod([p - q for j, q in enumerate(points) if j != k])
        g.append([p**i / scale for i in range(3)])
    g.append([F(0), F(0), F(1)])

    def polynomial(roots):
        c = [F(1)]
        for root in roots:
            c = [F(0)] + c
            for i in range(len(c) - 1):
                c[i] -= root * c[i + 1]
        return c + [F(0)] * (n + 1 - len(c))

    b = [polynomial([q for j, q in enumerate(points) if j != k]) for k in range(n)] + [polynomial(points)]
    return [np.array([[float(x) for x in row] for row in m], dtype=np.float32) for m in (a, g, b)]


def error(points, d, g, reference):
    a, gm, b = matrices(points)
    u = np.einsum("ia,mcab,jb->ijmc", gm, g, gm).astype(np.float32)
    v = b @ d @ b.T
    m = np.zeros((FILTERS, PATCHES, 6, 6), np.float32)
    for c in range(CHANNELS):
        m += u[:, :, :, c].transpose(2, 0, 1)[:, None] * v[c][None]
    return np.abs(a @ m @ a.T - reference).max() / np.abs(reference).max()


def main():
    rng = np.random.default_rng(0)
    d = rng.uniform(-1, 1, (CHANNELS, PATCHES, 6, 6)).astype(np.float32)
    g = rng.uniform(-1, 1, (FILTERS, CHANNELS, 3, 3)).astype(np.float32)
    reference = np.zeros((FILTERS, PATCHES, 4, 4))
    for u, v in itertools.product(range(3), repeat=2):
        reference += np.einsum("mc,ctij->mtij", g[:, :, u, v].astype(float), d[:, :, u : u + 4, v : v + 4].astype(float))
    print(f"0, +-1, +-2: {error([F(0), F(1), F(-1), F(2), F(-2)], d, g, reference):.2e}")
    eighths = [F(i, 8) for i in range(3, 21)]
    found = sorted((error([F(0), a, -a, b, -b], d, g, reference), a, b) for a, b in itertools.combinations(eighths, 2))
    for worst, a, b in found[:8]:
        print(f"0, +-{a}, +-{b}: {worst:.2e}")


main()
