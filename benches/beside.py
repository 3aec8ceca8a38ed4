"""What the comparisons with PyTorch share: options, running one of our programs, raw numbers."""

import argparse
import json
import pathlib
import platform
import subprocess
import time

import torch


def options(doc, *switches):
    """The command line, with more switches; PyTorch's number of threads is set from it."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--json")
    for switch in switches:
        parser.add_argument(switch, action="store_true")
    found = parser.parse_args()
    torch.set_num_threads(found.threads)
    return found


def run_program(given, runs, only, *more):
    """The objects that our program prints, one for each row whose name has `only` in it."""
    # PyTorch's threads go on spinning for a while after their work.
    time.sleep(0.4)
    command = [given.program, "--bench", "--threads", str(given.threads), "--runs", str(runs), "--only", only, *more]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def commit():
    """The commit of the files that are measured, with a mark where they were changed since."""
    command = ["git", "describe", "--always", "--dirty"]
    folder = pathlib.Path(__file__).parent
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def write(given, **results):
    """Writes raw numbers with what they were measured on, if a file for them was named."""
    if not given.json:
        return
    names = (line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    about = {"torch": torch.__version__, "cpu": next(names, platform.processor()), "commit": commit()}
    about |= {key: getattr(given, key) for key in ["threads", "rounds", "runs"]}
    with open(given.json, "w") as file:
        json.dump({"about": about, **results}, file, indent=1)
