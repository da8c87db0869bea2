#!/usr/bin/env bash
# usage: fault_kinds.sh [--long]
# One fault of each kind, and for each what was expected and what happened: the exit code, the message, and whether the same command without the
# fault ends with the bytes of an undisturbed run. Both forms are the same.
. "$(dirname "$0")/lib.sh"
. "$faults/fault_kinds_lib.sh"

# Long enough that a request to stop during the second save is heard before the end. Saves after 25, 50 and 75 of 100 steps.
settings=("${small[@]}" --set pretrain.steps=100 --set pretrain.save_every=25 --set distill.steps=100 --set distill.save_every=25)

make_inputs inputs "${settings[@]}"
undisturb 0 1
undisturb 0 2

# Signals to one of two ranks, in its second save.
for signal in TERM:75 USR1:75 INT:75 USR2:75 KILL:137 SEGV:139 ABRT:134; do
  begin_kind "SIG${signal%:*} to a rank" "exit ${signal#*:}"
  inject "$here/run/phase0/step-00000050" RANK=1 AT=2 "DO=signal:$(kill -l "${signal%:*}")"
  run_phase 2 0
  ended "${signal#*:}" ''
  resumed
done

begin_kind 'SIGKILL to mpirun' 'exit 137'
begin 2 0 run "${settings[@]}" --set pretrain.save_every=1
wait_until has_checkpoint run/phase0
pids="$(rank_pid run 0) $(rank_pid run 1)"
kill -KILL "$job"
code=0
{ wait "$job" || code=$?; } 2>/dev/null
job=
for pid in $pids; do wait_until is_gone "$pid"; done
ended 137 ''
resumed

begin_kind 'a rank stands still for 3 s (SIGSTOP, SIGCONT)' 'exit 0'
begin 2 0 run "${settings[@]}"
wait_until rank_pid run 1 >rank1
pid=$(cat rank1)
kill -STOP "$pid"
sleep 3
kill -CONT "$pid"
code=0
wait "$job" || code=$?
job=
ended 0 ''
equal_bytes

begin_kind 'a rank stands still for ever (SIGSTOP)' 'exit 71 within 30 s, names the rank'
inject "$here/run/phase0/step-00000050" RANK=1 AT=2 DO=signal:19
limit=30 run_phase 2 0
kill_left
ended 71 'rank 1'
resumed

begin_kind 'a disk that never answers (a write of a rank hangs)' 'exit 71 within 30 s, names the rank'
inject "$here/run/phase0/step-00000050" RANK=1 AT=2 DO=delay:100000
limit=30 run_phase 2 0 --set safety.save_seconds=8
kill_left
ended 71 'rank 1 .* has been writing its part of the checkpoint of step 50'
resumed

# Errors of the disk in a save.
for error in EIO:71:'Input/output error' ENOSPC:71:'No space left on device' EDQUOT:71:'Disk quota exceeded' EACCES:64:'Permission denied'; do
  IFS=: read -r name exit_code message <<<"$error"
  begin_kind "$name at a write of a save" "exit $exit_code, names the file"
  if [ "$name" = EACCES ]; then calls='open'; else calls='write'; fi
  inject "$here/run/phase0/step-00000050/rank-00001" RANK=1 CALLS=$calls AT=1 "DO=$name"
  run_phase 2 0
  ended "$exit_code" "step-00000050/rank-00001.*$message"
  resumed
done

begin_kind 'a short write' 'exit 0'
inject "$here/run/phase0/step-00000050" RANK=1 CALLS=write AT=2 DO=short
run_phase 2 0
ended 0 ''
equal_bytes

begin_kind 'a slow disk (20 ms an operation)' 'exit 0'
inject "$here/run/phase0" DO=delay:20
run_phase 2 0
ended 0 ''
equal_bytes

begin_kind 'a disk that flips a bit of a shard' 'exit 71, names shard and tensor'
inject "$here/run/phase0/step-00000050/rank-00001" RANK=1 CALLS=write AT=4 DO=flip
run_phase 2 0
ended 71 'step-00000050/rank-00001.*digest'
resumed

begin_kind 'a wall clock that jumps by a day, forth and back' 'exit 0'
fault=("LD_PRELOAD=$ACM_INJECT" ACM_FAULT_CLOCK=86400)
run_phase 2 0
ended 0 ''
equal_bytes

. "$faults/fault_kinds_files.sh"
. "$faults/fault_kinds_places.sh"

print_kinds
