"""The scores of `kme eval` beside those of torch-fidelity, clean-fid and prdc on the same features.

    cargo build --release
    pip install numpy scipy scikit-learn torch torchvision torch-fidelity clean-fid prdc
    python benches/fidelity.py --kme target/release/kme

Seeded features of three kinds are given to the tools' own functions and, as .npy files in double precision, to the
command; printed are both values and their relative difference. Where a tool's matrix root is inexact, a third
value decides: the Fréchet distance from the singular values of R₁R₂ᵀ, with the triangular factors of the centred features
themselves, so that no covariance is ever formed. Ends with status 1 when a difference above 1e-6 is not the tool's.
"""

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from cleanfid.fid import frechet_distance, kernel_distance
from prdc import compute_prdc
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

parser = argparse.ArgumentParser()
parser.add_argument("--kme", default="target/release/kme")
parser.add_argument("--d", type=int, default=2048)
parser.add_argument("--subsets", type=int, default=100)
parser.add_argument("--subset-size", type=int, default=1000)
parser.add_argument("--scale", type=float, default=1.0, help="of all numbers of points")
options = parser.parse_args()
options.kme = str(Path(options.kme).resolve())
rng = np.random.default_rng(0)
d = options.d


def censored(n, shift):
    """Independent normals, cut off at 0, as Inception features look."""
    return np.maximum(rng.standard_normal((n, d)) + shift, 0)


mixing = rng.standard_normal((d, d)) * np.arange(1, d + 1)[:, None] ** -0.6


def correlated(n, shift):
    """Few directions with most of the variance, heavy tails, 2 % of dimensions that are always 0."""
    scale = np.sqrt(rng.chisquare(8, (n, 1)) / 8)
    points = np.maximum(0.2 * rng.standard_normal((n, d)) @ mixing / scale + shift, 0)
    points[:, :: 50] = 0
    return points


def n(count):
    return int(count * options.scale)


cases = {
    "censored normals, more points than dimensions": (censored, n(4000), n(3000)),
    "censored normals, fewer points than dimensions": (censored, n(1500), n(2500)),
    "correlated, heavy-tailed, dead dimensions": (correlated, n(4000), n(3000)),
}
worst = 0.0


def row(score, tool, theirs, ours, exact=None):
    global worst
    relative = lambda a, b: abs(a - b) / abs(b)
    difference, note = relative(ours, theirs), ""
    if exact is not None:
        note = f"kme {relative(ours, exact):.0e}, {tool} {relative(theirs, exact):.0e} from the third value"
        worst = max(worst, relative(ours, exact))
    else:
        worst = max(worst, difference)
    print(f"| {score} | {tool} | {theirs:.9g} | {ours:.9g} | {difference:.0e} | {note} |", flush=True)


def from_factors(x, y):
    """FID without covariances."""
    r, s = (np.linalg.qr(p - p.mean(0), mode="r") / np.sqrt(len(p) - 1) for p in (x, y))
    roots = np.linalg.svd(r @ s.T, compute_uv=False).sum()
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + (r**2).sum() + (s**2).sum() - 2 * roots


def full_kid(x, y):
    k = lambda a, b: (a @ b.T / d + 1) ** 3
    within = lambda a: (lambda g: (g.sum() - np.trace(g)) / (len(a) * (len(a) - 1)))(k(a, a))
    return within(x) + within(y) - 2 * k(x, y).mean()


