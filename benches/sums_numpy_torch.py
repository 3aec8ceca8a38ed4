"""The MMD² of `cargo bench -p kme --bench sums` in NumPy and PyTorch, on the same sizes and as many threads.

    python benches/sums_numpy_torch.py --threads 2 --json OUT.json

Each computes the unbiased MMD² of two samples of n = m points of dimension d in the way it is usually written: whole
n × n matrices of inner products, the kernel applied to them. They do not compute a standard error. The best of a few
runs counts, on the clock and by the processor's time over all threads. Needs numpy and torch.
"""

import argparse
import json
import os
import time

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--n", type=int, default=8192)
parser.add_argument("--runs", type=int, default=3)
parser.add_argument("--json")
options = parser.parse_args()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(options.threads)

import numpy as np  # noqa: E402  (after the number of threads)
import torch  # noqa: E402

torch.set_num_threads(options.threads)
ALPHAS = (0.2, 0.5, 1.0, 2.0, 5.0)


def squared_distances(lib, a, b):
    aa, bb = (a * a).sum(1), (b * b).sum(1)
    return (aa[:, None] + bb[None, :] - 2 * (a @ b.T)).clip(0)


def kernel(lib, name, a, b):
    d = a.shape[1]
    if name == "poly":
        return (a @ b.T / d + 1) ** 3
    if name == "gaussian:sigma=median":
        return lib.exp(squared_distances(lib, a, b) / (-4.0 * d))
    r = squared_distances(lib, a, b)
    return sum((1 + r / (2 * alpha)) ** -alpha for alpha in ALPHAS) + a @ b.T


def mmd2(lib, name, x, y):
    n, m = len(x), len(y)
    xx = kernel(lib, name, x, x)
    within_x = (xx.sum() - xx.diagonal().sum()) / (n * (n - 1))
    del xx
    yy = kernel(lib, name, y, y)
    within_y = (yy.sum() - yy.diagonal().sum()) / (m * (m - 1))
    del yy
    return float(within_x + within_y - 2 * kernel(lib, name, x, y).mean())


def load():
    return " ".join(f"{x:.2f}" for x in os.getloadavg())


rows = []
before = load()
print(f"NumPy {np.__version__}, PyTorch {torch.__version__}, {options.threads} threads, n = m = {options.n}")
print("| library | kernel | precision | d | seconds (cpu) |\n|---|---|---|---|---|")
for d in (16, 256, 2048):
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((options.n, d)) for _ in range(2))
    for name in ("gaussian:sigma=median", "poly", "rq:alpha=0.2,0.5,1,2,5+linear"):
        for precision in ("f32", "f64"):
            for library in ("numpy", "torch"):
                dtype = {"f32": np.float32, "f64": np.float64}[precision]
                a, b, lib = x.astype(dtype), y.astype(dtype), np
                if library == "torch":
                    a, b, lib = torch.from_numpy(a), torch.from_numpy(b), torch
                seconds, cpu = [], []
                for _ in range(options.runs):
                    start, start_cpu = time.perf_counter(), time.process_time()
                    mmd2(lib, name, a, b)
                    seconds.append(time.perf_counter() - start)
                    cpu.append((time.process_time() - start_cpu) / options.threads)
                rows.append(dict(library=library, kernel=name, precision=precision, d=d, seconds=seconds, cpu_seconds=cpu))
                print(f"| {library} | `{name}` | {precision} | {d} | {min(seconds):.3f} ({min(cpu):.3f}) |", flush=True)
print(f"load {before} before, {load()} after")
if options.json:
    with open(options.json, "w") as file:
        json.dump(dict(numpy=np.__version__, torch=torch.__version__, threads=options.threads, n=options.n, rows=rows), file, indent=1)
