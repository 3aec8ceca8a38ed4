"""Power of `kme test`, of hyppo's MMD test and of goodpoints' aggregated test on the blobs problem, from the same samples.

Blobs (Gretton et al., NIPS 2012; Sutherland et al., ICLR 2017): P is a grid of standard normal laws in the plane, Q the
same grid with covariances that are stretched by a ratio and rotated by 45 degrees. The difference is at the scale of a
blob, the distances of the points at that of the grid.

    pip install hyppo goodpoints numpy scipy
    python benches/blobs_power.py --kme target/release/kme --n 256 --ratio 6 --repeats 100 [--without-hyppo]

goodpoints' test (aggregated compress-then-test, Domingo-Enrich, Dwivedi, Mackey 2023) is given as many Gaussians as `kme test`
takes by default, of lengths over the same range; n is 16 times a power of 4 for it, and nothing is compressed away. Prints rejection rates at level 0.05 with their standard errors, for P against Q and for P against P.
"""

import argparse
import contextlib
import io
import json
import pathlib
import subprocess
import tempfile

import warnings

import numpy as np
from goodpoints.ctt import actt
from scipy.spatial.distance import pdist

# It warns that few permutations give coarse p-values.
warnings.simplefilter("ignore", RuntimeWarning)


def blobs(rng, n, side, spacing, ratio):
    """n points of the grid; ratio 1 is P."""
    centres = spacing * rng.integers(0, side, (n, 2)).astype(float)
    turn = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2.0)
    return centres + rng.standard_normal((n, 2)) * np.sqrt([ratio, 1.0]) @ turn.T


def kme_p(program, folder, x, y, permutations, seed, *flags):
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    words = [program, "test", folder / "x.npy", folder / "y.npy", "--json", "--quiet"]
    words += ["--permutations", permutations, "--seed", seed, *flags]
    ran = subprocess.run([str(w) for w in words], capture_output=True, check=True)
    return json.loads(ran.stdout)["p_value"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kme", default="target/release/kme")
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--side", type=int, default=5)
    parser.add_argument("--spacing", type=float, default=10.0)
    parser.add_argument("--ratio", type=float, default=6.0)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--permutations", type=int, default=199)
    parser.add_argument("--without-hyppo", action="store_true", help="it takes seconds a test")
    given = parser.parse_args()
    program = pathlib.Path(given.kme).resolve()
    for ratio in [given.ratio, 1.0]:
        found = {"kme aggregated": [], "kme median heuristic": [], "goodpoints aggregated": []}
        if not given.without_hyppo:
            found["hyppo MMD, median heuristic"] = []
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            for repeat in range(given.repeats):
                rng = np.random.default_rng([repeat, given.n])
                x = blobs(rng, given.n, given.side, given.spacing, 1.0)
                y = blobs(rng, given.n, given.side, given.spacing, ratio)
                ours = lambda *flags: kme_p(program, folder, x, y, given.permutations, repeat, *flags)
                found["kme aggregated"].append(ours("--method", "aggregated"))
                median = ("--method", "permutation", "--kernel", "gaussian:sigma=median")
                found["kme median heuristic"].append(ours(*median))
                distances = pdist(np.concatenate([x, y]))
                ends = 0.5 * np.quantile(distances, 0.01), 2 * np.quantile(distances, 0.95)
                # exp(-r²/lam²): lam = √2·sigma
                lengths = np.sqrt(2) * np.geomspace(*ends, 8)
                level = int(np.log(given.n // 16) / np.log(4))
                weights = np.full(8, 1 / 8)
                # It prints its search for the corrected level.
                with contextlib.redirect_stdout(io.StringIO()):
                    test = actt(x, y, level, lam=lengths, weights=weights, null_seed=repeat, statistic_seed=repeat)
                # A verdict rather than a p-value: 0 where it rejects, else 1.
                found["goodpoints aggregated"].append(1.0 - test.rejects)
                if not given.without_hyppo:
                    from hyppo.ksample import MMD

                    theirs = MMD(compute_kernel="gaussian").test(
                        x, y, reps=given.permutations, workers=1, auto=False, random_state=repeat
                    )
                    found["hyppo MMD, median heuristic"].append(theirs[1])
        for name, p in found.items():
            rate = np.mean(np.array(p) <= 0.05)
            error = np.sqrt(rate * (1 - rate) / given.repeats)
            print(f"n {given.n}, ratio {ratio:g}: {name}: {rate:.3f} ± {error:.3f}", flush=True)


if __name__ == "__main__":
    main()
