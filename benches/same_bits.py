"""Does this kme compute what another commit computed, to the last bit? For changes that may change words and no number.

    python benches/same_bits.py --kme target/release/kme [--only GROUP] [--threads 2]
    python benches/same_bits.py --kme OLD --record COMMIT      # writes same_bits.json anew, of the groups that ran

Runs fixed commands over all verbs and compares hashes of what they print with --json and of every file that they write with
those in same_bits.json. One line for each command: ok, or DIFFERENT and where; exit code 1 where anything differs.

Into the hashes go numbers, booleans, the names of fields and files, and texts that are data (kernels, names of metrics: KEPT).
Sentences are left out, except how many there are; so are versions, times and speeds (LEFT_OUT). Of refused input the exit code
counts, that nothing panicked, and that nothing was written.

Inputs are made here from integers, or are in the repository. Needs Python alone. The groups fashion-mnist (/usr/share/datasets)
and fixtures (KME_FIXTURES) are skipped where their data are not there.

Numbers depend on the vector instructions of the processor and on the C library: same_bits.json says on which it was recorded.
"""

import argparse
import base64
import csv
import hashlib
import io
import itertools
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent
STORED = HERE / "same_bits.json"

# Fields whose value differs from run to run, or from version to version, although what is computed is the same.
LEFT_OUT = {"seconds", "version", "images_per_second", "check_seconds", "check_fraction", "begun_in"}
# Fields of text that are data: a program would read them, or compare them with those of another result.
KEPT = set(
    """background candidate claim classes columns container crop data data_fingerprint decoder dtype estimator event features
    fingerprint fits form from generator generator.decoder held_out input kernel kernels kind layer layers logits method metric name
    names objective.features order output outputs precision preset prior protocol report resize role run sample score.features
    sha256 shard sheet source spectral standard_error_missing steps waves weighting""".split()
)
# Fields of text that are for people, or places on this machine. Where hashes are recorded, each field must be in one of the two.
WORDS = set("fault folder found inside known left_out licence looked origin originals path pixels reference remedy state what".split())


# --- What is compared ----------------------------------------------------------------------------------------------------


def short(content):
    return hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()[:10]


class Parts(dict):
    """What a command gave: for each part (a field of the JSON, a file, a column) the values in their order."""

    def __init__(self, folder):
        self.folder = folder
        self.words = set()

    def add(self, part, value):
        self.setdefault(part, []).append(value)

    def hashes(self):
        return {part: short("\n".join(values)) for part, values in sorted(self.items())}

    def json(self, where, value, field=""):
        if isinstance(value, dict):
            for key in sorted(value):
                if key not in LEFT_OUT:
                    self.json(f"{where}.{key}", value[key], key)
            if not value:
                self.add(where, "{}")
        elif isinstance(value, list):
            self.add(f"{where}[]", str(len(value)))
            for item in value:
                self.json(f"{where}[]", item, field)
        elif isinstance(value, str):
            if field not in KEPT:
                self.words.add((field, value))
            self.add(where, value.replace(str(self.folder), "") if field in KEPT else "words")
        else:
            self.add(where, repr(value))

    def table(self, where, text, delimiter):
        """Columns of a table; those of sentences are left out as in JSON."""
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
        named = any(not is_number(cell) for cell in rows[0])
        names = rows[0] if named else [str(i) for i in range(len(rows[0]))]
        if not named:  # points, whose columns are many and of one kind
            return self.add(where, "\n".join(",".join(row) for row in rows))
        for name, *column in itertools.zip_longest(names, *rows[1:], fillvalue="missing"):
            if name in LEFT_OUT:
                continue
            for cell in column:
                if not is_number(cell) and cell and name not in KEPT:
                    self.words.add((name, cell))
                self.add(f"{where}:{name}", cell if is_number(cell) or not cell or name in KEPT else "words")

    def file(self, name, content):
        kind = name.rsplit(".", 1)[-1] if "." in name.rsplit("/", 1)[-1] else ""
        if "tfevents" in name:
            self.tensorboard(re.sub(r"tfevents.*", "tfevents", name), content)
        elif kind in ("kme", "safetensors"):
            length = struct.unpack("<Q", content[:8])[0]
            header = json.loads(content[8 : 8 + length])
            for entry in header.pop("__metadata__", {}).values():
                value = json.loads(entry)
                if "begun_in" in value.get("config", {}):
                    value.pop("sha256")  # of a checkpoint; it covers that folder
                inner = Parts(self.folder)
                inner.json("", value)
                self.words |= inner.words
                self.add(f"{name}:metadata", json.dumps(inner, sort_keys=True))
            self.add(f"{name}:tensors", json.dumps(header, sort_keys=True) + short(content[8 + length :]))
        elif kind == "png":
            self.add(name, png_without_text(content))
        elif kind == "npz":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for member in archive.namelist():
                    self.add(f"{name}:{member}", short(archive.read(member)))
        elif kind == "json":
            self.json(name, json.loads(content))
        elif kind == "jsonl":
            for line in content.splitlines():
                self.json(name, json.loads(line))
        elif kind in ("csv", "tsv"):
            self.table(name, content.decode(), "\t" if kind == "tsv" else ",")
        elif kind == "toml":
            self.settings(name, content.decode())
        elif kind == "md":
            rows = [line for line in content.decode().splitlines() if line.startswith("|")]
            self.add(name, "\n".join(" ".join(numbers(row)) for row in rows))
        elif kind == "html":
            self.page(name, content.decode())
        else:
            self.add(name, short(content))

    def settings(self, name, text):
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        self.add(name, "\n".join(line for line in lines if line.split(" = ")[0] not in LEFT_OUT))

    def page(self, name, text):
        """Of the report of a run: its pictures, and the numbers of its curves but those of times."""
        for picture in re.findall(r"base64,([A-Za-z0-9+/=]+)", text):
            self.add(f"{name}:pictures", short(base64.b64decode(picture)))
        for curve in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
            title, _, drawn = curve.partition("</title>")
            title = title.split(">")[-1].replace(" ", "_")
            if title not in LEFT_OUT and not title.endswith("per_second"):
                self.add(f"{name}:curves", " ".join(numbers(drawn)))

    def tensorboard(self, name, content):
        """Records but their times, lengths and checksums, and but those of LEFT_OUT."""
        at = 0
        while at < len(content):
            length = struct.unpack("<Q", content[at : at + 8])[0]
            record = content[at + 12 : at + 12 + length]
            at += length + 16
            assert record[0] == 9, "a record begins with its time"
            if not any(word.encode() in record for word in LEFT_OUT):
                self.add(name, short(record[9:]))


