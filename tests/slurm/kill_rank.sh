#!/usr/bin/env bash
# A rank of phase 1 is killed: the other does not wait for it for ever, the job ends by itself and begins again, at most ACM_MAX_RETRIES times. The
# same phase, submitted again, ends with the bytes of an undisturbed run.
. "$(dirname "$0")/lib.sh"

make_undisturbed
settings=(--set "distill.model=$undisturbed/model-phase0.safetensors")

ACM_MAX_RETRIES=1 submit_phase 1 run "${settings[@]}"
has_saved_anew() { [ -n "$(find run/phase1 -name manifest.json -newer started 2>/dev/null)" ]; }
for restart in 0 1; do
  await says "$id" "^== job .* restart $restart,"
  touch started
  await has_saved_anew
  kill -KILL "$(rank_pid run 1)"
done
# 137: killed by Slurm with the other; 71: by itself, when it noticed that the other is gone.
await is_over "$id"
code=$(job_field "$id" ExitCode)
[[ $code == 137:0 || $code == 71:0 ]] || fail "job $id must end with 137 or 71, ended with $code"
expect_end "$id" FAILED 1 "${code%:0}"
expect_in "$id.log" 'started again 1 times after failures, of ACM_MAX_RETRIES = 1: not begun again'

submit_phase 1 run "${settings[@]}"
expect_end "$id" COMPLETED 0
cat run/log/* >logs
went_on logs 'distill, site [a-z0-9.]+'
same_bytes "$undisturbed/model-phase1.safetensors" run/model-phase1.safetensors
