#!/usr/bin/env bash
# `eval --precision bfloat16` evaluates a model, dense or with gates, close to float32; says so in its result; writes the same bytes on
# any number of ranks and threads; and never runs as something else than it was asked for.
source "$(dirname "$0")/lib.sh"

train 2 all run "${short_distill[@]}" "${short_finetune[@]}"
number() { sed -nE "s/.*\"$1\": ([0-9.e+-]+),?$/\\1/p" "$2"; }

for model in run/model-phase0.safetensors run/model-phase2.safetensors; do
  evaluate 1 "$model" --json
  expect_not_in stdout '"precision"'
  cp stdout plain.json
  evaluate 1 "$model" --json --precision float32
  expect_in stdout '"precision": "float32"'
  grep -v '"precision"' stdout | same_bytes - plain.json
  evaluate 1 "$model" --json --precision bfloat16
  expect_in stdout '"precision": "bfloat16"'
  cp stdout narrow.json
  # 500 test samples: of their classes at most ten change, and of the learners at most 1 % are chosen otherwise.
  for key in top1 learner_share; do
    awk -v a="$(number $key plain.json)" -v b="$(number $key narrow.json)" -v key=$key 'BEGIN {
      difference = a < b ? b - a : a - b
      print key ": " a " in float32, " b " in bfloat16"
      exit !(a > 0 && b > 0 && difference <= (key == "top1" ? 0.02 : 0.01)) }' ||
      fail "$model: $key differs too much between float32 and bfloat16"
  done
  evaluate 2 "$model" --json --precision bfloat16
  same_bytes narrow.json stdout
  evaluate 1 "$model" --json --precision bfloat16 --set threads=2
  same_bytes narrow.json stdout
done

evaluate 1 run/model-phase2.safetensors --precision bfloat16
expect_in stdout '^model-phase2\.safetensors, bfloat16 +[0-9.]+ %'
evaluate 1 run/model-phase2.safetensors --precision bfloat16 --json --budget 0.5
expect_in stdout '"precision": "bfloat16"'

EXPECT=64 evaluate 1 run/model-phase2.safetensors --precision float16
expect_in stderr 'precision.*float16 not in'
EXPECT=64 evaluate 1 run/model-phase2.safetensors --precision bfloat16 --budget 0.5 --store
expect_in stderr 'leave --precision out'
