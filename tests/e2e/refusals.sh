# shellcheck shell=bash disable=SC2034  # the scripts that source it use the settings
# Sourced by the scripts about errors: what every refusal must look like.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
config=$ACM_SOURCE/configs/tiny.toml

# alone CODE ARGS...: acm_dist without mpirun must end with this code.
alone() {
  local expected=$1 code=0
  shift
  timeout --kill-after=5 120 "$ACM_BUILD/acm_dist" "$@" </dev/null >stdout 2>stderr || code=$?
  [ "$code" -eq "$expected" ] || { tail -n 40 stdout stderr >&2; fail "acm_dist $* ended with $code, expected $expected"; }
}

# says_it_once PATTERN: one sentence, from one rank, matches; nothing of it is for programmers.
says_it_once() {
  [ "$(grep -c '^acm_dist: ' stderr)" -eq 1 ] || { cat stderr >&2; fail "expected one message"; }
  tr '\n' ' ' <stderr >flat
  expect_in flat "acm_dist: (rank 0: )?$1"
  expect_not_in stderr 'Exception raised from|frame #|terminate called|internal error|what\(\):|std::|c10::|\[\[[0-9]+,[0-9]+\],[0-9]+\] Signal'
}

# mpirun has just returned, so a rank may take a moment to be gone.
no_rank_is_left() {
  local tries
  for ((tries = 0; tries < 100; tries++)); do
    pgrep -f "^$ACM_BUILD/acm_dist .*$scratch" >/dev/null || return 0
    sleep 0.05
  done
  return 1
}

# refused CODE PATTERN ARGS...: alone, and on three ranks, which all end: `acm` has a time-out and no rank is left.
refused() {
  local code=$1 pattern=$2
  shift 2
  alone "$code" "$@"
  says_it_once "$pattern"
  EXPECT=$code acm 3 "$@"
  says_it_once "$pattern"
  no_rank_is_left || fail "ranks are left of: $*"
}

# refused_training CODE PATTERN PHASE FOLDER ARGS...: the same for a phase of tiny.toml in a run folder.
refused_training() {
  local code=$1 pattern=$2 phase=$3 folder=$4
  shift 4
  refused "$code" "$pattern" --phase "$phase" --config "$config" --set "run_dir=$scratch/$folder" "$@"
}

# big_endian NUMBER...: each as four bytes.
big_endian() {
  local number
  for number in "$@"; do
    # shellcheck disable=SC2059  # the format is the bytes
    printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((number >> 24 & 255)) $((number >> 16 & 255)) $((number >> 8 & 255)) $((number & 255)))"
  done
}

# make_images FILE COUNT SIDE, make_labels FILE COUNT CLASSES: IDX files; the images are black, labels count through the classes.
make_images() {
  { big_endian 2051 "$2" "$3" "$3" && head -c $(($2 * $3 * $3)) /dev/zero; } >"$1"
}
make_labels() {
  local label
  big_endian 2049 "$2" >"$1"
  # shellcheck disable=SC2059
  for ((label = 0; label < $2; label++)); do printf "$(printf '\\x%02x' $((label % $3)))"; done >>"$1"
}

# make_data FOLDER COUNT SIDE CLASSES: a data set of plain IDX files; "${plain_files[@]}" names them.
make_data() {
  mkdir -p "$1"
  for split in train test; do
    make_images "$1/$split-images" "$2" "$3"
    make_labels "$1/$split-labels" "$2" "$4"
  done
}
plain_files=(--set 'data.train=["train-images","train-labels"]' --set 'data.test=["test-images","test-labels"]')
