#!/usr/bin/env bash
# A rank, or mpirun itself, is killed at some moment after a checkpoint in each phase; the same command, given again, ends with the bytes of a run
# that nobody killed. ACM_SEED repeats the moments of an earlier run.
. "$(dirname "$0")/background.sh"
RANDOM=${ACM_SEED:=$(date +%N | sed 's/^0*//')}
echo "moments from ACM_SEED=$ACM_SEED"

train 2 all undisturbed "${phases_of_seconds[@]}"

# kill_in WHO FOLDER FIRST LAST STEP: goes on with the run `killed`, kills WHO when some checkpoint between FIRST and LAST, one every STEP steps,
# is whole or about to be written, and waits until nobody of the run is left.
kill_in() {
  local who=$1 folder=killed/$2 step rank pids victim
  step=$(($3 + RANDOM % (($4 - $3) / $5) * $5))
  rank=$((RANDOM % 2))
  # A folder without its manifest is a save that goes on.
  local moment
  moment=$folder/step-$(printf %08d "$step")
  if ((RANDOM % 2)); then moment+=/manifest.json; fi
  begin 2 all killed "${phases_of_seconds[@]}"
  wait_until compgen -G "$moment" >/dev/null
  pids="$(rank_pid killed 0) $(rank_pid killed 1)"
  if [ "$who" = mpirun ]; then victim=$job; else victim=$(rank_pid killed $rank); fi
  kill -KILL "$victim"
  echo "killed $who ($rank) at $moment"
  ends_with 137
  for pid in $pids; do wait_until is_gone "$pid"; done
}

kill_in rank phase0 20 80 10
kill_in mpirun 'phase1/*' 200 500 100
went_on stderr pretrain
kill_in rank phase2 20 50 10
kill_in mpirun phase3 20 50 10
train 2 all killed "${phases_of_seconds[@]}"
went_on stderr finetune
same_models undisturbed killed
