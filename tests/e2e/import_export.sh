#!/usr/bin/env bash
# A teacher under another library's names is the same teacher: it comes back bit by bit, and phase 1 makes of it what it makes of our file. An
# exported ACM model is the same model.
. "$(dirname "$0")/lib.sh"

make_teacher teacher
teacher=teacher/model-phase0.safetensors
for library in timm huggingface; do
  acm 1 export --model "$teacher" --to $library --out $library
  expect_file $library/model.safetensors $library/config.json
  acm 1 import --weights $library --out $library.safetensors
  expect_in stdout "names of $library"
  expect_in stdout 'parameters = [0-9]+'
  same_parameters "$teacher" $library.safetensors 0
done
acm 1 export --model timm --to huggingface --out across
same_bytes across/model.safetensors huggingface/model.safetensors

train 1 1 run --set distill.model="$teacher" "${short_distill[@]}" --dry-run
train 1 1 from-file --set distill.model="$teacher" "${short_distill[@]}"
train 2 all from-timm --set backbone.weights=timm "${short_distill[@]}" "${short_gating[@]}" "${short_finetune[@]}"
expect_in stderr 'teacher: weights of another library in timm: '
same_parameters from-file/model-phase1.safetensors from-timm/model-phase1.safetensors 0
EXPECT=64 train 1 1 from-timm --set backbone.weights=huggingface "${short_distill[@]}"
expect_in stderr 'phase 1 .* was begun with other settings'
expect_in stderr '  input: '

evaluate 1 timm --json
mv stdout timm.json
evaluate 1 "$teacher" --json
same_bytes stdout timm.json

acm 1 export --model from-timm/model.safetensors --out acm
expect_file acm/model.safetensors acm/model.json
evaluate 1 from-timm/model.safetensors --json
mv stdout acm.json
evaluate 1 acm --json
same_bytes stdout acm.json
EXPECT=64 acm 1 export --model acm --to timm --out from-timm
expect_in stderr "cannot export to from-timm: its model.safetensors is a model of ours"
EXPECT=64 acm 1 export --model from-timm/model.safetensors --to timm --out refused
expect_in stderr 'cannot export to timm: it is an ACM model'
