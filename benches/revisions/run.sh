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
folder=$root/target/revisions
mkdir -p "$folder/src" "$folder/old"
git archive "$commit" | tar x -C "$folder/old"
# Cargo tells packages of one name apart by their versions.
sed -i '0,/^version = .*/s//version = "0.0.0"/' "$folder/old/Cargo.toml"
cp benches/revisions/main.rs "$folder/src/main.rs"
cat >"$folder/Cargo.toml" <<MANIFEST
[package]
name = "revisions"
version = "0.1.0"
edition = "2024"

[dependencies]
old = { package = "kme", path = "old/crates/kme" }
new = { package = "kme", path = "$root/crates/kme" }
rayon = "1"

[profile.release]
debug = 0

[workspace]
MANIFEST
cargo run --release --manifest-path "$folder/Cargo.toml" -- "${2:-}" "${3:-9}"
