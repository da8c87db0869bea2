#!/usr/bin/env bash
# What the machine does not give: space, folders, samples enough for the ranks.
. "$(dirname "$0")/refusals.sh"

make_teacher teacher
model=(--set distill.model="$scratch/teacher/model-phase0.safetensors")
refused_training 71 "cannot capture into $scratch/run/cache: the cache takes [0-9.]+ TB at once, more is missing of it than the [0-9.]+ [GT]B that are free; set cache.max_bytes, which has it filled in windows, lower cache.samples or name another" 1 run \
  "${model[@]}" --set cache.samples=10000000000

refused 64 'cannot make the folder /proc/nowhere.*' --phase 0 --config "$config" --set run_dir=/proc/nowhere
echo >file
refused_training 64 'cannot make the folder .*/file/.*: Not a directory; check the path' 0 file

EXPECT=64 train 3 0 run --set pretrain.batch=2
says_it_once 'cannot cut pretrain.batch = 2 into 3 slices \(3 ranks x 1 micro-batches\): start fewer ranks, or raise the batch'
train 2 all gated "${model[@]}" "${short_distill[@]}" "${short_gating[@]}" "${short_finetune[@]}" --set 'acm.sites=["ffn"]'
EXPECT=64 train 3 3 run --set finetune.model="$scratch/gated/model-phase2.safetensors" --set finetune.batch=2
says_it_once 'cannot cut finetune.batch = 2 into 3 slices'
EXPECT=64 train 2 2 run "${model[@]}" --set gating.model="$scratch/gated/model-phase1.safetensors" --set gating.batch=4 --set gating.micro_batches=3
says_it_once 'cannot cut gating.batch = 4 into 6 slices \(2 ranks x 3 micro-batches\)'
