"""KID of 10,000 and 10,000 points of dimension 2048: all pairs by kme, subsets by torch-fidelity, on the same cores.

    cargo build --release
    python benches/kid.py --kme target/release/kme --json benches/results/kid.json

Needs numpy, torch and torch-fidelity. Features are normals censored at 0, in single precision. Each kme command is a whole
process with reading the files, timed by the clock; its memory is the largest resident size that the system reports, less the
features. torch-fidelity's function is timed alone, without reading anything, in the same process as this script.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np


# A small process of its own, since a child's largest size counts from the size of its parent.
METER = """
import json, resource, subprocess, sys, time
begin = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True)
seconds = time.perf_counter() - begin
kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"seconds": seconds, "megabytes": kilobytes / 1024, "printed": json.loads(done.stdout)}))
"""


def command(arguments):
    """Seconds, megabytes at most, and the JSON that a command printed."""
    found = json.loads(subprocess.run([sys.executable, "-c", METER, *arguments], stdout=subprocess.PIPE, check=True).stdout)
    return found["seconds"], found["megabytes"], found["printed"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kme", default="target/release/kme")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json")
    given = parser.parse_args()

    import torch
    import torch_fidelity
    from torch_fidelity.metric_kid import kid_features_to_metric

    torch.set_num_threads(given.threads)
    random = np.random.default_rng(0)
    draw = lambda mean: np.maximum(random.standard_normal((given.n, given.d), dtype=np.float32) + mean, 0)
    x, y = draw(np.float32(0)), draw(np.float32(0.02))
    megabytes = 2 * x.nbytes / 2**20
    rows = {}

    def note(name, seconds, memory, value, plus_minus):
        rows.setdefault(name, []).append(
            {"seconds": seconds, "megabytes_beyond_features": memory, "value": value, "plus_minus": plus_minus}
        )

    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, name) for name in ("x.npy", "y.npy")]
        for file, points in zip(files, (x, y)):
            np.save(file, points)
        base = [given.kme, "eval", *files, "--metrics", "kid", "--json", "--quiet", "--threads", str(given.threads)]
        for _ in range(given.runs):
            for name, flags in [
                ("kme, all pairs, f64", []),
                ("kme, all pairs, f32", ["--precision", "f32"]),
                ("kme, torch-fidelity's subsets, f64", ["--protocol", "torch-fidelity"]),
            ]:
                seconds, memory, found = command(base + flags)
                error = found.get("spread") if "subsets" in name else found["standard_error"]
                note(name, seconds, memory - megabytes, found["value"], error)
            begin = time.perf_counter()
            found = kid_features_to_metric(
                torch.from_numpy(y), torch.from_numpy(x), kid_subsets=100, kid_subset_size=1000, verbose=False
            )
            seconds = time.perf_counter() - begin
            mean, deviation = (float(v) for k, v in sorted(found.items()))
            note("torch-fidelity, 100 subsets of 1000", seconds, None, mean, deviation)

    reference = statistics.median(r["seconds"] for r in rows["torch-fidelity, 100 subsets of 1000"])
    print(f"n = m = {given.n}, d = {given.d}, {given.threads} threads, median of {given.runs}")
    print("| | seconds | torch-fidelity / this | MB beyond the features | KID | ± |\n|---|---|---|---|---|---|")
    for name, runs in rows.items():
        seconds = statistics.median(r["seconds"] for r in runs)
        memory = [r["megabytes_beyond_features"] for r in runs if r["megabytes_beyond_features"] is not None]
        memory = f"{max(memory):.0f}" if memory else ""
        value, error = runs[0]["value"], runs[0]["plus_minus"]
        print(f"| {name} | {seconds:.2f} | {reference / seconds:.2f} | {memory} | {value:.6f} | {error:.6f} |")
    if given.json:
        versions = {"torch": torch.__version__, "torch_fidelity": torch_fidelity.__version__, "numpy": np.__version__}
        with open(given.json, "w") as file:
            json.dump({"machine": platform.machine(), "versions": versions, **vars(given), "rows": rows}, file, indent=1)


main()
