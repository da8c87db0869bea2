#!/usr/bin/env bash
# What a save costs a training that goes on: two ranks train the quick start's teacher, and one as large as ViT-Tiny. Rows of 20 steps in which a
# checkpoint is written take turns with rows in which none is, so that both meet the same machine in the same run.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." >/dev/null && pwd)

usage() {
  cat <<'EOF'
usage: tests/bench/saves.sh

Prints for each model the seconds of a step; what one save costs, as the time that steps wait for it ("stalled") and the time by
which its 20 steps are longer than their neighbours, waiting included ("in all": median of the pairs); and both as shares of the
time of the 200 steps of pretrain.save_every's default, where 2 % and 3.5 % are the most that is admitted.

  ACM_BUILD   the build folder (default: build)
EOF
}

case ${1:-} in
  --help | -h) usage && exit 0 ;;
  '') ;;
  *) usage >&2 && exit 64 ;;
esac
build=${ACM_BUILD:-$root/build}
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
# shellcheck source=launch/env.sh
. "$root/launch/env.sh" 2

# A row of the table from the rows of metrics.jsonl. The row after a save's step holds the save; the first 200 steps warm up.
summary() {
  python3 - "$1" "$2" <<'EOF'
import json, statistics, sys
batch, every, default = 128, 20, 200
rows = {}
for line in open(sys.argv[2]):
    row = json.loads(line)
    if "samples_per_second" in row:
        rows[row["step"]] = (every * batch / row["samples_per_second"], row.get("save_seconds", 0))
saving = [step for step in rows if (step - every) % (2 * every) == 0 and step > default and step - every in rows and step + every in rows]
stalled = statistics.median(rows[step][1] for step in saving)
longer = statistics.median(sum(rows[step]) - (rows[step - every][0] + rows[step + every][0]) / 2 for step in saving)
step = statistics.median(seconds for seconds, _ in rows.values()) / every
print("%-28s %8.4f s %8.4f s %8.4f s %9.2f %% %8.2f %%   %d saves" % (
    sys.argv[1], step, stalled, longer, 100 * stalled / (default * step), 100 * longer / (default * step), len(saving)))
EOF
}

# measure NAME SETTINGS...
measure() {
  local name=$1 run=$scratch/run
  shift
  rm -rf -- "$run"
  mpirun -n 2 --bind-to none "$build/acm_dist" --phase 0 --quiet --config "$root/configs/fashion_mnist.toml" --set "run_dir=$run" \
    --set pretrain.batch=128 --set pretrain.save_every=40 --set pretrain.log_every=20 --set data.test_samples=100 "$@" >/dev/null 2>"$scratch/stderr" ||
    { cat "$scratch/stderr" >&2 && exit 1; }
  summary "$name" "$run/metrics.jsonl"
}

printf '%-28s %10s %10s %10s %11s %10s\n' model 'a step' 'stalled' 'in all' 'stalled' 'in all'
measure 'quick start' --set pretrain.steps=2200
measure 'width 192, depth 12 (5.3 M)' --set backbone.width=192 --set backbone.depth=12 --set backbone.heads=3 --set backbone.hidden=768 \
  --set pretrain.steps=600
