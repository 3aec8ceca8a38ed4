"""Prints the table of tests/far_points.rs: MMD² of samples with far points, to 60 digits, rounded to doubles.

Made with Python 3.12 in November 2026, from nothing but its `decimal`. To be changed only together with the table.
"""

from decimal import Decimal, getcontext

getcontext().prec = 60


def samples(out, apart):
    """The samples of the test: 50 and 60 points of small fractions, one of them far; every other one `apart` to the right."""
    u = lambda i, a, m: (i * a % m) / m
    x = [(4 * u(i, 37, 101) - 2, 4 * u(i, 53, 97) - 2) for i in range(50)]
    y = [(4 * u(i, 41, 103) - 1, 4 * u(i, 59, 107) - 1) for i in range(60)]
    y[7] = (out, out)
    move = lambda z: [(p[0] + (apart if i % 2 else 0), p[1]) for i, p in enumerate(z)]
    return (move(x), move(y)) if apart else (x, y)


def distance(p, q):
    return sum((Decimal(a) - Decimal(b)) ** 2 for a, b in zip(p, q)).sqrt()


KERNELS = {
    "gaussian:sigma=1": lambda r: (-r * r / 2).exp(),
    "laplacian:scale=1": lambda r: (-r).exp(),
    "energy": lambda r: -r,
}


def mean(k, a, b, diagonal):
    values = [k(distance(p, q)) for i, p in enumerate(a) for j, q in enumerate(b) if diagonal or i != j]
    return sum(values) / len(values)


def mmd2(k, x, y, biased):
    return mean(k, x, x, biased) + mean(k, y, y, biased) - 2 * mean(k, x, y, True)


for out, apart in [(o, 0) for o in (1e4, 1e7, 1e8, 1e9, 1e10, 1e12, 1e15)] + [(1.0, a) for a in (1e6, 1e7, 1e8, 1e9)]:
    x, y = samples(out, apart)
    for kernel, biased in [("gaussian:sigma=1", True), ("laplacian:scale=1", False), ("energy", False)]:
        print(f'({out:e}, {apart:e}, "{kernel}", {str(biased).lower()}, {float(mmd2(KERNELS[kernel], x, y, biased))!r}),')
