#!/usr/bin/env bash
# SIGUSR2 stops as the other signals do; a second signal, more than a second after the first, ends the run at once, and it goes on from its last checkpoint.
. "$(dirname "$0")/background.sh"

begin 2 0 run --set pretrain.steps=100000 --set pretrain.save_every=10
wait_until has_checkpoint run/phase0
kill -USR2 "$(rank_pid run 0)"
ends_with 75

# Stopped in the capture of a segment that takes long, so that it cannot save soon.
make_teacher teacher
begin 1 1 run --set distill.model=teacher/model-phase0.safetensors --set cache.samples=20000 --set cache.segment_samples=10000 --set cache.micro_batch=16 --set cache.shuffle_segments=1
capturing() { grep -q '"phase":"capture"' run/alive/rank-00000; }
wait_until capturing
rank=$(rank_pid run 0)
kill -TERM "$rank"
second_is_another() { [ $(($(date +%s%N) - asked)) -gt 1100000000 ]; }
asked=$(date +%s%N)
wait_until second_is_another
kill -INT "$rank"
ends_with 130
expect_in stderr 'a second signal \(INT\): leaving at once; the same command goes on from the last checkpoint'
