# shellcheck shell=bash disable=SC2154,SC2034
# Sourced by fault_kinds.sh: damage to files between two starts.

# flip FILE FROM_END: a bit of the byte so far before the end of the file.
flip() {
  local at=$(($(stat -c %s "$1") - $2)) byte
  byte=$(od -An -tu1 -j "$at" -N 1 "$1")
  # shellcheck disable=SC2059  # the format is the byte
  printf "\\x$(printf %02x $((byte ^ 16)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}

exchange() {
  mv "$1" exchanged
  mv "$2" "$1"
  mv exchanged "$2"
}

halve() { truncate -s $(($(stat -c %s "$1") / 2)) "$1"; }

# interrupt PHASE RANKS: a run that was killed in its last save, with whole checkpoints of steps 25 and 50.
interrupt() {
  local where=$here/run/phase$1
  inject "$where/step-00000075:$where/blocks.0.ffn/step-00000075" RANK=0 AT=2 DO=signal:9
  run_phase "$2" "$1"
  [ "$code" -eq 137 ] || fail "the run of phase $1 that was to be killed ended with $code"
  fault=()
}

# damaged NAME MESSAGE COMMAND...: a checkpoint of step 50 is damaged by the command; the message names it, and step 25 is gone on from.
damaged() {
  begin_kind "$1" 'exit 0, names it, goes on from the step before'
  local message=$2
  shift 2
  interrupt 0 2
  "$@"
  run_phase 2 0
  ended 0 "${message:-starting at step 25 of 100}"
  says 'starting at step 25 of 100'
  equal_bytes
}

step=run/phase0/step-00000050
damaged 'a bit flip in a shard' "passing over .*$step/rank-00001.safetensors is damaged: [a-z]" flip $step/rank-00001.safetensors 40
damaged 'a bit flip in a manifest' "passing over .*$step/manifest.json" flip $step/manifest.json 90
damaged 'a shard cut short' "passing over .*$step/rank-00000.safetensors" halve $step/rank-00000.safetensors
damaged 'a shard deleted' "passing over .*$step/rank-00001.safetensors" rm $step/rank-00001.safetensors
damaged 'a shard of another step' "passing over .*$step/rank-00001.safetensors is damaged: [a-z]" cp run/phase0/step-00000025/rank-00001.safetensors $step/
damaged 'shards of a step exchanged' "passing over .*$step/rank-0000[01].safetensors" exchange $step/rank-0000{0,1}.safetensors
damaged 'a manifest deleted' '' rm $step/manifest.json

begin_kind 'a file where the folder of checkpoints should be' 'exit 64, names it'
mkdir run
echo 'a file' >run/phase0
run_phase 1 0
ended 64 run/phase0
rm -f run/phase0
resumed

begin_kind 'a bit flip in a segment of the cache' 'exit 0, names it, captures it again'
undisturb 1 1
cp -r inputs/cache own_cache
interrupt 1 1
flip own_cache/segment-00001.h5 5000
run_phase 1 1 --set cache.dir=own_cache
ended 0 'own_cache/segment-00001.h5.*captured again'
equal_bytes

begin_kind 'a bit flip in the input model of a phase that was begun' 'exit 64 or 65, tells the digests'
interrupt 1 1
cp inputs/model-phase0.safetensors kept
flip inputs/model-phase0.safetensors 40
run_phase 1 1
ended '64|65' 'input: "[0-9a-f]+" here'
cp kept inputs/model-phase0.safetensors
resumed

begin_kind "a bit flip in the input model of a phase that is new" 'exit 65, names it'
flip inputs/model-phase0.safetensors 40
run_phase 1 1 --set cache.dir=another_cache
ended 65 'model-phase0.safetensors'
cp kept inputs/model-phase0.safetensors
rm -rf run
resumed

begin_kind "a bit flip in the learners of a finished site" 'exit 65, or it is trained again'
inject "$here/run/model-phase1" AT=1 DO=signal:9
run_phase 1 1
[ "$code" -eq 137 ] || fail "phase 1 that was to be killed at its end ended with $code"
fault=()
flip run/phase1/blocks.0.ffn/learners.safetensors 20
run_phase 1 1
if [ "$code" -eq 65 ]; then ended 65 'learners.safetensors'; else ended 0 '' && equal_bytes; fi

begin_kind 'NaN in the weights of the input model' 'exit 65 or 70, not finite'
cp inputs/model-phase2.safetensors kept
printf '\x00\x00\xc0\x7f' | dd of=inputs/model-phase2.safetensors bs=1 seek=$(($(stat -c %s kept) - 4)) conv=notrunc status=none
run_phase 1 3
ended '65|70' 'not finite|NaN|damaged'
cp kept inputs/model-phase2.safetensors
rm -rf run
undisturb 3 1
resumed
