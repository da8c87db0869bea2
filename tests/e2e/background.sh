# shellcheck shell=bash disable=SC2034  # the scripts that source it use the settings
# Sourced by the scripts that stop, kill or damage a run: runs in the background, and waiting for what they do.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
job=
trap 'code=$?; [ -z "$job" ] || { kill -KILL "$job" || true; } 2>/dev/null; rm -rf "$scratch"; exit $code' EXIT

# Settings for phases of seconds, of which nothing but the bytes matters; a checkpoint every few steps. "${phases_of_seconds[@]}"
phases_of_seconds=(--set 'acm.sites=["ffn","o"]' --set data.train_samples=500 --set data.test_samples=100
  --set pretrain.batch=32 --set pretrain.steps=100 --set pretrain.save_every=10
  --set distill.batch=512 --set distill.steps=600 --set distill.save_every=100
  --set gating.batch=512 --set gating.steps=60 --set gating.save_every=10
  --set finetune.batch=16 --set finetune.steps=60 --set finetune.save_every=10)

# begin RANKS PHASE FOLDER ARGS...: as train, but it goes on in the background: $job is the pid of mpirun, whose output lands in `stdout`
# and `stderr` as well.
begin() {
  local ranks=$1 phase=$2 folder=$3
  shift 3
  rm -rf "$folder/alive" "$folder/log"
  mpirun -n "$ranks" --bind-to none "$ACM_BUILD/acm_dist" --phase "$phase" --config "$ACM_SOURCE/configs/tiny.toml" --set "run_dir=$folder" \
    "$@" </dev/null >stdout 2>stderr &
  job=$!
}

is_running() { kill -0 "$1" 2>/dev/null; }

# wait_until COMMAND...: until it succeeds; a minute without that, or a run that ended meanwhile, is a failure.
wait_until() {
  local tries
  for ((tries = 0; tries < 3000; tries++)); do
    if "$@" 2>/dev/null; then return; fi
    if [ -n "$job" ] && ! is_running "$job"; then
      if "$@" 2>/dev/null; then return; fi
      tail -n 20 stdout stderr >&2
      fail "the run ended before: $*"
    fi
    sleep 0.02
  done
  fail "waited a minute for: $*"
}

is_gone() { ! is_running "$1"; }

# ends_with CODE: the run in the background ends by itself, with this exit code.
ends_with() {
  local code=0 pid=$job
  job=
  wait_until is_gone "$pid"
  wait "$pid" || code=$?
  [ "$code" -eq "$1" ] && return
  tail -n 20 stdout stderr >&2
  fail "the run ended with $code, expected $1"
}

# rank_pid FOLDER RANK: the pid of a rank of the run that was begun last.
rank_pid() { grep -o '"pid":[0-9]*' "$1/alive/$(printf 'rank-%05d' "$2")" | tr -dc 0-9; }

# has_checkpoint FOLDER: a whole checkpoint stands in phaseN/ or a site's folder below it.
has_checkpoint() { compgen -G "$1/step-*/manifest.json" >/dev/null; }

# went_on FILE PHASE: the log says that the phase went on from a checkpoint, not from the beginning.
went_on() { expect_in "$1" "phase $2.*: starting at step [1-9][0-9]* of .*newest whole checkpoint"; }

same_models() {
  local model
  for model in model-phase0 model-phase1 model-phase2 model; do same_bytes "$1/$model.safetensors" "$2/$model.safetensors"; done
}