def is_number(text):
    try:
        float(text)
        return True
    except ValueError:
        return False


def numbers(text):
    return re.findall(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?", text)


def png_without_text(content):
    kept, at = [], 8
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        if kind not in (b"tEXt", b"zTXt", b"iTXt", b"tIME"):
            kept.append(content[at : at + 12 + length])
        at += length + 12
    return short(b"".join(kept))


# --- Inputs ----------------------------------------------------------------------------------------------------------------


class Draws:
    """Numbers from a linear congruential generator (Knuth's MMIX): the same in any version of anything."""

    def __init__(self, seed):
        self.state = seed

    def integer(self, below):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % below

    def normal(self):
        """About normal, and a multiple of 2^-20: twelve uniforms, whose sum is exact."""
        return sum(self.integer(2**20) for _ in range(12)) / 2**20 - 6


def points(seed, n, d, shift=0.0, spread=1.0):
    draws = Draws(seed)
    return [[draws.normal() * spread + shift for _ in range(d)] for _ in range(n)]


def unit(row):
    length = sum(value * value for value in row) ** 0.5
    return [value / length for value in row]


def npy(rows, kind="<f8", shape=None):
    flat = [value for row in rows for value in row]
    shape = shape or (len(rows), len(rows[0]))
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    code = {"<f8": "d", "<f4": "f", "|u1": "B"}[kind]
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(flat)}{code}", *flat)


