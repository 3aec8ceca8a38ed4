"""Known networks as feature maps beside PyTorch: pictures in memory to features, on the same cores.

    cargo bench --no-run --workspace --bench inception
    python benches/inception.py --program target/release/deps/inception-HASH [--threads 2] [--rounds 5] [--runs 3]
                                [--only inception] [--json FILE]

Needs torch, torchvision and pytorch-fid, whose definitions PyTorch runs (batch normalisation not folded, as everybody
runs them). Weights and pictures are made up by one formula on both sides, and the features are compared.
"""

import pathlib
import statistics
import sys
import time

import torch

from beside import options, run_program, write

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "crates/kme-net/tests/golden"))
from networks import NETWORKS, made_up, uniform  # noqa: E402

PICTURES = 16
BATCH = 16

# Side of the pictures and the module that gives the features; convolutional ones are averaged over positions.
FEATURES = {
    "inception": (299, "avgpool"),
    "vgg19": (224, "features"),
    "mobilenet_v2": (224, "features"),
    "squeezenet1_1": (227, "features"),
    "resnet18": (224, "avgpool"),
}


def features(name):
    """A function without arguments that gives features (PICTURES, d)."""
    side, module = FEATURES[name]
    net = NETWORKS[name][0]().eval()
    shapes = {key: list(t.shape) for key, t in net.state_dict().items() if not key.endswith("num_batches_tracked")}
    net.load_state_dict({key: made_up(key, shape).float() for key, shape in shapes.items()}, strict=False)
    pictures = torch.from_numpy(uniform(f"{name} pictures", PICTURES * 3 * side * side)).float()
    pictures = pictures.reshape(PICTURES, 3, side, side)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    found = []
    dict(net.named_modules())[module].register_forward_hook(lambda m, i, output: found.append(output))

    def run():
        found.clear()
        for batch in pictures.split(BATCH):
            if name == "inception":
                batch = batch * (255 / 128) - 1
            else:
                batch = (batch - mean.reshape(1, 3, 1, 1)) / deviation.reshape(1, 3, 1, 1)
            net(batch)
        return torch.cat([output.mean((2, 3)) for output in found])

    return run


def main():
    given = options(__doc__)
    results = []
    print("| network | kme (images/s) | PyTorch (images/s) | kme time / PyTorch time |")
    print("|---|---|---|---|")
    for name in FEATURES:
        if given.only not in name:
            continue
        raw = {"row": name, "kme_ms": [], "torch_ms": [], "difference": 0.0}
        with torch.inference_mode():
            run = features(name)
            expected = run()
            check = [expected[i].mean().item() for i in (0, -1)]
            for _ in range(given.rounds):
                (found,) = run_program(given, given.runs, name)
                raw["kme_ms"].append(found["ms"])
                times = []
                for _ in range(given.runs + 1):
                    start = time.perf_counter()
                    run()
                    times.append((time.perf_counter() - start) * 1e3)
                raw["torch_ms"].append(statistics.median(times[1:]))
                apart = max(abs(f - e) / abs(e) for f, e in zip(found["check"], check))
                assert apart < 1e-4, f"{name}: kme found {found['check']}, PyTorch {check}"
                raw["difference"] = max(raw["difference"], apart)
        raw["kme/torch"] = statistics.median(k / t for k, t in zip(raw["kme_ms"], raw["torch_ms"]))
        results.append(raw)
        speed = [PICTURES / statistics.median(raw[f"{who}_ms"]) * 1e3 for who in ["kme", "torch"]]
        print(f"| {name} | {speed[0]:.1f} | {speed[1]:.1f} | {raw['kme/torch']:.2f} |", flush=True)
    write(given, rows=results)


main()
