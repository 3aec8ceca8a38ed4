#!/usr/bin/env bash
# The sums engine of this tree against that of another commit, in one process, by turns on one thread:
#
#     benches/revisions/run.sh COMMIT [FILTER] [REPEATS]
#
# FILTER is a list of texts, separated by commas, that the name of a row must hold, such as 'mmd2,f64,d=16.'.
# Needs git and cargo; builds in target/revisions.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
commit=${1:?which commit? usage: benches/revisions/run.sh COMMIT [FILTER] [REPEATS]}
root=$PWD
old=$root/target/revisions/old
folder=$root/target/revisions/compare
# This tree is copied too: inside its own folder Cargo would take the other for a part of its workspace.
new=$root/target/revisions/new
rm -rf "$old" "$new"
mkdir -p "$folder/src" "$old" "$new"
git archive "$commit" | tar x -C "$old"
git ls-files -z | tar c --null -T - | tar x -C "$new"
# Cargo tells packages of one name apart by their versions.
sed -i '0,/^version = .*/s//version = "0.0.0"/' "$old/Cargo.toml"
cp benches/revisions/main.rs "$folder/src/main.rs"
cat >"$folder/Cargo.toml" <<MANIFEST
[package]
name = "revisions"
version = "0.1.0"
edition = "2024"

[dependencies]
old = { package = "kme", path = "$old/crates/kme" }
new = { package = "kme", path = "$new/crates/kme" }
rayon = "1"

[profile.release]
debug = 0

[workspace]
MANIFEST
cargo run --release --manifest-path "$folder/Cargo.toml" -- "${2:-}" "${3:-9}"
