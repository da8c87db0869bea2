# shellcheck shell=bash
# Sourced by the batch scripts of this folder: starts acm_dist under srun, passes signals on to its ranks, and has Slurm begin the job
# again where that helps (docs/slurm.md).

program=${ACM_DIST:-$SLURM_SUBMIT_DIR/build/acm_dist}
most_retries=${ACM_MAX_RETRIES:-3}
# An array's task by its index: the number of one of them stands for the whole array.
job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
job=${job:-$SLURM_JOB_ID}

say() { printf '== %s\n' "$*"; }

# ask COMMAND...: a question to Slurm, whose controller may be busy for a moment: for half a minute, until it succeeds.
ask() {
  local tries
  for ((tries = 1; tries < 6; tries++)); do
    if "$@"; then return; fi
    sleep 5
  done
  "$@"
}

# stop_for_good MESSAGE: for what another start would not change.
stop_for_good() {
  echo "slurm: $*" >&2
  exit 64
}

# The first line of each start.
say "job $job, restart ${SLURM_RESTART_COUNT:-0}, on $SLURM_JOB_NODELIST"
[[ $most_retries =~ ^[0-9]+$ ]] || stop_for_good "ACM_MAX_RETRIES must be a whole number, got '$most_retries'"
[[ -x $program ]] || stop_for_good "$program is not there: build it with launch/setup.sh, or name the program in ACM_DIST"

# Open MPI talks to Slurm by PMIx only. With Slurm's own choice of a PMIx fence a rank may get messages before it is ready for them: about
# one start in a hundred crashed (Slurm 22.05, Open MPI 4.1.4).
export SLURM_MPI_TYPE=${SLURM_MPI_TYPE:-pmix} SLURM_PMIX_FENCE=${SLURM_PMIX_FENCE:-tree}
# sbatch's --cpus-per-task no longer reaches srun by itself.
if [[ ${SLURM_CPUS_PER_TASK:-} ]]; then export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK; fi

asked=       # a signal has asked for the end
interrupted= # since the last look
srun_pid=
srun_since=
asker=

# Asks once. But before the ranks are up a request is lost, so in srun's first minute it is repeated every second; ranks that hear it again
# within five seconds take it for one. USR1 also where TERM came, at which srun would kill them.
ask_to_stop() {
  asked=1 interrupted=1
  if [[ $srun_pid && ! $asker ]]; then
    say "asking the ranks to save and stop"
    while kill -USR1 "$srun_pid" && ((SECONDS < srun_since + 60)); do sleep 1; done >/dev/null 2>&1 &
    asker=$!
  fi
}
trap ask_to_stop USR1 TERM

# Sets `time_left` to the option that tells acm_dist when its time ends; to nothing where it has no end.
find_time_left() {
  local left
  time_left=()
  left=$(ask squeue --noheader --job "$job" --format %L) || say "the time left is unknown: only Slurm's signals will stop the ranks"
  if [[ $left =~ ^[0-9:-]+$ ]]; then time_left=(--time-left "$left"); fi
}

# run_ranks ARGUMENTS...: acm_dist on all ranks of the job; sets `code` to its exit code.
run_ranks() {
  local time_left
  find_time_left
  code=75
  [[ ! $asked ]] || return 0
  say "acm_dist $*" "${time_left[@]}"
  # As under launch/local.sh, ranks may use all cores that the job has on their node, and share them among themselves.
  srun --kill-on-bad-exit=1 --cpu-bind=none "$program" "$@" "${time_left[@]}" &
  srun_pid=$! srun_since=$SECONDS
  if [[ $asked ]]; then ask_to_stop; fi
  # A trapped signal ends `wait` early, so wait until it ended for the other reason.
  while true; do
    interrupted=
    code=0
    wait "$srun_pid" || code=$?
    [[ $interrupted ]] || break
  done
  srun_pid=
  if [[ $asker ]]; then
    kill "$asker" 2>/dev/null || true
    # Code 138: the request came before the ranks could listen, so USR1 itself ended them, with nothing begun.
    if ((code == 138)); then code=75; fi
  fi
}

# Failed starts are counted in the job's comment, which Slurm keeps over restarts and forgets with the job; what the user wrote there stays.
note_failure() {
  local comment failed=0
  comment=$(ask squeue --noheader --job "$job" --format %k) || return
  [[ $comment != '(null)' ]] || comment=
  if [[ $comment =~ ^(.*)'[acm_dist: '([0-9]+)' failed starts]'$ ]]; then comment=${BASH_REMATCH[1]} failed=${BASH_REMATCH[2]}; fi
  if ((failed >= most_retries)); then
    say "started again $failed times after failures, of ACM_MAX_RETRIES = $most_retries: not begun again"
    return 1
  fi
  ask scontrol update JobId="$job" Comment="${comment:+${comment% } }[acm_dist: $((failed + 1)) failed starts]"
}

# Whether the job is ours to begin again: where Slurm is ending it, only if its time is over. Otherwise it was cancelled, which is for
# good, or Slurm begins it again itself, as after a node failed.
is_ours() {
  local state
  state=$(ask squeue --noheader --job "$job" --format '%T %r') || return
  [[ $state == RUNNING* || $state == 'COMPLETING TimeLimit' ]] && return
  say "Slurm is ending the job ($state): not begun again from here"
  return 1
}

begin_again() {
  say "job $job begins again"
  ask scontrol requeue "$job" || say "Slurm refuses: submit the job again, and it goes on where it was"
}

# end_job: the last command of a batch script. The job begins again or ends with `code`.
end_job() {
  trap '' USR1 TERM
  case $code in
    0) say "done" ;;
    64 | 65 | 70) say "ended with $code, which another start would not change" ;;
    75) say "stopped and saved" && is_ours && begin_again ;;
    # 1: srun itself failed; above 128: a rank was ended by a signal.
    1 | 71 | 129 | 1[3-9]? | 2??) say "failed with $code" && is_ours && note_failure && begin_again ;;
    *) say "ended with $code" ;;
  esac || true
  exit "$code"
}