def main(folder):
    def kme(*words):
        ran = subprocess.run([options.kme, "eval", *words, "--json", "--quiet"], cwd=folder, capture_output=True, text=True)
        if ran.returncode:
            sys.exit(ran.stderr)
        found = json.loads(ran.stdout)
        return {result["metric"]: result for result in found.get("results", [found])}

    tools = ["torch-fidelity", "clean-fid", "prdc", "torch", "numpy", "scipy"]
    kme_version = subprocess.run([options.kme, "--version"], capture_output=True, text=True).stdout.strip()
    print(", ".join([kme_version] + [f"{name} {version(name)}" for name in tools]))
    subset_flags = ["--subsets", str(options.subsets), "--subset-size", str(options.subset_size)]
    for name, (draw, count, other) in cases.items():
        x, y = draw(count, 0.0), draw(other, 0.05)
        np.save(folder / "x.npy", x)
        np.save(folder / "y.npy", y)
        real, fake = torch.from_numpy(x), torch.from_numpy(y)
        print(f"\n### {name.capitalize()}: d = {d}, n = {count}, m = {other}\n")
        print("| score | tool | the tool's value | kme | relative difference | |\n|---|---|---|---|---|---|")
        row("KID, all points", "NumPy", full_kid(x, y), kme("x.npy", "y.npy")["kid"]["value"])
        theirs = kid_features_to_metric(
            fake, real, kid_subsets=options.subsets, kid_subset_size=options.subset_size, verbose=False
        )
        ours = kme("x.npy", "y.npy", "--protocol", "torch-fidelity", *subset_flags)["kid"]
        row("KID, mean over subsets", "torch-fidelity", theirs["kernel_inception_distance_mean"], ours["value"])
        row("KID, std over subsets", "torch-fidelity", theirs["kernel_inception_distance_std"], ours["spread"])
        np.random.seed(1)
        theirs = kernel_distance(x, y, num_subsets=options.subsets, max_subset_size=options.subset_size)
        ours = kme("x.npy", "y.npy", "--protocol", "clean-fid", "--seed", "1", *subset_flags)["kid"]
        row("KID, mean over subsets", "clean-fid", theirs, ours["value"])

        ours, exact = kme("x.npy", "y.npy", "--metrics", "fid")["fid"]["value"], from_factors(x, y)
        theirs = fid_statistics_to_metric(fid_features_to_statistics(real), fid_features_to_statistics(fake), False)
        row("FID", "torch-fidelity", theirs["frechet_inception_distance"], ours, exact)
        statistics = [part for p in (x, y) for part in (p.mean(0), np.cov(p, rowvar=False))]
        try:
            row("FID", "clean-fid", float(frechet_distance(*statistics)), ours, exact)
        except ValueError as fault:
            print(f"| FID | clean-fid | fails: {fault} | {ours:.9g} | | |", flush=True)
        np.savez(folder / "x.npz", mu=statistics[0], sigma=statistics[1])
        ours = kme("x.npz", "y.npy", "--metrics", "fid")["fid"]["value"]
        row("FID, reference as mu and sigma", "third value", exact, ours)

        theirs = prc_features_to_metric(fake, real, verbose=False)
        ours = kme("x.npy", "y.npy", "--metrics", "precision,recall")
        for score in ("precision", "recall"):
            row(f"{score}, k = 3", "torch-fidelity", theirs[score], ours[score]["value"])
        with contextlib.redirect_stdout(io.StringIO()):
            theirs = compute_prdc(x, y, 5)
        ours = kme("x.npy", "y.npy", "--metrics", "prdc", "--neighbours", "5")
        for score, value in theirs.items():
            row(f"{score}, k = 5", "prdc", float(value), ours[score]["value"])

    logits = 2 * rng.standard_normal((n(5000), 1008))
    np.save(folder / "logits.npy", logits)
    print(f"\n### Inception score: {len(logits)} × 1008 logits\n")
    print("| score | tool | the tool's value | kme | relative difference | |\n|---|---|---|---|---|---|")
    theirs = isc_features_to_metric(torch.from_numpy(logits))
    found = kme("logits.npy", "logits.npy", "--metrics", "is", "--protocol", "torch-fidelity")["inception_score"]
    row("mean over 10 splits", "torch-fidelity", theirs["inception_score_mean"], found["value"])
    row("std over 10 splits", "torch-fidelity", theirs["inception_score_std"], found["spread"])
    print(f"\nLargest relative difference, from the third value where there is one: {worst:.1e}")


with tempfile.TemporaryDirectory() as name:
    main(Path(name))
sys.exit(worst > 1e-6)