def png(width, height, channels, bytes_):
    """Stored, not compressed, so that the file does not depend on zlib's version."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    row = width * channels
    lines = b"".join(b"\0" + bytes_[y * row : (y + 1) * row] for y in range(height))
    colour = {1: 0, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 0)) + chunk(b"IEND", b"")


def shape_picture(draws, kind, width=28, height=28, channels=1):
    """A disc, a frame or a cross, light on black with some noise."""
    cx, cy = width // 3 + draws.integer(width // 3), height // 3 + draws.integer(height // 3)
    radius, light = 3 + draws.integer(min(width, height) // 4), [120 + draws.integer(130) for _ in range(channels)]
    out = bytearray()
    for y in range(height):
        for x in range(width):
            dx, dy = abs(x - cx), abs(y - cy)
            inside = {
                "disc": dx * dx + dy * dy <= radius * radius,
                "frame": radius - 2 <= max(dx, dy) <= radius,
                "cross": min(dx, dy) <= 1 and max(dx, dy) <= radius,
            }[kind]
            out += bytes((value if inside else 0) + draws.integer(6) for value in light)
    return bytes(out)


def make_points():
    out = {
        "x.npy": npy(points(1, 300, 3)),
        "y.npy": npy(points(2, 260, 3, 0.3)),
        "z.npy": npy(points(3, 280, 3, 0.6)),
        "u.npy": npy(points(4, 300, 3, 0.1)),
        "x32.npy": npy(points(5, 400, 8), "<f4"),
        "y32.npy": npy(points(6, 350, 8, 0.2), "<f4"),
        "wide.npy": npy(points(7, 120, 70), "<f4"),
        "wide2.npy": npy(points(8, 140, 70, 0.1), "<f4"),
        "unit.npy": npy([unit(row) for row in points(18, 100, 4)]),
        "unit2.npy": npy([unit(row) for row in points(19, 90, 4, 0.2)]),
        "far.npy": npy(points(9, 90, 2, 1e6, 1e-3)),
        "far2.npy": npy(points(10, 80, 2, 1e6, 1e-3)),
        "many.npy": npy(points(11, 3000, 2)),
        "many2.npy": npy(points(12, 2500, 2, 0.05)),
        "logits.npy": npy(points(13, 200, 10, 0, 2.0)),
        "logits2.npy": npy(points(14, 150, 10, 0, 1.0)),
        "weights.npy": npy([[float(Draws(i).integer(5))] for i in range(300)]),
        "ties.npy": npy([[float(Draws(i).integer(4)), float(Draws(i + 99).integer(3))] for i in range(120)]),
        "nan.npy": npy([[1.0, float("nan")], [2.0, 3.0]]),
    }
    rows = points(15, 150, 3)
    text = [",".join([repr(v) for v in row] + [("left", "right", "middle")[i % 3]]) for i, row in enumerate(rows)]
    out["table.csv"] = ("a,b,c,side\n" + "\n".join(text) + "\n").encode()
    out["table.tsv"] = "".join("\t".join(f"{v:.6f}" for v in row) + "\n" for row in points(16, 90, 3)).encode()
    out["bad.csv"] = b"a,b\n1,2\n3\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo("first.npy"), out["x.npy"])
        file.writestr(zipfile.ZipInfo("second.npy"), out["y32.npy"])
    out["arrays.npz"] = archive.getvalue()
    flat = [value for row in points(17, 110, 3) for value in row]
    header = json.dumps({"codes": {"dtype": "F32", "shape": [110, 3], "data_offsets": [0, 4 * len(flat)]}}).encode()
    out["codes.safetensors"] = struct.pack("<Q", len(header)) + header + struct.pack(f"<{len(flat)}f", *flat)
    return out


def make_pictures():
    out, draws = {}, Draws(21)
    arrays = []
    for kind in ("cross", "disc", "frame"):
        for i in range(40):
            picture = shape_picture(draws, kind)
            arrays.append(picture)
            out[f"grey/{kind}/{i:02}.png"] = png(28, 28, 1, picture)
    for i in range(48):
        out[f"colour/{i:02}.png"] = png(32, 32, 3, shape_picture(draws, ("disc", "frame")[i % 2], 32, 32, 3))
    for i in range(12):
        width, height = 20 + draws.integer(30), 20 + draws.integer(30)
        out[f"mixed/{i:02}.png"] = png(width, height, (1, 3, 4)[i % 3], shape_picture(draws, "disc", width, height, (1, 3, 4)[i % 3]))
    out["array.npy"] = npy(arrays[::2], "|u1", (60, 28, 28, 1))
    out["images-idx3-ubyte"] = struct.pack(">IIII", 2051, 50, 28, 28) + b"".join(arrays[::2][:50])
    out["broken/00.png"] = out["grey/disc/00.png"]
    out["broken/01.png"] = out["grey/disc/01.png"][:300]
    out["broken/02.png"] = out["grey/disc/02.png"]
    members = [(name, content) for name, content in out.items() if name.startswith("grey/disc")]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in members:
            file.writestr(zipfile.ZipInfo(name), content)
    out["disc.zip"] = archive.getvalue()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as file:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    out["disc.tar"] = archive.getvalue()
    # Real pictures and odd files (JPEG, TIFF, WebP, GIF, BMP) of the repository.
    for path in sorted((HERE.parent / "crates/kme-cli/tests/golden/tools/odd").iterdir()):
        out[f"odd/{path.name}"] = path.read_bytes()
    for path in sorted((HERE.parent / "assets/examples").glob("*.png")):
        out[f"garments/{path.name}"] = path.read_bytes()
    return out


FILES = {"points": make_points, "pictures": make_pictures}


# --- Commands --------------------------------------------------------------------------------------------------------------

# Stands for settings that many of the runs share.
SHORT = {
    "SMALL": "--set batch=16 --set log.every=1 --set score.count=60",
    "THIN": "--set batch=8 --set log.every=1 --set score.count=40 --set score.features=pixels --set generator.net.width=8"
    " --set critic.net.width=8",
}

# For each group which inputs it needs, and its commands in their order, as they would be typed; --json and --threads are added.
# A command may use what one above it in its group wrote. Behind ` # `:
#   table, settings          CSV or TOML is printed: no --json
#   rc=N                     the exit code is N and not 0
#   same=COMMAND             gives what the command above gave that begins with COMMAND
#   same=COMMAND ;run/REGEX  the same of two runs of `kme train`, whose folders have other names: those of their files that match
COMMANDS = {}
COMMANDS["points"] = (["points"], """
embed x.npy -o x.kme --kernel gaussian:sigma=median
embed y.npy -o y.kme --kernel gaussian:sigma=2
embed z.npy -o z.kme --kernel gaussian:sigma=2
embed x.npy -o w.kme --weights weights.npy --kernel gaussian:sigma=2
embed x32.npy -o x32.kme
embed x.npy -o narrowed.kme --precision f32 --kernel rq:alpha=0.2,1+0.1*linear
embed table.csv:side=left table.tsv -o table.kme --columns 1-3 --kernel energy
embed table.csv -o named.npy --columns c,a
embed arrays.npz:first codes.safetensors x.npy -o pooled.kme --kernel imq:c=10
embed x.npy y.npy -o statistics.npz
embed y.npy -o points.csv
embed x.npy -o random.kme --kernel gaussian:sigma=2 --random-features 200 --seed 3
embed y.npy -o random2.kme --kernel gaussian:sigma=2 --random-features 200 --seed 3
embed x32.npy -o part1.kme --shard 1/3
embed x32.npy -o part2.kme --shard 2/3
embed x32.npy -o part3.kme --shard 3/3
merge part3.kme part1.kme part2.kme -o merged.kme
merge part1.kme part2.kme part3.kme -o merged.npz
merge w.kme y.kme -o weighted.kme
eval y.kme '0.7*z.kme + 0.3*w.kme' w.kme
eval random.kme random2.kme --estimator biased
eval random.kme random2.kme --estimator unbiased
eval x.npy y.npy z.npy --metrics kid,fid,mmd,prdc
eval x32.npy y32.npy --metrics kid,fid,mmd,prdc --neighbours 5
eval unit.npy unit2.npy --metrics cmmd
eval wide.npy wide2.npy --metrics kid,fid,mmd,prdc
eval x32.npy y32.npy --metrics kid,mmd --precision f32
eval ties.npy ties.npy --metrics kid,fid,mmd,prdc
eval far.npy far2.npy --metrics kid,fid,mmd,prdc
eval x.npy y.npy --kernel linear
eval x.npy y.npy --kernel poly:degree=2,gamma=0.5,coef=2
eval x.npy y.npy --kernel gaussian:sigma=2,5,10
eval x.npy y.npy --kernel gaussian:gamma=0.125 --estimator biased
eval x.npy u.npy --kernel rq:alpha=0.2,1+0.1*linear --estimator u-statistic
eval x.npy u.npy --kernel laplacian:scale=1 --estimator linear
eval x.npy y.npy --kernel imq:c=0.5*median
eval x.npy y.npy --kernel energy
eval x.npy y.npy --kernel energy:a=0.01
eval x.npy y.npy --kernel distance
eval x.npy y.npy --metrics kid --protocol torch-fidelity --subsets 10 --subset-size 60
eval x.npy y.npy --metrics kid --protocol clean-fid --subsets 10 --subset-size 60
eval x.npy y.npy --metrics kid --protocol paper --subsets 10 --subset-size 60 --seed 5
eval x.npy y.npy --metrics fid --protocol pytorch-fid
eval statistics.npz y.npy merged.npz --metrics fid # rc=2
eval statistics.npz y.npy z.npy --metrics fid
eval logits.npy logits2.npy --metrics is --splits 5
eval logits.npy --metrics is --splits 4 --protocol torch-fidelity
eval x.npy y.npy z.npy --metrics kid,fid --sort fid -o result.json
eval x.npy y.npy z.npy --metrics kid,fid --sort fid -o result.csv
eval x.npy y.npy z.npy --metrics kid,fid --sort fid -o result.md
eval z.npy x.npy u.npy --metrics kid,fid -o compared.json
eval --compare compared.json
eval x.npy y.npy z.npy --metrics mmd,kid,prdc --format csv # table
eval table.csv --group side --metrics mmd --kernel energy
eval x.npy z.npy --assert 'kid>0.01' --assert 'kid<5'
eval x.npy z.npy --assert 'kid<0.01' # rc=1
eval x.npy y.npy z.npy --metrics kid,fid,mmd,prdc --threads 1 # same=eval x.npy y.npy z.npy --metrics kid,fid,mmd,prdc
""")
COMMANDS["tests"] = (["points"], """
embed x.npy -o w.kme --weights weights.npy --kernel gaussian:sigma=2
test x.npy y.npy
test x.npy y.npy --precision f32 --permutations 199
test x.npy y.npy --method aggregated --kernel energy --kernel gaussian:sigma=1 --kernel laplacian:scale=0.5*median
test x.npy u.npy --method permutation --estimator biased --permutations 499 --seed 4
test x.npy y.npy --kernel rq:alpha=0.2,1 --method permutation --estimator unbiased
test ties.npy ties.npy --permutations 99
test w.kme y.npy # rc=2
test many.npy many2.npy --method block --block-size 40
test many.npy many2.npy --method linear
test x.npy y.npy z.npy
test x.npy u.npy z.npy --kernel gaussian:sigma=median --permutations 499 --alpha 0.01
test x.npy y.npy u.npy --memorisation
test x.npy x.npy u.npy --memorisation --seed 9
test x.npy z.npy --assert same # rc=1
test x.npy y.npy --threads 1 # same=test x.npy y.npy
rank x.npy z.npy -o all.csv --top 5
rank x.npy z.npy --by density --kernel gaussian:sigma=0.15*median -o all.json
rank x32.npy y32.npy --kernel rq:alpha=0.5 -o all.tsv
rank x.npy z.npy -o all.csv --top 5 --threads 1 # same=rank x.npy z.npy -o all.csv
reduce x.npy -n 12 -o few.kme -o few.npy -o few.csv -o few.txt -o few.json
reduce x32.npy -n 12 --exchanges 1 --weights optimal -o optimal.kme -o optimal.json
reduce w.kme -n 9 --weights optimal -o weighted.kme
reduce many.npy -n 40 --by thinning -o thinned.npy -o thinned.txt
reduce x.npy -n 20 --by thinning --compress none --kernel energy -o halved.npy
reduce x.npy -n 15 --by support -o support.npy -o support.json
reduce x32.npy -n 15 --by support --steps 30 --snap -o snapped.npy -o snapped.json
reduce many.npy -n 40 --by thinning -o thinned.npy -o thinned.txt --threads 1 # same=reduce many.npy -n 40
""")
COMMANDS["pictures"] = (["pictures"], """
embed grey -o pixels.kme --features pixels --size 16x16
embed mixed -o mixed.npy --features pixels --size 20x24 --channels 3
embed mixed -o r1.npy --features pixels --size 20x20 --channels 3 --resize pillow-box
embed mixed -o r2.npy --features pixels --size 20x20 --channels 3 --resize pillow-bilinear-pad
embed mixed -o r3.npy --features pixels --size 20x20 --channels 1 --resize pillow-lanczos-crop
embed mixed -o r4.npy --features pixels --size 20x20 --channels 3 --resize tensorflow1-bilinear
embed mixed -o r5.npy --features pixels --size 20x20 --channels 3 --resize uint8+torch-bilinear
embed mixed -o r6.npy --features pixels --size 20x20 --channels 3 --resize clean-fid
embed mixed -o r7.npy --features pixels --size 20x20 --channels 3 --resize torch-fidelity
embed mixed -o r8.npy --features pixels --size 20x20 --channels 3 --resize pytorch-fid
embed odd -o odd.npy --features pixels --size 24x24 --channels 3 --skip-bad
embed odd -o odd-clean.npy --features pixels --size 24x24 --channels 3 --skip-bad --resize clean-fid
embed disc.zip disc.tar array.npy images-idx3-ubyte -o archives.npy --features pixels --size 28x28 --channels 1
embed broken -o skipped.kme --features pixels --size 28x28 --skip-bad
embed grey -o garments.kme --features fashion-classifier --no-cache
embed grey -o garments.npy --features fashion-classifier --no-cache
embed grey -o garments.npy --features fashion-classifier --no-cache --threads 1 # same=embed grey -o garments.npy
embed grey -o garments.npz --features fashion-classifier --cache-dir features
embed grey -o garments.npz --features fashion-classifier --cache-dir features # same=embed grey -o garments.npz
data cache --cache-dir features
eval garments.kme disc.zip fashion --metrics kid,fid,is,prdc --samples 150 --features fashion-classifier --no-cache
eval grey disc.tar --metrics kid,fid --features pixels --size 8x8 --protocol clean-fid --subsets 5 --subset-size 20
eval grey disc.tar --metrics kid,fid,is --features fashion-classifier --protocol torch-fidelity --subsets 5 --subset-size 20 --no-cache
eval grey disc.tar --metrics fid --features fashion-classifier --protocol pytorch-fid --no-cache
test disc.zip fashion --samples 100 --features fashion-classifier --no-cache --permutations 199
rank grey disc.zip --features pixels --size 14x14 --fakes fakes.png --missed missed.png -o ranks.csv --top 6
reduce grey -n 6 --features pixels --size 14x14 -o chosen.png -o chosen.txt -o chosen.json -o chosen
data info grey -o info.png
data info odd -o info-odd.png
data info disc.zip
data info array.npy
data list
models list
models info fashion
models info fashion-classifier
models info inception
models verify
sample fashion -n 9 -o sheet.png
sample fashion -n 3 -o singles --seed 2
sample fashion --interpolate -n 2 --steps 4 -o ways.png
sample fashion --interpolate -n 2 --steps 3 -o walk.gif
sample fashion -n 9 -o sheet.png --threads 1 # same=sample fashion -n 9 -o sheet.png
match fashion garments/ankle-boot.png 0.5*garments/bag.png -n 3 -o match.png --latents latents.npy --steps 12
sample fashion --latents latents.npy -o again.png
match fashion garments/ankle-boot.png 0.5*garments/bag.png -n 3 -o match.png --latents latents.npy --steps 12 --threads 1 # same=match fashion garments/ankle-boot.png 0.5*garments/bag.png -n 3
match fashion garments -n 4 -o folder.png -o matched --steps 8 --kernel gaussian:sigma=median --best-of 8 --clamp 2
match fashion garments.kme -n 3 -o target.png --steps 5 --seed 3 --learning-rate 0.1
match fashion garments/bag.png -n 2 -o pixels.png --steps 5 --features pixels --kernel imq:c=10 --crop centre:20
match fashion -n 2 -o less.png --steps 5 -- 1*garments/bag.png -0.2*garments/dress.png
""")
COMMANDS["train"] = (["pictures"], """
train --print fashion-mmd-gan # settings
train --print imagenet64-sn-smmd-gan # settings
train 25-gaussians -o gaussians --steps 12 --set batch=32 --set log.every=3 --set score.count=200 --tensorboard
sample gaussians -n 50 -o gaussians.npy
sample gaussians -n 50 -o gaussians.csv --seed 1
sample gaussians -n 50 -o gaussians.png
models info gaussians
train 25-gaussians -o roll --data swiss-roll --steps 6 --set batch=32 --set objective.kernel=energy --set log.every=2
train 25-gaussians -o ring --data 8-gaussians --steps 6 --set batch=32 --set objective.estimator=biased --set schedule.kind=constant --seed 7
train 25-gaussians -o whole --steps 8 --seed 5 --set batch=32 --set log.every=2 --set log.checkpoint=4 --set schedule.kind=constant
train 25-gaussians -o parted --steps 4 --seed 5 --set batch=32 --set log.every=2 --set log.checkpoint=4 --set schedule.kind=constant
train -o parted --resume --steps 8 # same=train 25-gaussians -o whole ;run/(model.safetensors|checkpoints/last.safetensors:tensors)
train 25-gaussians -o whole1 --steps 8 --seed 5 --set batch=32 --set log.every=2 --set log.checkpoint=4 --set schedule.kind=constant --threads 1 # same=train 25-gaussians -o whole ;run/.*
train --from whole -o onward --steps 3 --set optimiser.learning_rate=1e-4
train fashion-mmd-gan -o mmd --data grey --steps 4 --set data.held_out=disc.zip SMALL
train fashion-mmd-gan -o mmd1 --data grey --steps 4 --set data.held_out=disc.zip SMALL --threads 1 # same=train fashion-mmd-gan -o mmd ;run/.*
train fashion-mmd-gan -o half --data grey --steps 2 --set data.held_out=disc.zip --set schedule.kind=constant SMALL
train -o half --resume --steps 4
train fashion-mmd-gan -o full --data grey --steps 4 --set data.held_out=disc.zip --set schedule.kind=constant SMALL # same=train -o half --resume ;run/(model.safetensors:tensors|checkpoints/last.safetensors:tensors)
train fashion-gmmn -o lame --data broken --skip-bad --steps 1 --set batch=2 --set log.every=1
train fashion-mmd-gan -o shared --data grey --steps 3 --workers 2 SMALL
train fashion-mmd-gan -o augmented --data mixed --steps 2 --set batch=4 --set log.every=1 --set data.crop=short:32,random:28 --set data.flip=true --set data.stream=true --set data.background=#102030
train fashion-gmmn -o gmmn --data grey --steps 4 SMALL
train fashion-gmmn-features -o gmmn-features --data grey --steps 3 SMALL
train mnist-autoencoder -o autoencoder --data grey --steps 4 --set data.held_out=disc.zip SMALL
train mnist-gmmn-code -o code --data grey --steps 3 --set generator.decoder=autoencoder SMALL
train fashion-classifier -o classifier --data grey --steps 6 --set data.held_out=grey SMALL
train mnist-conditional -o conditional --data grey --steps 4 --set data.held_out=disc.zip SMALL
train fashion-kernelized-gan -o kernelized --data grey --steps 3 SMALL
train fashion-kernelized-gan-rks -o rks --data grey --steps 3 SMALL
train fashion-kernelized-gan-symmetric -o symmetric --data grey --steps 3 SMALL
train fashion-mmd-gan-li -o li --data grey --steps 3 SMALL
train fashion-mmd-gan-rbf -o rbf --data grey --steps 3 SMALL
train fashion-mmd-gan-distance -o distance --data grey --steps 3 SMALL
train fashion-wgan -o wgan --data grey --steps 3 SMALL
train fashion-wgan-gp -o wgan-gp --data grey --steps 3 SMALL
train fashion-cramer-gan -o cramer --data grey --steps 3 SMALL
train fashion-mcgan -o mcgan --data grey --steps 3 SMALL
train fashion-mcgan -o mcgan-sgd --data grey --steps 3 --set optimiser.kind=sgd --set optimiser.learning_rate=0.01 --set optimiser.momentum=0.9 SMALL
train fashion-sn-gan -o sn --data grey --steps 3 SMALL
train fashion-sn-smmd-gan -o sn-smmd --data grey --steps 3 SMALL
train fashion-swgan -o swgan --data grey --steps 3 SMALL
train cifar10-sn-swgan -o sngan --data colour --steps 3 --set schedule.every=1 --set data.held_out=colour THIN
train cifar10-mmd-gan -o cifar --data colour --steps 2 THIN
train imagenet64-sn-smmd-gan -o resnet --data colour --steps 1 THIN
train celeba-mmd-gan -o celeba --data colour --steps 1 --set data.size=64 THIN
embed grey -o features.npy --features classifier --no-cache
eval disc.zip conditional --metrics kid,fid --features classifier --samples 60 --no-cache
eval disc.zip autoencoder --features pixels # rc=2
sample conditional --class all -n 3 -o classes.png
sample conditional --class disc -n 3 -o discs
sample conditional --interpolate -n 2 --steps 3 -o between.png
sample code -n 4 -o code.png
sample gaussians --manifold -n 4 -o plane.png
sample mmd --manifold -n 3 --coordinates 2,5 -o plane.png
match conditional grey/disc -n 3 -o match.png --latents z.npy --steps 6
match conditional grey/disc/00.png -n 2 -o cross.png --class cross --steps 4 --features classifier
sample conditional --latents z.npy -o again.png
test conditional grey disc.zip --memorisation --features classifier --samples 40 --no-cache
""")
COMMANDS["fashion-mnist"] = ([], """
data info fashion-mnist
embed fashion-mnist:test -o test.kme --features fashion-classifier --no-cache
embed fashion-mnist:test -o part.kme --features fashion-classifier --shard 3/16 --no-cache
eval test.kme fashion --metrics kid,fid,is,prdc --samples 1000 --features fashion-classifier --no-cache
eval fashion-mnist:test fashion --metrics kid,is --samples 1000 --protocol torch-fidelity --subsets 10 --subset-size 500 --features fashion-classifier --no-cache
test part.kme fashion --samples 500 --no-cache --permutations 199
rank part.kme fashion --samples 400 --fakes worst.png -o ranks.csv --no-cache
reduce fashion-mnist:test -n 20 --features fashion-classifier -o few.png -o few.txt -o few.kme --weights optimal --no-cache
train fashion-mmd-gan -o mmd --steps 3 --set log.every=1 --set score.count=300
train fashion-classifier -o classifier --steps 10 --set log.every=5
train fashion-gmmn -o gmmn --steps 3 --set log.every=1 --set score.count=300
sample mmd -n 9 -o mmd.png
match fashion part.kme -n 3 -o match.png --steps 4
""")
COMMANDS["fixtures"] = ([], """
embed photos -o inception.npy --features inception=NETS/inception_fid2015_f16.safetensors --no-cache
embed photos -o inception.npy --features inception=NETS/inception_fid2015_f16.safetensors --no-cache --threads 1 # same=embed photos -o inception.npy
embed photos -o inception-statistics.npz --features inception=NETS/inception_fid2015_f16.safetensors --no-cache --resize torch-fidelity
embed photos -o pytorch-fid.npy --features inception=NETS/inception_fid2015_f16.safetensors --no-cache --resize pytorch-fid
embed photos -o vgg19.npy --features vgg19=NETS/vgg19_imagenet_kmeans8.safetensors:relu4_1 --no-cache
embed photos -o flat.kme --features vgg19=NETS/vgg19_imagenet_kmeans8.safetensors:relu5_1:flat --no-cache
embed photos -o normalised.npy --features vgg_normalised=NETS/vgg_normalised_conv3_1.safetensors --no-cache
embed photos -o mobilenet.npy --features mobilenet_v2=NETS/mobilenet_v2_imagenet.safetensors --no-cache
embed photos -o squeezenet.npy --features squeezenet1_1=NETS/squeezenet1_1_imagenet.safetensors --no-cache
embed photos -o lenet5.npy --features lenet5=NETS/lenet5_mnist.safetensors --no-cache
embed photos -o face.npy --features face=NETS/face_recognition_model-weights_manifest.json --no-cache
eval photos others --metrics kid,fid,is,prdc --features squeezenet1_1=NETS/squeezenet1_1_imagenet.safetensors --splits 2 --no-cache
eval photos others --metrics kid,fid --protocol torch-fidelity --features inception=NETS/inception_fid2015_f16.safetensors --subsets 3 --subset-size 6 --no-cache
eval photos others --metrics kid,fid --protocol clean-fid --features inception=NETS/inception_fid2015_f16.safetensors --subsets 3 --subset-size 6 --no-cache
rank photos others --features squeezenet1_1=NETS/squeezenet1_1_imagenet.safetensors --fakes fakes.png -o ranks.csv --top 3 --no-cache
models info NETS/inception_fid2015_f16.safetensors
models info NETS/vae_mnist.safetensors # rc=2
models info NETS/lenet5_mnist.safetensors
data info photos -o sheet.png
train fashion-gmmn -o steered --data photos --steps 2 --set batch=8 --set data.channels=3 --set data.size=32 --set objective.features=squeezenet1_1=NETS/squeezenet1_1_imagenet.safetensors --set log.every=1
match fashion photos -n 2 -o match.png --steps 2 --features squeezenet1_1=NETS/squeezenet1_1_imagenet.safetensors
""")
COMMANDS["refused"] = (["points", "pictures"], """
embed nowhere.npy -o out.kme
embed nan.npy -o out.kme
embed bad.csv -o out.kme
embed x.npy -o out.kme --kernel gauss:sigma=2
embed x.npy -o out.kme --kernel gaussian:sigma=-1
embed x.npy -o out.kme --shard 4/3
embed x.npy -o out.kme --shard 1/3 --kernel gaussian:sigma=median
embed grey -o out.kme
embed broken -o out.kme --features pixels
merge x.npy -o out.kme
eval x.npy x32.npy
eval x.npy y.npy --metrics fit
eval grey disc.zip --features inception=nowhere.safetensors
eval x.npy y.npy --estimator u-statistic --kernel linear -o out.json
eval --compare bad.csv
test x.npy y.npy --permutations 0
test x.npy y.npy --method block --block-size 100000
test x.npy --memorisation
rank x.npy y.npy --fakes out.png
reduce x.npy -n 0 -o out.npy
reduce x.npy -n 301 -o out.npy
reduce x.npy -n 5 --by support --kernel linear -o out.npy
train nothing -o out
train fashion-mmd-gan -o out --data grey --set batch=0
train fashion-mmd-gan -o out --data grey --set optimiser.rate=1
train -o out --resume
sample fashion -n 4 -o out.xyz
sample fashion -n 4 -o out.png --class 3
match fashion x.npy -o out.png
match fashion nowhere.png -o out.png
models info nowhere
data info nowhere
""")


# --- Runs ------------------------------------------------------------------------------------------------------------------


class Command:
    def __init__(self, group, line):
        self.line, _, notes = line.partition(" # ")
        for name, text in SHORT.items():
            self.line = self.line.replace(name, text)
        self.form = next((form for form in ("table", "settings") if form in notes.split()), "json")
        self.same = re.search(r"same=(.*?)(?: ;run/(.*))?$", notes)
        expected = re.search(r"rc=(\d)", notes)
        self.code = 2 if group == "refused" else int(expected.group(1)) if expected else 0

    def run(self, folder, kme, threads):
        """What it gives, by parts; and what it did that no command may do."""
        words = shlex.split(self.line)
        if "--threads" not in words:
            words[1:1] = ["--threads", str(threads)]
        if self.form == "json":
            words[1:1] = ["--json"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("KME_", "XDG_"))}
        environment["HOME"] = str(folder / ".home")
        before = listing(folder)
        done = subprocess.run([kme, *words], cwd=folder, env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=600)
        written = [name for name, state in listing(folder).items() if before.get(name) != state]
        faults = []
        if done.returncode != self.code:
            told = (done.stderr.decode(errors="replace").strip().splitlines() or [""])[-1]
            faults.append(f"exit code {done.returncode} and not {self.code}: {told}")
        if b"panicked" in done.stderr:
            faults.append("it panicked")
        if self.code == 2 and written:
            faults.append("it wrote " + ", ".join(written))
        parts = Parts(folder)
        parts.add("exit code", str(done.returncode))
        if done.returncode in (0, 1):
            output = done.stdout.decode()
            try:
                if self.form == "json":
                    parts.json("", json.loads(output))
                elif self.form == "table":
                    parts.table("stdout", output, ",")
                else:
                    parts.settings("stdout", output)
                for name in written:
                    parts.file(name, (folder / name).read_bytes())
            except (ValueError, struct.error, AssertionError, zipfile.BadZipFile) as error:
                faults.append(f"what it gave cannot be read: {error}")
        return parts, faults


def listing(folder):
    """Files with what tells that they were written. Not hidden ones, which are caches and locks."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts) and name.parts[0] != "features":
            state = path.stat()
            found[str(name)] = (state.st_mtime_ns, state.st_size, state.st_ino)
    return found


