"""kme's convolutions beside PyTorch's, on the same cores in the same run.

    cargo bench -p kme-conv --bench conv --no-run      # prints the path of the program
    python benches/conv.py --program PATH [--threads 2] [--rounds 5] [--only TEXT] [--json FILE]

Row by row and round by round the two alternate. A round's time is the median of the runs in it; a row's ratio is the median over
rounds of kme / PyTorch. "Input gradient" is forward plus input gradient, "both gradients" forward plus both, as in training.
"""

import math
import statistics
import time

import torch
from beside import options, run_program, write
from torch.nn.functional import conv2d

# Seconds that a row is run for at least, as in the program.
LEAST = 0.1
PASSES = ["forward", "forward + input gradient", "forward + both gradients"]


def run_torch(geometry, runs):
    """Milliseconds of the three passes, medians of `runs`."""
    batch, inputs, outputs, height, width, kernel, stride, padding = geometry
    x = torch.sin(torch.arange(batch * inputs * height * width) * 0.7).reshape(batch, inputs, height, width)
    w = torch.sin(torch.arange(outputs * inputs * kernel * kernel) * 0.7).reshape(outputs, inputs, kernel, kernel)
    times = [[], [], []]
    cotangent = None
    begun, index = time.perf_counter(), 0
    while index <= runs or time.perf_counter() - begun < LEAST:
        for which, (needs_x, needs_w) in enumerate([(False, False), (True, False), (True, True)]):
            x.requires_grad_(needs_x)
            w.requires_grad_(needs_w)
            x.grad = w.grad = None
            start = time.perf_counter()
            y = conv2d(x, w, stride=stride, padding=padding)
            if which == 0:
                elapsed = time.perf_counter() - start
                if cotangent is None:
                    cotangent = torch.sin(torch.arange(y.numel()) * 0.7).reshape(y.shape)
            else:
                y.backward(cotangent)
                elapsed = time.perf_counter() - start
            if index > 0:
                times[which].append(elapsed * 1e3)
        index += 1
    return [statistics.median(t) for t in times]


def main():
    given = options(__doc__)
    rows = [(row["row"], row["geometry"]) for row in run_program(given, 1, given.only)]
    results = []
    print(f"| layer | {' | '.join(f'{p}: kme, PyTorch (ms), ratio' for p in PASSES)} |")
    print("|---|" + "---|" * len(PASSES))
    for name, geometry in rows:
        raw = {"row": name, "geometry": geometry, "kme_ms": [], "torch_ms": []}
        for _ in range(given.rounds):
            ours = next(row for row in run_program(given, given.runs, name) if row["row"] == name)
            forward, inputs, weights = (ours[k] for k in ["forward_ms", "input_gradient_ms", "weight_gradient_ms"])
            raw["kme_ms"].append([forward, forward + inputs, forward + inputs + weights])
            raw["torch_ms"].append(run_torch(geometry, given.runs))
        ratios = [[o[i] / t[i] for o, t in zip(raw["kme_ms"], raw["torch_ms"])] for i in range(3)]
        raw["ratio"] = [statistics.median(r) for r in ratios]
        results.append(raw)
        cells = []
        for i in range(3):
            ours, theirs = (statistics.median(t[i] for t in raw[k]) for k in ["kme_ms", "torch_ms"])
            cells.append(f"{ours:.2f}, {theirs:.2f}, {raw['ratio'][i]:.2f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    means = [math.exp(statistics.mean(math.log(r["ratio"][i]) for r in results)) for i in range(3)]
    worst = [max(r["ratio"][i] for r in results) for i in range(3)]
    print(f"| **geometric mean (worst)** | {' | '.join(f'**{m:.2f}** ({w:.2f})' for m, w in zip(means, worst))} |")
    write(given, rows=results, geometric_mean=means, worst=worst)


main()
