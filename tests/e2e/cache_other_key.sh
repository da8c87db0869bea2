#!/usr/bin/env bash
# Runs of an equal key share a cache, also one that wants fewer samples; a run of another key is refused and told what differs.
source "$(dirname "$0")/lib.sh"

make_teacher run
shared=("${short_distill[@]}" --set distill.model=run/model-phase0.safetensors --set cache.dir=shared)
train 1 1 first "${shared[@]}"
times shared/* >before

EXPECT=64 train 2 1 other "${shared[@]}" --set seed=2
expect_in stderr 'cannot use the cache in shared: .*seed was 1 and is 2'
EXPECT=64 train 1 1 another "${shared[@]}" --set cache.micro_batch=8
expect_in stderr 'micro_batch was 16 and is 8'

train 2 1 second "${shared[@]}"
expect_not_in stderr 'to capture'
same_bytes first/model-phase1.safetensors second/model-phase1.safetensors
# Of fewer samples: the first segments are its own.
train 2 1 fewer "${shared[@]}" --set cache.samples=128
expect_not_in stderr 'to capture'
times shared/* >after
same_bytes before after
