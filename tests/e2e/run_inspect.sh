#!/usr/bin/env bash
# inspect shows and verifies what stands in a run folder; whatever is damaged is named, and the exit code is then 65.
. "$(dirname "$0")/lib.sh"

train 2 all run "${short_pretrain[@]}" "${short_distill[@]}" "${short_gating[@]}" "${short_finetune[@]}" --set pretrain.save_every=2 --set 'acm.sites=["ffn"]'
acm 1 inspect run
expect_in stdout '^run/cache/segment-00000.h5: cache segment, whole: 32 samples from number 0, 544 rows of 2 sites'
expect_in stdout '^run/phase0/step-00000004: checkpoint, whole: [0-9]+ tensors, .* in 2 shards'
expect_in stdout '^run/model-phase0.safetensors: model file, whole: dense model of phase pretrain'
expect_in stdout '^run/model-phase1.safetensors: model file, whole: ACM model with 2 sites without gates of phase distill'
expect_in stdout '^run/model.safetensors: model file, whole: ACM model with 2 sites of phase finetune'
acm 1 inspect run/phase0 --json
python3 -c 'import json; rows = json.load(open("stdout")); assert [r["state"] for r in rows] == ["whole", "whole"], rows'

printf X | dd of=run/cache/segment-00001.h5 bs=1 seek=3000 conv=notrunc status=none
printf X | dd of=run/phase0/step-00000004/rank-00001.safetensors bs=1 seek=$(($(stat -c %s run/phase0/step-00000004/rank-00001.safetensors) - 9)) conv=notrunc status=none
rm run/phase0/step-00000002/manifest.json
EXPECT=65 acm 1 inspect run
expect_in stdout '^run/cache/segment-00001.h5: cache segment, damaged: .*segment-00001.h5 is damaged: /.* has the digest [0-9a-f]{16}, expected'
expect_in stdout '^run/phase0/step-00000004: checkpoint, damaged: .*rank-00001.safetensors is damaged: .* has the digest'
expect_in stdout '^run/phase0/step-00000002: checkpoint, unfinished: it has no manifest'
EXPECT=64 acm 1 inspect nowhere
expect_in stderr 'cannot inspect nowhere: it does not exist'
EXPECT=64 acm 1 inspect run/log
expect_in stderr 'it is no checkpoint, cache segment \(.h5\) or model file'
