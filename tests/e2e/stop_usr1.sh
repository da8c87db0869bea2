#!/usr/bin/env bash
# SIGUSR1 to mpirun in every phase: the run saves, says so and ends with 75, and the same command goes on from there to the very bytes of a run
# that nobody stopped; phase 1 also on another number of ranks.
. "$(dirname "$0")/background.sh"

train 2 all undisturbed "${phases_of_seconds[@]}"

# stop_in PHASE CHECKPOINTS: goes on with the run `stopped` until the phase has a checkpoint, and stops it.
stop_in() {
  begin 2 all stopped "${phases_of_seconds[@]}"
  wait_until has_checkpoint "stopped/$2"
  kill -USR1 "$job"
  ends_with 75
  expect_in stderr 'stopped and saved; the same command goes on from here'
  if [ -e "stopped/eval-phase$1.json" ] || [ -e stopped/eval.json ]; then fail "phase $1 was finished before it could be stopped"; fi
}

stop_in 0 phase0
stop_in 1 'phase1/*'
went_on stderr pretrain
cp -r stopped stopped_in_1
stop_in 2 phase2
went_on stderr "distill, site [a-z0-9.]+"
stop_in 3 phase3
went_on stderr gating
train 2 all stopped "${phases_of_seconds[@]}"
went_on stderr finetune
same_models undisturbed stopped

train 3 1 stopped_in_1 "${phases_of_seconds[@]}"
cat stopped_in_1/log/* >logs
went_on logs 'distill, site [a-z0-9.]+'
same_bytes undisturbed/model-phase1.safetensors stopped_in_1/model-phase1.safetensors
