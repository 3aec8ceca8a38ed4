"""Small files of torch.save and torch.jit.save, for the tests of `kme_deep::weights`.

Made on 2026-11-24 with Python 3.11.7, PyTorch 2.13.0 (CPU), NumPy 2.4.6:

    python torch_files.py            writes the folder torch/ beside this script

torch/expected.json holds, for each file, the names, shapes and numbers that torch.load (for the script: torch.jit.load)
itself gives, widened to double precision. The files whose names begin with "hostile" are never loaded: Python would run
what they name.

The files change only when this script does.
"""

import collections
import io
import json
import os
import pathlib
import pickle
import sys
import unittest.mock
import zipfile

import torch

FOLDER = pathlib.Path(__file__).parent / "torch"
FOLDER.mkdir(exist_ok=True)
expected = {}


def numbered(*shape, dtype=torch.float32, scale=0.37):
    """Numbers without a pattern that a wrong stride would keep."""
    n = int(torch.tensor(shape).prod()) if shape else 1
    x = torch.arange(n, dtype=torch.float64)
    return (torch.sin(x * x + 1) / scale).reshape(shape).to(dtype)


def state():
    """All that a state dict may hold."""
    base = numbered(4, 6)
    shared = numbered(5)
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.copy_(numbered(*p.shape, scale=0.5 + i))
    everything = collections.OrderedDict()
    for name, value in module.state_dict().items():
        everything["net." + name] = value
    everything["f16"] = numbered(3, 2, dtype=torch.float16)
    everything["bf16"] = numbered(7, dtype=torch.bfloat16)
    everything["f64"] = numbered(2, 2, dtype=torch.float64)
    everything["transposed"] = base.t()
    everything["window"] = base[1:3, 2:5]
    everything["every_second"] = base[::2, 1::2]
    everything["permuted"] = numbered(2, 3, 4).permute(2, 0, 1)
    everything["one_row"] = base[3]
    everything["repeated"] = numbered(3).expand(2, 3)
    everything["shared_a"] = shared
    everything["shared_b"] = shared
    everything["tail"] = shared[2:]
    everything["parameter"] = torch.nn.Parameter(numbered(2, 3))
    everything["scalar"] = torch.tensor(-1.5)
    everything["empty"] = torch.zeros(0, 3)
    everything["channels_last"] = numbered(1, 2, 3, 2).to(memory_format=torch.channels_last)
    everything["bytes"] = torch.tensor([0, 7, 255], dtype=torch.uint8)
    everything["shorts"] = torch.tensor([-300, 300], dtype=torch.int16)
    everything["truth"] = torch.tensor([True, False])
    return everything


def flat(value, name=""):
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from flat(inner, f"{name}.{i}" if name else str(i))


def record(name, value):
    expected[name] = {
        key: [list(t.shape), t.detach().to(torch.float64).flatten().tolist()] for key, t in flat(value)
    }


def save(name, value, **options):
    torch.save(value, FOLDER / name, **options)
    # Not weights_only: that reader of PyTorch knows protocol 2 alone.
    record(name, torch.load(FOLDER / name, weights_only=False))


torch.manual_seed(0)
save("zip.pth", state())
save("legacy.pth", state(), _use_new_zipfile_serialization=False)
save("protocol4.pth", {"a": numbered(3), "b": [numbered(2), {"c": numbered(1)}]}, pickle_protocol=4)

# A checkpoint: nested containers, numbers and texts beside tensors, what DataParallel puts before names, a counter that
# f32 cannot hold.
parallel = torch.nn.DataParallel(torch.nn.Linear(2, 2))
with torch.no_grad():
    for p in parallel.parameters():
        p.copy_(numbered(*p.shape))
optimiser = torch.optim.Adam(parallel.parameters(), lr=0.1)
parallel(torch.ones(1, 2)).sum().backward()
optimiser.step()
checkpoint = {
    "epoch": 3,
    "loss": 0.25,
    "name": "näme",
    "none": None,
    "shape": torch.Size([2, 3]),
    "device": torch.device("cpu"),
    "counter": torch.tensor([2**40 + 1]),
    "state_dict": parallel.state_dict(),
    "optimiser": optimiser.state_dict(),
}
save("checkpoint.pth", checkpoint)
save("checkpoint-legacy.pth", checkpoint, _use_new_zipfile_serialization=False)
save("parallel.pth", parallel.state_dict())
save("tensor.pth", numbered(2, 2))

# As a big-endian machine writes: the bytes of every element the other way round, and the entry that says so.
values = {"f32": numbered(3, 2), "f16": numbered(3, dtype=torch.float16), "i64": torch.tensor([1, -2])}
swapped = {}
for key, t in values.items():
    t = t.clone()
    t.untyped_storage().byteswap(t.dtype)
    swapped[key] = t
with unittest.mock.patch.object(sys, "byteorder", "big"):
    torch.save(swapped, FOLDER / "big-endian.pth")
record("big-endian.pth", torch.load(FOLDER / "big-endian.pth", weights_only=True))
assert all(torch.equal(values[k], v) for k, v in torch.load(FOLDER / "big-endian.pth", weights_only=True).items())


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 2, bias=False)
        self.register_buffer("mean", numbered(2))
        self.sizes = [1, 2, 3]

    def forward(self, x):
        return self.conv(x) - self.mean[0]


script = torch.jit.script(torch.nn.Sequential(Block(), torch.nn.ReLU()).eval())
with torch.no_grad():
    next(script.parameters()).copy_(numbered(2, 1, 2, 2))
torch.jit.save(script, str(FOLDER / "script.pt"))
# Without what only a debugger needs, which is most of the file.
with zipfile.ZipFile(FOLDER / "script.pt") as whole:
    kept = [(i.filename, whole.read(i)) for i in whole.infolist() if not i.filename.endswith(".debug_pkl")]
with zipfile.ZipFile(FOLDER / "script.pt", "w", zipfile.ZIP_STORED) as small:
    for name, content in kept:
        small.writestr(zipfile.ZipInfo(name), content)
record("script.pt", dict(torch.jit.load(str(FOLDER / "script.pt")).state_dict()))


class Hostile:
    def __reduce__(self):
        return os.system, ("touch kme-was-here",)


torch.save({"weight": numbered(2), "extra": Hostile()}, FOLDER / "hostile.pth")
torch.save({"weight": numbered(2), "extra": Hostile()}, FOLDER / "hostile-legacy.pth", _use_new_zipfile_serialization=False)
torch.save({"weight": numbered(2), "extra": Hostile()}, FOLDER / "hostile-protocol4.pth", pickle_protocol=4)
torch.save(torch.nn.Linear(2, 2), FOLDER / "hostile-module.pth")

(FOLDER / "expected.json").write_text(json.dumps(expected, sort_keys=True, separators=(",", ":"), ensure_ascii=False).replace('},"', '},\n"') + "\n")
