# shellcheck shell=bash
# Sourced by the tests of this folder, which submit jobs to the cluster that the test slurm.start has begun. Beside what the tests of e2e/
# set, CTest sets ACM_SLURM, the name of the cluster's folder.
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/background.sh"
: "${ACM_SLURM:?the folder of the cluster}"
export SLURM_CONF=$ACM_SLURM/slurm.conf ACM_DIST=$ACM_BUILD/acm_dist
[ -e "$SLURM_CONF" ] || skip "no cluster was started (see slurm.start)"
trap 'code=$?; end_all_jobs; rm -rf "$scratch"; exit $code' EXIT

# Phase 3 takes long enough to be disturbed by commands of Slurm, on fast processors too.
tiny=(--config "$ACM_SOURCE/configs/tiny.toml" --set threads=1 "${phases_of_seconds[@]}" --set finetune.steps=400)
two_nodes=(--nodes=2 --ntasks-per-node=1)

# submit ARGUMENTS...: sbatch, from the source folder; sets `id`. The job's log is $id.log here.
submit() { id=$(cd "$ACM_SOURCE" && sbatch --parsable --output="$scratch/%j.log" "$@"); }

# submit_phase PHASE FOLDER ARGUMENTS...: a phase of tiny.toml with one rank on each of two nodes; SBATCH_* variables are options of the job.
submit_phase() {
  local phase=$1 folder=$2
  shift 2
  submit "${two_nodes[@]}" slurm/phase.sbatch --phase "$phase" "${tiny[@]}" --set "run_dir=$scratch/$folder" "$@"
}

# job_field ID NAME: what `scontrol show job` says, such as JobState, Restarts or ExitCode.
job_field() { scontrol --oneliner show job "$1" | sed -nE "s/(.* )?$2=([^ ]*).*/\2/p"; }

# await COMMAND...: until it succeeds; ten minutes without that, far more than it takes, are a failure.
await() {
  local end=$((SECONDS + 600))
  until "$@"; do
    if ((SECONDS > end)); then
      squeue --long >&2
      tail -n 30 ./*.log >&2 || true
      fail "waited ten minutes for: $*"
    fi
    sleep 0.2
  done
}

state_is() { [[ $(job_field "$1" JobState) == "$2" ]]; }
is_over() { [[ $(job_field "$1" JobState) =~ ^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|OUT_OF_MEMORY)$ ]]; }

# expect_end ID STATE RESTARTS [CODE]: the job ends so, after so many restarts.
expect_end() {
  local found
  await is_over "$1"
  found="$(job_field "$1" JobState) $(job_field "$1" Restarts) $(job_field "$1" ExitCode)"
  [[ $found == "$2 $3 ${4:-0}:0" ]] && return
  tail -n 40 "$1.log" >&2
  fail "job $1 ended as '$found' (state, restarts, exit code), expected '$2 $3 ${4:-0}:0'"
}

# says ID PATTERN: the job's log has such a line by now.
says() { grep -qE -- "$2" "$1.log" 2>/dev/null; }

# last_start ID: the log of the job's last start, into the file `last`.
last_start() { awk '/^== job .* restart / { text = "" } { text = text $0 "\n" } END { printf "%s", text }' "$1.log" >last; }

end_all_jobs() {
  scancel --user="$(id -un)" --full || true
  await no_jobs
}
no_jobs() { [[ -z $(squeue --noheader) ]]; }

# make_undisturbed: all phases in the run folder $undisturbed, on two nodes and disturbed by nobody; once for all scripts.
undisturbed=$ACM_SLURM/undisturbed
make_undisturbed() {
  [ ! -e "$undisturbed" ] || return 0
  submit_phase all undisturbed
  expect_end "$id" COMPLETED 0
  mv undisturbed "$undisturbed"
}
