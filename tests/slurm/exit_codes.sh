#!/usr/bin/env bash
# Which exit codes begin a job again, and how often. The program is a stand-in; Slurm, srun and the batch script are the real ones.
. "$(dirname "$0")/lib.sh"
export ACM_DIST=$ACM_SOURCE/tests/slurm/stand_in.sh

# job_that ENDS RETRIES OPTIONS...: a job whose starts end so; sets `id`.
job_that() {
  ACM_ENDS=$1 ACM_MAX_RETRIES=$2 submit --ntasks=1 "${@:3}" slurm/phase.sbatch --phase 1
}

# expectations: one line a job, `ID STATE RESTARTS CODE`.
expected=()
expect_of() { expected+=("$id $*"); }

for code in 64 65 70; do
  job_that "$code 0" 3
  expect_of FAILED 0 $code
done
job_that '71 71 0' 1
expect_of FAILED 1 71
job_that '71 0' 0
expect_of FAILED 0 71
# 75 is not a failure, so it does not use up the one that is allowed. The user's comment stays.
job_that '75 71 0' 1 --comment='project 7'
commented=$id
expect_of COMPLETED 2 0
job_that '75 75 0' 0
expect_of COMPLETED 2 0
job_that 'KILL 0' 1
expect_of COMPLETED 1 0
job_that 'SEGV 0' 0
expect_of FAILED 0 139
job_that '3 0' 3
expect_of FAILED 0 3
# srun itself fails.
SLURM_MPI_TYPE=nonsense job_that '0 0' 1
expect_of FAILED 1 1
job_that '0 0' many
expect_of FAILED 0 64
ACM_DIST=$scratch/nothing job_that '0 0' 3
expect_of FAILED 0 64

for line in "${expected[@]}"; do
  # shellcheck disable=SC2086  # its words
  expect_end $line
done
[ "$(job_field "$commented" Comment)" = project ] || fail "the job's comment was not kept: $(job_field "$commented" Comment)"
grep -q 'Comment=project 7 \[acm_dist: 1 failed starts\]' <(scontrol show job "$commented") ||
  fail "expected one failed start in the comment: $(scontrol show job "$commented" | grep Comment)"
