# shellcheck shell=bash disable=SC2034  # the scripts that source it use the settings
# Sourced by the scripts of this folder: runs of the built program under the library inject.cpp, and figures. With --long (or ACM_LONG=1) a
# script does all that it can do, otherwise a share. ACM_SEED repeats what an earlier run drew.
faults=$(cd "$(dirname "${BASH_SOURCE[0]}")" >/dev/null && pwd)
. "$faults/../e2e/background.sh"
: "${ACM_INJECT:?the library fault_inject}"

long=${ACM_LONG:-}
case ${1:-} in
  --long) long=1 ;;
  --help | -h) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit 0 ;;
  '') ;;
  *) echo "$(basename "$0"): unknown argument '$1'; see --help" >&2 && exit 64 ;;
esac
RANDOM=${ACM_SEED:=$(($(date +%s) % 32768))}
echo "drawn from ACM_SEED=$ACM_SEED"

# The ranks of these tests are more than the cores: none spins, and each has one thread.
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1
here=$PWD
tiny=$ACM_SOURCE/configs/tiny.toml

# The least model that has all parts, and phases of eight steps with saves after 2, 4 and 6: the third save is the first that also removes one.
small=(--set 'acm.sites=["ffn","o"]' --set data.train_samples=64 --set data.test_samples=16 --set backbone.depth=1 --set backbone.width=16
  --set backbone.hidden=32 --set acm.learners=2 --set cache.samples=64 --set cache.segment_samples=16
  --set pretrain.batch=16 --set pretrain.steps=8 --set pretrain.save_every=2 --set pretrain.warmup_steps=1
  --set distill.batch=256 --set distill.steps=8 --set distill.save_every=2 --set distill.slices=2
  --set gating.batch=256 --set gating.steps=8 --set gating.save_every=2
  --set finetune.batch=16 --set finetune.steps=8 --set finetune.save_every=2)

phase_names=(pretrain distill gating finetune)

model_of() { if [ "$1" -eq 3 ]; then echo model.safetensors; else echo "model-phase$1.safetensors"; fi; }

# inputs_for PHASE FOLDER: the settings with which the phase starts from a folder of make_inputs, into the array `inputs`.
inputs_for() {
  inputs=()
  if [ "$1" -gt 0 ]; then inputs+=(--set "distill.model=$2/model-phase0.safetensors" --set "cache.dir=$2/cache"); fi
  if [ "$1" -gt 1 ]; then inputs+=(--set "${phase_names[$1]}.model=$2/$(model_of $(($1 - 1)))"); fi
}

# attempt RANKS ARGS...: acm_dist with the variables of the array `fault`; `code` is its exit code, and its output lands in `stdout` and
# `stderr`. It has $limit seconds (600 where not set: only a hang is to end by it); 124 or 137 says that they passed.
# `wrapper` may hold a program and arguments that start acm_dist (prlimit ...).
fault=() wrapper=()
attempt() {
  local ranks=$1 launcher=()
  shift
  if [ "$ranks" -gt 1 ]; then launcher=(mpirun -n "$ranks" --bind-to none); fi
  code=0
  # The outer redirection takes bash's own line about a program that was killed.
  {
    timeout --kill-after=5 "${limit:-600}" "${launcher[@]}" "${wrapper[@]}" env "${fault[@]}" "$ACM_BUILD/acm_dist" "$@" </dev/null >stdout 2>stderr || code=$?
  } 2>/dev/null
}

# attempt_phase RANKS PHASE FOLDER ARGS...
attempt_phase() {
  local ranks=$1 phase=$2 folder=$3
  shift 3
  attempt "$ranks" --phase "$phase" --config "$tiny" --set "run_dir=$folder" "$@"
}

# make_inputs FOLDER SETTINGS...: a finished run on one rank, from whose models and cache every phase can be started.
make_inputs() {
  attempt_phase 1 all "$@"
  [ "$code" -eq 0 ] || fail "the run that makes the inputs ended with $code: $(tail -n 5 stderr)"
}

# inject ROOTS WORDS...: sets `fault` to the library below these folders (colons between), with further variables such as DO=EIO AT=7.
inject() {
  fault=("LD_PRELOAD=$ACM_INJECT${LD_PRELOAD:+:$LD_PRELOAD}" "ACM_FAULT_ROOT=$1")
  shift
  local word
  for word in "$@"; do fault+=("ACM_FAULT_$word"); done
}

# points_of LOG: the numbers of the calls of the save of step 6, with the removal of step 2, in a log of the library.
points_of() { awk '/step-00000006/ { seen = 1 } seen && /step-0000000[26]/ { print $1 }' "$1"; }

# went_on_from_newest BEFORE RUN: the logs of a run say that each checkpoint's folder of BEFORE, the run folder as it was when it was started
# again, was gone on with from its newest step. A finished site's folder is not gone on with.
went_on_from_newest() {
  local folder step
  while read -r folder; do
    step=$(find "$1/$folder" -maxdepth 2 -name manifest.json | sed -E 's|.*/step-0*([0-9]+)/.*|\1|' | sort -n | tail -n 1)
    grep -rqE "starting at step $step of .*$2/$folder\)" "$2/log" || return 1
  done < <(cd "$1" && find . -name manifest.json | sed -E 's|^\./||; s|/step-[0-9]+/manifest.json||' | sort -u |
    while read -r folder; do [ -e "$folder/learners.safetensors" ] || echo "$folder"; done)
}

# complain WHAT: notes a failure, with the end of the program's output, and goes on; end_with_figure fails in the end. The run folder, if
# given as the second argument, is kept in $ACM_KEEP, where that is set.
complaints=0
complain() {
  complaints=$((complaints + 1))
  {
    echo "WRONG: $1"
    tail -n 12 stderr
  } >&2
  if [ -n "${ACM_KEEP:-}" ] && [ -e "${2:-}" ]; then mkdir -p "$ACM_KEEP" && cp -r "$2" "$ACM_KEEP/$(basename "$0" .sh)-$complaints"; fi
}

# end_with_figure LINE: the last line of a script.
end_with_figure() {
  echo "$(basename "$0" .sh): $1"
  [ "$complaints" -eq 0 ] || fail "$complaints complaint(s), each begins with WRONG above; ACM_SEED=$ACM_SEED repeats them"
}
