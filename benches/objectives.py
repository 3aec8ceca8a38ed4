"""All objectives under equal conditions: trains the presets `fashion-*`, judges them alike, and prints a table.

    cargo build --release
    python benches/objectives.py --runs runs/objectives [--program target/release/kme] [--threads 2] [--only NAME]
                                 [--seeds 0,1] [--no-times] [--sheets docs/figures/objectives]

Needs Fashion-MNIST (`kme data info fashion-mnist`). Runs that are there are not trained again, and those that were cut off go
on. With several seeds, KID and FID are means over them, with the standard deviation over seeds in brackets. Seconds per step
are the median over the logged intervals of a short run of its own, without scores, sheets and checkpoints: the machine should
do nothing else then. A step is one of the generator with its steps of the critic.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

# Presets without their common beginning, with what the first column says.
PRESETS = {
    "gmmn": "GMMN, in pixels",
    "gmmn-features": "GMMN, in the very features that judge",
    "kernelized-gan-linear": "kernelized GAN, linear kernel",
    "kernelized-gan": "kernelized GAN, Gaussian",
    "kernelized-gan-rks": "kernelized GAN, 300 random features",
    "kernelized-gan-symmetric": "kernelized GAN, Gaussian, without its penalty",
    "wgan": "WGAN, clipped",
    "wgan-gp": "WGAN-GP",
    "mcgan": "McGan",
    "cramer-gan": "Cramér GAN",
    "mmd-gan-li": "MMD GAN of Li et al.",
    "mmd-gan-dot": "MMD GAN, linear",
    "mmd-gan-rbf": "MMD GAN, Gaussians",
    "mmd-gan-rq": "MMD GAN, rational quadratic + linear",
    "mmd-gan-distance": "MMD GAN, distance",
    "sn-gan": "SN-GAN",
    "smmd-gan": "Scaled MMD GAN",
    "swgan": "scaled WGAN",
    "sn-smmd-gan": "SN-SMMD GAN",
    "sn-swgan": "SN-SWGAN",
}
STEPS = 1500
FEATURES = "fashion-classifier"


def train(given, name, seed):
    run = given.runs / (name if seed == 0 else f"{name}-{seed}")
    if (run / f"samples/step-{STEPS:06}.png").exists():
        return run
    command = [given.program, "train", "--quiet", "--threads", str(given.threads), "-o", run]
    if (run / "config.toml").exists():
        command.append("--resume")
    else:
        command += [f"fashion-{name}", "--steps", str(STEPS), "--seed", str(seed)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return run


def judge(given, runs):
    """KID and FID of every run with their standard errors."""
    command = [given.program, "eval", "fashion-mnist:test", *runs, "--features", FEATURES, "--metrics", "kid,fid", "--json"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["results"]
    return {(r["candidate"], r["metric"]): (r["value"], r["standard_error"]) for r in found}


def seconds_per_step(given, name):
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder, "run")
        command = [given.program, "train", f"fashion-{name}", "-o", run, "--steps", "50", "--threads", str(given.threads)]
        command += ["--quiet", "--set", "log.every=5", "--set", "log.samples=50", "--set", "log.checkpoint=50"]
        subprocess.run([*command, "--set", "data.held_out="], check=True, stdout=subprocess.DEVNULL)
        events = [json.loads(line) for line in open(run / "events.jsonl")]
        config = (run / "config.toml").read_text()
        batch = int(next(line for line in config.splitlines() if line.startswith("batch =")).split("=")[1])
        # The first interval warms up.
        return statistics.median(batch / e["images_per_second"] for e in events[1:] if e["event"] == "step")


def cell(values, digits):
    """A value with its standard error, or a mean with the deviation over seeds in brackets."""
    if len(values) == 1:
        return f"{values[0][0]:.{digits}f} ± {values[0][1]:.{digits}f}"
    numbers = [value for value, _ in values]
    return f"{statistics.mean(numbers):.{digits}f} ({statistics.stdev(numbers):.{digits}f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=pathlib.Path, required=True)
    parser.add_argument("--program", default="target/release/kme")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--no-times", action="store_true")
    parser.add_argument("--sheets", type=pathlib.Path)
    given = parser.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",")]
    names = [name for name in PRESETS if given.only in name]
    runs = {name: [train(given, name, seed) for seed in seeds] for name in names}
    scores = judge(given, [run for some in runs.values() for run in some])
    rows = []
    for name in names:
        kid, fid = [[scores[str(run), metric] for run in runs[name]] for metric in ["kid", "fid"]]
        time = None if given.no_times else seconds_per_step(given, name)
        rows.append((statistics.mean(value for value, _ in kid), name, kid, fid, time))
        if given.sheets:
            given.sheets.mkdir(parents=True, exist_ok=True)
            sheet = given.sheets / f"{name}.png"
            subprocess.run([given.program, "sample", runs[name][0], "-n", "8", "-o", sheet, "--quiet"], check=True)
    print("| objective (`fashion-NAME`) | KID | FID | seconds per step |" + (" samples |" if given.sheets else ""))
    print("|---|---|---|---|" + ("---|" if given.sheets else ""))
    for _, name, kid, fid, time in sorted(rows):
        row = f"| {PRESETS[name]} (`{name}`) | {cell(kid, 1)} | {cell(fid, 1)} | {'' if time is None else f'{time:.3f}'} |"
        sheet = f" ![]({given.sheets.parent.name}/{given.sheets.name}/{name}.png) |" if given.sheets else ""
        print(row + sheet)


main()
