#!/usr/bin/env bash
# A damaged picture among good ones: by default it ends the run with 65 and is named; with data.on_bad_sample = "skip" it is named in the
# log once, the next picture stands in for it, and the rows count it.
source "$(dirname "$0")/lib.sh"

# A picture of 8 x 8 pixels.
picture() {
  base64 --decode <<<iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFklEQVR42mNkYGAQ5GbFRExYRQetBAApowgvpe1nWQAAAABJRU5ErkJggg==
}
for split in train test; do
  for class in bird cat; do
    mkdir -p "photographs/$split/$class"
    for number in 1 2 3 4 5 6 7 8; do picture >"photographs/$split/$class/$number.png"; done
  done
done
picture | head -c 60 >photographs/train/cat/3.png

pictures=(--set data.kind=folder --set "data.path=$scratch/photographs" --set 'data.train=["train"]' --set 'data.test=["test"]'
  --set data.size=8 --set 'data.mean=[0.5]' --set 'data.std=[0.5]' --set data.calibration=0 --set data.train_samples=0
  --set data.test_samples=0 --set backbone.patch=4 --set pretrain.batch=8 --set pretrain.steps=6 --set pretrain.warmup_steps=1
  --set pretrain.log_every=2)

EXPECT=65 train 2 0 refused "${pictures[@]}"
expect_in stderr "cannot load sample [0-9]+ \(position [0-9]+\): .*photographs/train/cat/3.png"

train 2 0 skipped "${pictures[@]}" --set data.on_bad_sample=skip
expect_file skipped/model-phase0.safetensors
# Six steps of eight are three epochs of sixteen samples: three times.
[ "$(values skipped pretrain replaced_samples | awk '{ sum += $1 } END { print sum }')" = 3 ] || fail "expected 3 replaced samples"
[ "$(cat skipped/log/rank-*.log | grep -c 'cannot be read, the next stands in for it: .*photographs/train/cat/3.png')" -le 2 ] ||
  fail "the picture is named more than once by a rank"
expect_in stderr "3 samples that could not be read were replaced by the next ones"

# The same command is not refused once the picture is whole, and then nothing is counted.
picture >photographs/train/cat/3.png
train 2 0 whole "${pictures[@]}"
expect_not_in <(values whole pretrain replaced_samples | grep -v pretrain) .
