"""Picture files to Inception features, end to end: `kme embed` beside Pillow, clean-fid's resizer and PyTorch.

    cargo build --release
    python benches/end_to_end.py PICTURES --weights FILE [--kme target/release/kme] [--threads 2] [--runs 3] [--json FILE]

PICTURES is a folder of pictures, FILE the weights of the FID Inception in any form that kme reads. kme is timed as a whole
process that reads pictures and weights and writes the embedding; PyTorch's side from the first file to the last feature, with
the network built beforehand (weights do not change its time; pytorch-fid's definition, batches of 50 as its default), and
nothing but the resizer's work for each picture besides. Needs torch, pytorch-fid, clean-fid and Pillow.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from cleanfid.resize import build_resizer
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "crates/kme-net/tests/golden"))
from networks import NETWORKS  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("pictures", type=pathlib.Path)
parser.add_argument("--weights", required=True)
parser.add_argument("--kme", default="target/release/kme")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--runs", type=int, default=3)
parser.add_argument("--json")
given = parser.parse_args()
torch.set_num_threads(given.threads)

files = sorted(p for p in given.pictures.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
net = NETWORKS["inception"][0]().eval()
resize = build_resizer("clean")


def python():
    features = []
    net.avgpool.register_forward_hook(lambda m, i, output: features.append(output.flatten(1)))
    with torch.inference_mode():
        for first in range(0, len(files), 50):
            batch = [resize(np.array(Image.open(p).convert("RGB"))) for p in files[first : first + 50]]
            net(torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2) / 128 - 1)
    net.avgpool._forward_hooks.clear()
    assert sum(len(f) for f in features) == len(files)


def kme():
    with tempfile.TemporaryDirectory() as folder:
        command = [given.kme, "embed", str(given.pictures), "--features", f"inception={given.weights}", "--no-cache"]
        command += ["--threads", str(given.threads), "--quiet", "-o", f"{folder}/out.kme"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


seconds = {"kme": [], "PyTorch": []}
for _ in range(given.runs):
    for name, run in [("kme", kme), ("PyTorch", python)]:
        time.sleep(0.4)
        begin = time.perf_counter()
        run()
        seconds[name].append(time.perf_counter() - begin)
print(f"{len(files)} pictures, {given.threads} threads, median of {given.runs}")
for name, runs in seconds.items():
    print(f"{name}: {statistics.median(runs):.2f} s, {len(files) / statistics.median(runs):.1f} images/s")
print(f"kme / PyTorch: {statistics.median(a / b for a, b in zip(seconds['kme'], seconds['PyTorch'])):.2f}")
if given.json:
    about = {"torch": torch.__version__, "pictures": len(files), "threads": given.threads}
    with open(given.json, "w") as file:
        json.dump({"about": about, "seconds": seconds}, file, indent=1)
