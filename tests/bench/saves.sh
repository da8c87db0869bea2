#!/usr/bin/env bash
# What saving costs a training that goes on: two ranks train the quick start's teacher, and one as large as ViT-Tiny, with checkpoints and without,
# in turns.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." >/dev/null && pwd)

usage() {
  cat <<'EOF'
usage: tests/bench/saves.sh [PAIRS]

Prints, for each model, the median of PAIRS (5) pairs of runs: how much of the time of training steps wait for a save
("stalled", at most 2 %), and how much longer training takes in all than without checkpoints ("in all", at most 3.5 %).
A run without checkpoints follows each run with them, so that both meet the same machine.

  ACM_BUILD   the build folder (default: build)
EOF
}

case ${1:-} in --help | -h) usage && exit 0 ;; esac
pairs=${1:-5}
build=${ACM_BUILD:-$root/build}
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
# shellcheck source=launch/env.sh
. "$root/launch/env.sh" 2

# seconds_of FILE: in steps and waiting for saves, from the rows of metrics.jsonl, each of 20 steps.
seconds_of() {
  python3 - "$1" <<'EOF'
import json, sys
steps = saves = 0
for line in open(sys.argv[1]):
    row = json.loads(line)
    if "samples_per_second" in row:
        steps += 1 / row["samples_per_second"]
        saves += row.get("save_seconds", 0)
print(steps, saves)
EOF
}

# train NAME SAVE_EVERY SETTINGS...: sets `spent`, the seconds in steps, for each sample of a row, and those of saves.
train() {
  local name=$1 save_every=$2
  shift 2
  rm -rf -- "${scratch:?}/$name"
  mpirun -n 2 --bind-to none "$build/acm_dist" --phase 0 --quiet --config "$root/configs/fashion_mnist.toml" --set run_dir="$scratch/$name" \
    --set "pretrain.save_every=$save_every" --set data.test_samples=100 "$@" 2>"$scratch/stderr" >/dev/null || { cat "$scratch/stderr" >&2 && exit 1; }
  read -r -a spent < <(seconds_of "$scratch/$name/metrics.jsonl")
}

median() { sort -g | awk '{ x[NR] = $1 } END { print x[int((NR + 1) / 2)] }'; }

# measure NAME SAVE_EVERY SAMPLES_OF_A_ROW SETTINGS...
measure() {
  local name=$1 save_every=$2 samples=$3 pair with
  shift 3
  for ((pair = 0; pair < pairs; pair++)); do
    train with "$save_every" "$@"
    with=("${spent[@]}")
    train without 0 "$@"
    awk -v steps="${with[0]}" -v saves="${with[1]}" -v plain="${spent[0]}" -v samples="$samples" \
      'BEGIN { total = samples * steps + saves; print 100 * saves / total, 100 * (total / (samples * plain) - 1) }'
  done >"$scratch/figures"
  printf '%-44s %8.2f %% %8.2f %%\n' "$name" "$(cut -d ' ' -f 1 "$scratch/figures" | median)" "$(cut -d ' ' -f 2 "$scratch/figures" | median)"
}

printf '%-44s %10s %10s\n' 'checkpoints' 'stalled' 'in all'
measure 'quick start, every 200 steps (the default)' 200 2560 --set pretrain.steps=1000
measure 'quick start, every 20 steps' 20 2560 --set pretrain.steps=1000
tiny=(--set backbone.width=192 --set backbone.depth=12 --set backbone.heads=3 --set backbone.hidden=768 --set pretrain.steps=80)
measure 'width 192, depth 12 (5.3 M), every 20 steps' 20 2560 "${tiny[@]}"