def same_run(hashes, line, wanted):
    """The hashes of the files of a run that `wanted` matches, whatever the run's name."""
    run = re.search(r"-o (\S+)", line).group(1)
    named = {part.replace(run + "/", "run/", 1): value for part, value in hashes.items() if part.startswith(run + "/")}
    return {part: value for part, value in named.items() if re.match("run/" + wanted, part)}


def prepare(group, folder):
    """Makes a group's inputs; the reason where it cannot."""
    for kind in COMMANDS[group][0]:
        for name, content in FILES[kind]().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    if group == "fashion-mnist" and not pathlib.Path("/usr/share/datasets/fashion-mnist").is_dir():
        return "Fashion-MNIST is not in /usr/share/datasets"
    if group == "fixtures":
        if not os.environ.get("KME_FIXTURES"):
            return "KME_FIXTURES does not name a folder"
        given = pathlib.Path(os.environ["KME_FIXTURES"]).resolve()
        (folder / "NETS").symlink_to(given / "nets")
        pictures = sorted((given / "data/imagenet_sample").glob("*.JPEG"))
        for name, some in (("photos", pictures[:10]), ("others", pictures[10:20])):
            (folder / name).mkdir()
            for path in some:
                shutil.copy(path, folder / name)
    return None


def machine():
    """What numbers depend on beside the program."""
    flags = set()
    if os.path.exists("/proc/cpuinfo"):
        flags = set(re.findall(r"\S+", pathlib.Path("/proc/cpuinfo").read_text()))
    wanted = ("avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq")
    return {
        "processor": platform.machine(),
        "instructions": [flag for flag in wanted if flag in flags],
        "library": " ".join(platform.libc_ver()),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kme", default="target/release/kme")
    parser.add_argument("--only", choices=COMMANDS, action="append", help="may be repeated")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--record", metavar="COMMIT", help="store what this program, of COMMIT, gives")
    given = parser.parse_args()
    kme = str(pathlib.Path(given.kme).resolve())
    stored = json.loads(STORED.read_text()) if STORED.exists() else {"groups": {}}
    here = machine()

    different, unknown, counts = 0, set(), {"ok": 0, "DIFFERENT": 0}
    for group in given.only or COMMANDS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary).resolve()
            reason = prepare(group, folder)
            if reason:
                print(f"{'SKIPPED':<9} {group}: {reason}")
                continue
            if given.record:
                stored["groups"][group] = {"recorded": {"commit": given.record, "machine": here}}
            before = stored["groups"].get(group, {})
            recorded = before.get("recorded", {"commit": "none"})
            print(f"{group}: hashes of commit {recorded['commit']}")
            if recorded.get("machine") != here:
                print(f"  recorded on {recorded.get('machine')}\n  run on      {here}: numbers may differ for that reason alone")
            for command in [Command(group, line) for line in COMMANDS[group][1].strip().splitlines()]:
                began = time.monotonic()
                parts, faults = command.run(folder, kme, given.threads)
                found = parts.hashes()
                unknown |= {(field, value[:60]) for field, value in parts.words if field not in WORDS}
                expected = before.get(command.line)
                if command.same:
                    other = next(line for line in before if line.startswith(command.same.group(1)))
                    expected = before[other]
                    if command.same.group(2):
                        expected = same_run(expected, other, command.same.group(2))
                        found = same_run(found, command.line, command.same.group(2))
                elif given.record:
                    before[command.line] = expected = found
                expected = expected or {"": "no hashes are stored"}
                faults += [part for part in {**expected, **found} if expected.get(part) != found.get(part)]
                verdict = "DIFFERENT" if faults else "ok"
                counts[verdict] += 1
                seconds = time.monotonic() - began
                print(f"{verdict:<9} {seconds:5.1f} s  {group}: {command.line}", flush=True)
                for fault in faults[:8]:
                    print(f"              {fault}")
                if len(faults) > 8:
                    print(f"              and {len(faults) - 8} more")
    print(f"{counts['ok']} ok, {counts['DIFFERENT']} different")
    if given.record:
        for field, value in sorted(unknown):
            print(f"text field {field!r} is neither in KEPT nor in WORDS: {value!r}")
        STORED.write_text(one_line_each(stored))
    sys.exit(counts["DIFFERENT"] > 0)


def one_line_each(stored):
    """JSON with a line for each command, so that a diff shows which have changed."""
    groups = []
    for group in COMMANDS:
        if group in stored["groups"]:
            lines = [f"{json.dumps(line)}: {json.dumps(hashes)}" for line, hashes in stored["groups"][group].items()]
            groups.append(f"{json.dumps(group)}: {{\n" + ",\n".join(lines) + "}")
    return '{"groups": {\n' + ",\n".join(groups) + "}}\n"


if __name__ == "__main__":
    main()
