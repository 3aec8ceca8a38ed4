"""`kme reduce` beside goodpoints (kernel thinning in Cython, by its authors): time and achieved MMD² on the same points.

    cargo build --release
    python benches/reduce.py --kme target/release/kme --threads 2 --json OUT.json

N standard normal points of dimension d, the Gaussian kernel with sigma = √(2d). Each program reads the same .npy and
chooses n of them; the MMD² of every choice is computed here in the same way, from double-precision sums over all pairs, and
that which `kme` prints must agree with it. Times are those of whole commands for `kme` (start, reading, the embedding of
the sample, the random subsets, writing) and of the function call alone for goodpoints:

* compresspp_kt: Compress++ with kernel thinning, which keeps √N' points, N' being the largest power of 4 up to N;
* compress_kt with the oversampling that comes nearest to n, where √N' points are too few. It is not thinned further;
* kt.thin: kernel thinning of the whole sample (--slow, since it evaluates the kernel in Python).

goodpoints uses one thread. Its kernels take no parameter but squared lengths, so sigma is given as k_params = 2 sigma².
Needs numpy and goodpoints (0.6.3).
"""

import argparse
import json
import os
import subprocess
import tempfile
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--kme", default="target/release/kme")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--points", type=int, default=20_000)
parser.add_argument("--keep", type=int, nargs="+", default=[128, 141, 1024])
parser.add_argument("--dimensions", type=int, nargs="+", default=[2, 64])
parser.add_argument("--runs", type=int, default=3)
parser.add_argument("--slow", action="store_true")
parser.add_argument("--json")
options = parser.parse_args()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(options.threads)

import numpy as np  # noqa: E402  (after the number of threads)
from goodpoints import compress, kt  # noqa: E402


def kernel(x, y, sigma):
    squares = (x * x).sum(1)[:, None] + (y * y).sum(1)[None, :] - 2 * x @ y.T
    return np.exp(-squares.clip(0) / (2 * sigma**2))


class Target:
    """The embedding of the sample at its own points, so that the MMD² of a choice costs n² values."""

    def __init__(self, x, sigma):
        self.x, self.sigma = x, sigma
        self.mean = np.concatenate([kernel(part, x, sigma).mean(1) for part in np.array_split(x, max(1, len(x) // 500))])

    def mmd2(self, indices, weights=None):
        chosen = self.x[indices]
        v = np.full(len(indices), 1 / len(indices)) if weights is None else np.array(weights)
        return v @ kernel(chosen, chosen, self.sigma) @ v - 2 * v @ self.mean[indices] + self.mean.mean()


def kme(path, n, sigma, flags):
    """Seconds, MMD², indices and weights of one command."""
    words = [options.kme, "reduce", path, "-n", str(n), "--kernel", f"gaussian:sigma={sigma}", "--json"]
    words += ["--threads", str(options.threads), *flags.split()]
    begin = time.perf_counter()
    out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - begin
    found = json.loads(out)
    return seconds, found


def goodpoints(x, n, sigma):
    """Names and functions of what goodpoints has for n points."""
    params = np.array([2 * sigma**2])
    power = int(np.floor(np.log(len(x)) / np.log(4)))
    root = 2**power
    if n <= 1.2 * root:
        yield "compresspp_kt, g = 4", lambda seed: compress.compresspp_kt(x, b"gaussian", params, g=4, num_bins=4, seed=seed)
    g = round(np.log2(n / root))
    if g > 0:
        yield f"compress_kt, g = {g}", lambda seed: compress.compress_kt(x, b"gaussian", params, g=g, num_bins=1, seed=seed)
    if options.slow:
        rounds = round(np.log2(len(x) / n))

        def k(y, points):
            return np.exp(-((points - y) ** 2).sum(1) / (2 * sigma**2))

        yield f"kt.thin, m = {rounds}", lambda seed: kt.thin(x, rounds, k, k, seed=seed)


OURS = ["--by herding", "--by herding --exchanges 1", "--by thinning", "--by thinning --compress none", "--by herding --weights optimal"]
rows = []
print(f"| d | method | points kept | seconds (best of {options.runs}) | MMD² (median) |\n|---|---|---|---|---|")


def row(d, method, kept, seconds, values):
    rows.append(dict(d=d, method=method, kept=kept, seconds=seconds, mmd2=values))
    print(f"| {d} | {method} | {kept} | {min(seconds):.2f} | {np.median(values):.3e} |", flush=True)


with tempfile.TemporaryDirectory() as folder:
    for d in options.dimensions:
        x = np.random.default_rng(0).standard_normal((options.points, d))
        path = os.path.join(folder, "x.npy")
        np.save(path, x)
        sigma = float(np.sqrt(2 * d))
        target = Target(x, sigma)
        for n in options.keep:
            for flags in OURS:
                seconds, values = [], []
                for seed in range(options.runs):
                    took, found = kme(path, n, sigma, f"{flags} --seed {seed}")
                    value = target.mmd2(found["indices"], found["weights"])
                    assert abs(found["value"] - value) < 1e-11, (found["value"], value)
                    seconds.append(took)
                    values.append(found["value"])
                row(d, f"kme {flags}", n, seconds, values)
            random = found["random_subsets"]
            print(f"| {d} | random subsets, 5 % to 95 % | {n} | | {random['low']:.3e} to {random['high']:.3e} |")
            for name, function in goodpoints(x, n, sigma):
                seconds, values = [], []
                for seed in range(options.runs):
                    begin = time.perf_counter()
                    indices = function(seed)
                    seconds.append(time.perf_counter() - begin)
                    values.append(float(target.mmd2(indices)))
                row(d, f"goodpoints {name}", len(indices), seconds, values)

if options.json:
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    with open(options.json, "w") as file:
        json.dump(dict(numpy=np.__version__, cpu=cpu, options=vars(options), rows=rows), file, indent=1)
