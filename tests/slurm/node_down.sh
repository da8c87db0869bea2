#!/usr/bin/env bash
# A node of the job goes down: Slurm begins the job again, and it goes on from its checkpoint to the bytes of an undisturbed run.
. "$(dirname "$0")/lib.sh"

make_undisturbed
submit_phase 3 run --set "finetune.model=$undisturbed/model-phase2.safetensors"
await has_checkpoint run/phase3
node=$(scontrol show hostnames "$(job_field "$id" NodeList)" | tail -n 1)
scontrol update NodeName="$node" State=DOWN Reason=test
expect_end "$id" COMPLETED 1
# Slurm did it, not the batch script.
expect_not_in "$id.log" 'begins again'
last_start "$id"
expect_in last '^== job .* restart 1,'
went_on last finetune
same_bytes "$undisturbed/model.safetensors" run/model.safetensors
# ReturnToService = 2: the node comes back when its slurmd next reports.
is_back() { [[ $(sinfo --noheader --nodes="$node" --format=%T) == idle ]]; }
await is_back
