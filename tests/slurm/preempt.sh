#!/usr/bin/env bash
# USR1 to the batch shell, which Slurm sends before a job's time ends: the ranks save, the job begins again by itself, and the model has the bytes
# of an undisturbed run. Also where the signal comes before the ranks are there to hear it.
. "$(dirname "$0")/lib.sh"

make_undisturbed
submit_phase 0 early
early=$id
await says "$early" '^== acm_dist --phase'
scancel --batch --signal=USR1 "$early"

submit_phase 0 run
expect_restart() {
  last_start "$1"
  [ "$(head -n 1 last | sed 's/, on .*//')" = "== job $1, restart 1" ] || fail "the log's last start must say that it is restart 1: $(head -n 1 last)"
  expect_in "$1.log" 'asking the ranks to save and stop'
}
await has_checkpoint run/phase0
scancel --batch --signal=USR1 "$id"

expect_end "$early" COMPLETED 1
expect_restart "$early"
same_bytes "$undisturbed/model-phase0.safetensors" early/model-phase0.safetensors

expect_end "$id" COMPLETED 1
expect_restart "$id"
expect_in "$id.log" 'stopped and saved; the same command goes on from here'
went_on last pretrain
same_bytes "$undisturbed/model-phase0.safetensors" run/model-phase0.safetensors
