#!/usr/bin/env bash
# A second run in the folder of one that runs is refused with host and process of the first; a lock that a dead run left is taken over, and told.
. "$(dirname "$0")/background.sh"
settings=(--set pretrain.steps=100000 --set pretrain.save_every=10)

begin 2 0 run "${settings[@]}"
wait_until has_checkpoint run/phase0
first=$(rank_pid run 0)
mkdir other
(cd other && EXPECT=64 train 1 0 "$scratch/run" "${settings[@]}")
expect_in other/stderr "^acm_dist: cannot use .*run: another run uses it, process $first on host $(hostname); wait for it, stop it, or choose another run_dir"
is_running "$job" || fail "the first run did not survive the second"
kill -KILL "$first"
ends_with 137

# stop_after_start: starts the run again, and stops it in order.
stop_after_start() {
  begin 2 0 run "${settings[@]}"
  wait_until grep -q 'starting at step' run/log/rank-00000.log
  kill -TERM "$(rank_pid run 0)"
  ends_with 75
}
stop_after_start
expect_in run/log/rank-00000.log "the last start in this folder, process $first on host .*, did not end in order"
stop_after_start
expect_not_in run/log/rank-00000.log 'did not end in order'
