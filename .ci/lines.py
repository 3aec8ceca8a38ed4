#!/usr/bin/env python3
"""Counts the lines of Rust outside tests: crates/*/src without test files and without `mod tests { .. }` at a file's end.

    .ci/lines.py                 of the working tree, by crate
    .ci/lines.py REVISION        beside those of a revision, and the files that changed most
"""

import collections
import re
import subprocess
import sys

TESTS = re.compile(r"^#\[cfg\(test\)\]\n(?:pub(?:\([^)]*\))? )?mod (\w+)(;| \{)", re.M)


def files(revision):
    """Path and text of every Rust file below crates/*/src."""
    git = lambda *words: subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout
    if revision is None:
        paths = git("ls-files", "--cached", "--others", "--exclude-standard", "crates/*/src/*.rs").split()
        read = lambda path: open(path).read()
    else:
        paths = [path for path in git("ls-tree", "-r", "--name-only", revision, "crates").split()
                 if re.fullmatch(r"crates/[^/]+/src/.*\.rs", path)]
        read = lambda path: git("show", f"{revision}:{path}")
    return {path: read(path) for path in paths if not path.startswith("crates/kme-testing/")}


def lines(revision):
    """Lines outside tests of each file: all, and those that are neither blank nor comments."""
    texts = files(revision)
    tests = set()
    for path, text in texts.items():
        folder = re.sub(r"(?:/(?:mod|lib|main))?\.rs$", "", path)
        tests |= {f"{folder}/{m[1]}" for m in TESTS.finditer(text) if m[2] == ";"}
    counts = {}
    for path, text in texts.items():
        if any(path == f"{test}.rs" or path.startswith(f"{test}/") for test in tests):
            continue
        inline = [m.start() for m in TESTS.finditer(text) if m[2] != ";"]
        kept = text[: inline[0]].rstrip().splitlines() if inline else text.splitlines()
        code = [line for line in kept if line.strip() and not line.strip().startswith("//")]
        counts[path] = (len(kept), len(code))
    return counts


def by_crate(counts):
    sums = collections.defaultdict(lambda: [0, 0])
    for path, (all_lines, code) in counts.items():
        for name in (path.split("/")[1], "all"):
            sums[name][0] += all_lines
            sums[name][1] += code
    return sums


def main():
    now = lines(None)
    if len(sys.argv) == 1:
        for name, (all_lines, code) in sorted(by_crate(now).items()):
            print(f"{name:12}{all_lines:8}{code:8}")
        return
    then = lines(sys.argv[1])
    sums = by_crate(now), by_crate(then)
    print(f"{'':12}{'lines':>18}{'without comments':>26}")
    for name in sorted(sums[0].keys() | sums[1].keys()):
        (a, c), (b, d) = sums[0][name], sums[1][name]
        print(f"{name:12}{b:8} -> {a:6} {a - b:+6}{d:10} -> {c:6} {c - d:+6}")
    # By the path below src, so that a file that moved to another crate counts for what it grew.
    grown = collections.Counter()
    for counts, sign in ((now, 1), (then, -1)):
        for path, (all_lines, _) in counts.items():
            grown[path.split("/src/")[1]] += sign * all_lines
    for path, by in sorted(grown.items(), key=lambda item: -abs(item[1]))[:30]:
        print(f"{by:+6}  {path}")


if __name__ == "__main__":
    main()
