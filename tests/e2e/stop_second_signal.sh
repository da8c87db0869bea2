#!/usr/bin/env bash
# SIGUSR2 stops as the other signals do; a second signal, more than a second after the first, ends the run at once, and it goes on from its last checkpoint.
. "$(dirname "$0")/background.sh"

begin 2 0 run --set pretrain.steps=100000 --set pretrain.save_every=10
wait_until has_checkpoint run/phase0
kill -USR2 "$(rank_pid run 0)"
ends_with 75

# Rank 0 cannot save while rank 1 stands still.
begin 2 0 run --set pretrain.steps=100000 --set pretrain.save_every=10
wait_until grep -q 'starting at step [1-9]' stderr
kill -STOP "$(rank_pid run 1)"
rank=$(rank_pid run 0)
kill -TERM "$rank"
asked=$(date +%s%N)
second_is_another() { [ $(($(date +%s%N) - asked)) -gt 1100000000 ]; }
wait_until second_is_another
kill -INT "$rank"
ends_with 130
expect_in stderr 'a second signal \(INT\): leaving at once; the same command goes on from the last checkpoint'
