#!/usr/bin/env bash
# `estimate` tells what a run would take, whether or not its data and weights are there, and writes nothing; the bytes of the cache that it
# tells are those of the run.
source "$(dirname "$0")/lib.sh"

base=$ACM_SOURCE/configs/vit_base_imagenet.toml
acm 1 estimate --config "$base" --machine h100 --ranks 8,512 --set data.path=none
expect_in stdout '^data: 1280167 training samples \[3,224,224\] in 1000 classes, of ImageNet-1k.s 1281167, as none is not there'
expect_in stdout '^model: 197 tokens a sample, 86\.57 M parameters, 17\.5[0-9]* GMAC a sample; .* at 60 sites .*; of the sizes in \[backbone\]$'
expect_in stdout '^phase 1 distill: 40[0-9]{3} steps of 12608 tokens a site; '
expect_in stdout '^ +512 cannot cut finetune\.batch = 512 into 512 slices .* of whole pairs'
expect_in stdout '^in all: 8 rank\(s\) [0-9.]+ [hd]; 512 rank\(s\) refused$'
expect_in stdout '^  float32_flops +4\.68e\+13 +NVIDIA.s figures of the H100'
[ -z "$(find . -mindepth 1 ! -name stdout ! -name stderr)" ] || fail "left behind: $(find .)"

# Speech, which is not trained yet, by its shapes.
acm 1 estimate --model wav2vec2-base-librispeech --machine h100 --set finetune.batch=1024 --set distill.slices=16
expect_in stdout '^data: 280241 training utterances, of LibriSpeech.s 281241, each as long as their mean: 196800 samples at 16 kHz$'
expect_in stdout '^model: 614 tokens a sample, 94\.4 M parameters, [0-9.]+ GMAC a sample; .* at 12 sites .*; of wav2vec2-base by its shapes, whose'
expect_in stdout '^phase 1 distill: [0-9]+ steps of 7368 tokens a site; '
expect_in stdout '^phase 3 finetune: 1094 steps of 1024 samples, gradients of '
expect_in stdout '^in all: 8 rank\(s\) .* 64 rank\(s\) .* 512 rank\(s\) .* 1024 rank\(s\) [0-9.]+ (h|d|min)$'

EXPECT=64 acm 1 estimate --config "$base" --machine abacus
expect_in stderr "there is no machine 'abacus'"

acm 2 estimate --config "$ACM_SOURCE/configs/tiny.toml" --set run_dir=run --ranks 2 --measure --json
expect_in stdout '"origin": "measured here by 2 rank\(s\)'
expected=$(grep -oE '"cache_bytes": [1-9][0-9]*' stdout | head -n 1 | grep -oE '[0-9]+')
make_teacher run
train 2 1 run "${short_distill[@]}"
found=$(cat run/cache/segment-*.h5 | wc -c)
# The digits of a segment's number and place are counted as those of the first.
more=$((found - expected))
if [ "$more" -lt 0 ] || [ "$more" -ge 100 ]; then fail "the cache has $found bytes, and estimate said $expected"; fi
