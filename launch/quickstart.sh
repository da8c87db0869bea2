#!/usr/bin/env bash
# From a fresh Debian 12 to a trained adaptive model: set-up, then all phases on Fashion-MNIST.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)

ranks=2
run_dir=$root/runs/quickstart
config=$root/configs/fashion_mnist.toml
settings=()

usage() {
  cat <<'EOF'
usage: launch/quickstart.sh [--ranks N] [--run-dir FOLDER] [--set KEY=VALUE]...

Installs what is missing, builds acm_dist and runs the whole method on Fashion-MNIST: a Vision Transformer is trained, becomes
an adaptive one, and both are evaluated. About 3 minutes on 2 cores once it is built. Run again, it goes on where it was.

  --ranks N          processes (default: 2)
  --run-dir FOLDER   where results and checkpoints go (default: runs/quickstart)
  --set KEY=VALUE    change one key of configs/fashion_mnist.toml; docs/config.md lists the keys
EOF
}

while (($# > 0)); do
  case $1 in
    --help | -h) usage && exit 0 ;;
    --ranks | --run-dir | --set)
      (($# >= 2)) || { echo "quickstart: $1 needs a value (see --help)" >&2 && exit 64; }
      ;;&
    --ranks) ranks=$2 && shift 2 ;;
    --run-dir) run_dir=$(realpath -m -- "$2") && shift 2 ;;
    --set) settings+=(--set "$2") && shift 2 ;;
    *) echo "quickstart: unknown option '$1' (see --help)" >&2 && exit 64 ;;
  esac
done

"$root/launch/setup.sh" --target acm_dist

# short FILE: its name as seen from here, for people to copy.
short() {
  local name
  name=$(realpath -m --relative-to="$PWD" -- "$1")
  [[ $name == */* ]] || name=./$name
  printf '%s' "$name"
}

printf 'run: %s ranks, %s, results in %s\n' "$ranks" "$(short "$config")" "$(short "$run_dir")"
SECONDS=0
code=0
# Should this script be ended, the run is asked to save and stop.
setpriv --pdeathsig TERM "$root/launch/local.sh" "$ranks" --phase all --config "$config" --set run_dir="$run_dir" "${settings[@]}" || code=$?
case $code in
  0)
    cat <<EOF
run: done ($SECONDS s)
  $(short "$run_dir/model.safetensors")   the adaptive model
  $(short "$run_dir/eval.json")   the table above, as data
  $(short "$run_dir/metrics.jsonl")   the record of the run
next:
  one learner everywhere:  $(short "$root/build/acm_dist") eval --model $(short "$run_dir/model.safetensors") --config $(short "$config") --choice 1
  another budget:          $(short "$root/launch/quickstart.sh") --run-dir runs/budget-0.3 --set acm.budget=0.3
  your own model:          $(short "$root/README.md")
EOF
    ;;
  75) echo "run: stopped after $SECONDS s and saved; the same command goes on from there" ;;
  *) echo "run: ended with code $code after $SECONDS s; the log of each rank is in $(short "$run_dir/log")" >&2 ;;
esac
exit "$code"
