# shellcheck shell=bash
# Sourced by the scripts of this folder. Gives them a scratch folder (the working folder, removed at exit) and the words below. CTest sets
# ACM_BUILD, ACM_SOURCE and ACM_COMPARE_MODELS.
set -euo pipefail
: "${ACM_BUILD:?the build folder}" "${ACM_SOURCE:?the source folder}" "${ACM_COMPARE_MODELS:?the program compare_models}"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/acm-e2e.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

skip() {
  echo "skipped: $*"
  exit 77
}

# acm RANKS ARGS...: runs acm_dist on so many ranks; its output lands in the files `stdout` and `stderr` of the scratch folder. Fails
# unless it ends with exit code $EXPECT (0 where not given). A hang ends after two minutes and is a failure.
acm() {
  local ranks=$1 code=0
  shift
  timeout --kill-after=5 120 mpirun -n "$ranks" --bind-to none "$ACM_BUILD/acm_dist" "$@" </dev/null >stdout 2>stderr || code=$?
  if [ "$code" -ne "${EXPECT:-0}" ]; then
    tail -n 40 stdout stderr >&2
    fail "acm_dist $* on $ranks rank(s) ended with $code, expected ${EXPECT:-0}"
  fi
}

# train RANKS PHASE FOLDER ARGS...: a phase of tiny.toml in a run folder, with further arguments (--set ...).
train() {
  local ranks=$1 phase=$2 folder=$3
  shift 3
  acm "$ranks" --phase "$phase" --config "$ACM_SOURCE/configs/tiny.toml" --set "run_dir=$folder" "$@"
}

# evaluate RANKS MODEL ARGS...: `eval` with the test samples of tiny.toml.
evaluate() {
  local ranks=$1 model=$2
  shift 2
  acm "$ranks" eval --config "$ACM_SOURCE/configs/tiny.toml" --model "$model" "$@"
}

# Settings for a short phase where accuracy does not matter: "${short_pretrain[@]}".
short_pretrain=(--set pretrain.steps=5 --set pretrain.warmup_steps=1)
short_distill=(--set distill.steps=5)
short_gating=(--set gating.steps=4)
short_finetune=(--set finetune.steps=4)

# make_teacher FOLDER ARGS...: a run folder with a dense model that has hardly been trained.
make_teacher() {
  local folder=$1
  shift
  train 1 0 "$folder" "${short_pretrain[@]}" "$@"
}

expect_file() {
  for file in "$@"; do [ -s "$file" ] || fail "$file is not there, or empty"; done
}

# expect_in FILE PATTERN: a line of the file matches the extended regular expression.
expect_in() {
  grep -qE -- "$2" "$1" || { tail -n 40 "$1" >&2; fail "$1 has no line with: $2"; }
}

expect_not_in() {
  ! grep -E -- "$2" "$1" >&2 || fail "$1 has a line with: $2"
}

same_bytes() {
  cmp -- "$1" "$2" >&2 || fail "$1 and $2 differ"
}

# digests FOLDER: SHA-256 of every cache segment of a run, without the folder's name.
digests() {
  (cd "$1/cache" && sha256sum segment-*.h5)
}

# times FILES...: name and time of last change, one a line, to the nanosecond.
times() {
  stat --format '%n %y' "$@"
}

# values FOLDER PHASE KEY: a number of each row that the phase wrote to the run's metrics.jsonl, one a line.
values() {
  grep "\"phase\":\"$2\"" "$1/metrics.jsonl" | sed -E "s/.*\"$3\":([^,}]+).*/\\1/"
}

# same_values FILE_A FILE_B TOLERANCE: as many numbers in both, one a line, and each pair equal up to a relative difference.
same_values() {
  [ -s "$1" ] || fail "$1 holds no numbers"
  paste "$1" "$2" | awk -v tolerance="$3" '
    function abs(x) { return x < 0 ? -x : x }
    NF != 2 || !(abs($1 - $2) <= tolerance * abs($1)) { print "line " NR ": " $0; wrong = 1 }
    END { exit wrong }' >&2 || fail "the numbers in $1 and $2 differ by more than $3"
}

# same_parameters FILE_A FILE_B TOLERANCE: two model files hold the same tensors up to a relative difference.
same_parameters() {
  "$ACM_COMPARE_MODELS" "$1" "$2" "$3" >compared || { grep -v '^equal' compared >&2; fail "$1 and $2 differ by more than $3"; }
}
