"""Writes evaluate.json: the scores of two samples by torch-fidelity, clean-fid and prdc, which tests/evaluate.rs expects.

Made with torch-fidelity 0.4.0, clean-fid 0.1.35, prdc 0.2, NumPy 2.4.6, SciPy 1.17.1 and PyTorch 2.13.0 in November
2026. To be changed only together with the points, which the test makes by the same rule.
"""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import torch
from cleanfid.fid import frechet_distance, kernel_distance
from prdc import compute_prdc
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric


def normals(count, seed):
    """Nearly normal numbers, the same in every language: sums of twelve numbers of a congruential generator."""
    state, numbers = seed, []
    for _ in range(count):
        total = 0
        for _ in range(12):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            total += state >> 32
        numbers.append(total / 2**32 - 6)
    return np.array(numbers)


def features(n, d, shift, seed):
    return np.maximum(normals(n * d, seed).reshape(n, d) + shift, 0)


x, y = features(200, 64, 0.0, 1), features(180, 64, 0.1, 2)
logits = 2 * normals(203 * 10, 3).reshape(203, 10)
real, fake = torch.from_numpy(x), torch.from_numpy(y)
quiet = {"verbose": False}

kid = kid_features_to_metric(fake, real, kid_subsets=20, kid_subset_size=100, **quiet)
np.random.seed(7)
clean_kid = kernel_distance(x, y, num_subsets=20, max_subset_size=100)
np.random.seed(7)
clean_kid_all = kernel_distance(x, y, num_subsets=3)
fid = fid_statistics_to_metric(fid_features_to_statistics(real), fid_features_to_statistics(fake), False)
isc = isc_features_to_metric(torch.from_numpy(logits))
in_order = isc_features_to_metric(torch.from_numpy(logits), shuffle=False)
prc = prc_features_to_metric(fake, real, **quiet)
with contextlib.redirect_stdout(io.StringIO()):
    prdc = compute_prdc(x, y, 5)
statistics = [(p.mean(0), np.cov(p, rowvar=False)) for p in (x, y)]

scores = {
    "torch_fidelity_kid_mean": kid["kernel_inception_distance_mean"],
    "torch_fidelity_kid_std": kid["kernel_inception_distance_std"],
    "clean_fid_kid_100": clean_kid,
    "clean_fid_kid_1000": clean_kid_all,
    "torch_fidelity_fid": fid["frechet_inception_distance"],
    "torch_fidelity_isc_mean": isc["inception_score_mean"],
    "torch_fidelity_isc_std": isc["inception_score_std"],
    "torch_fidelity_isc_mean_in_order": in_order["inception_score_mean"],
    "torch_fidelity_precision": prc["precision"],
    "torch_fidelity_recall": prc["recall"],
    **{f"prdc_{name}": float(value) for name, value in prdc.items()},
}
try:
    scores["clean_fid_fid"] = float(frechet_distance(*statistics[0], *statistics[1]))
except Exception as fault:  # SciPy has dropped the argument that clean-fid gives to sqrtm.
    print("clean-fid's Fréchet distance:", fault)
Path(__file__).with_suffix(".json").write_text(json.dumps(scores, indent=1) + "\n")
print(json.dumps(scores, indent=1))
