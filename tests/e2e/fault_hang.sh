#!/usr/bin/env bash
# A rank that is stopped (it gives no sign of life) is named with the collective and the step, and all end with 71; the same command then goes on.
# A rank that lives but does not come to a collective: tests/parallel/late_program.cpp.
. "$(dirname "$0")/background.sh"
limits=(--set safety.silent_seconds=3 --set safety.late_seconds=3)

begin 3 0 run --set pretrain.steps=100000 --set pretrain.save_every=10 "${limits[@]}"
wait_until has_checkpoint run/phase0
hung=$(rank_pid run 1)
kill -STOP "$hung"
ends_with 71
expect_in stderr "rank [02] gives the run up: rank 1 \(process $hung on .*\) is lost: it has given no sign of life for [0-9]+ s; this rank has waited [0-9]+ s in all_reduce [0-9]+ of the group (data|control) at step [0-9]+ of pretrain"
is_dead() { ! grep -q '^State:[[:space:]]*[^ZX]' "/proc/$1/status"; }
wait_until is_dead "$hung"

begin 2 0 run --set pretrain.steps=100000 --set pretrain.save_every=10
wait_until grep -qE 'starting at step [1-9][0-9]* of .*newest whole checkpoint' run/log/rank-00000.log
kill -TERM "$(rank_pid run 0)"
ends_with 75
