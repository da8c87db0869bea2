#!/usr/bin/env bash
# A damaged checkpoint is named, with the file and the tensor, and passed over for the one before it; the end has the bytes of an undamaged run.
. "$(dirname "$0")/background.sh"

settings=(--set pretrain.steps=40 --set pretrain.save_every=10 --set data.train_samples=500 --set data.test_samples=100)
train 2 0 undamaged "${settings[@]}"
expect_file undamaged/phase0/step-000000{20,30}/{manifest.json,rank-0000{0,1}.safetensors}

# flip FILE FROM_END: turns all bits of the byte so far before the end of the file.
flip() {
  local at=$(($(stat -c %s "$1") - $2)) byte
  byte=$(od -An -tu1 -j "$at" -N 1 "$1")
  # shellcheck disable=SC2059  # the format is the byte
  printf "\\x$(printf %02x $((255 - byte)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}

# halve FILE: cuts it in the middle.
halve() { truncate -s $(($(stat -c %s "$1") / 2)) "$1"; }

# goes_on_after STEP MESSAGE DAMAGE...: damages a copy of the run, whose model is missing, and starts it again.
goes_on_after() {
  local step=$1 message=$2
  shift 2
  rm -rf damaged
  cp -r undamaged damaged
  rm damaged/model-phase0.safetensors damaged/eval-phase0.json
  "$@"
  train 2 0 damaged "${settings[@]}"
  expect_in stderr "phase pretrain: starting at step $step of 40"
  [ -z "$message" ] || expect_in stderr "$message"
  same_bytes undamaged/model-phase0.safetensors damaged/model-phase0.safetensors
}

newest=damaged/phase0/step-00000030
goes_on_after 30 '' true
goes_on_after 20 "passing over the checkpoint of step 30: .*$newest/rank-00001.safetensors is damaged: [a-z]+[./a-z0-9_]+ has the digest" \
  flip $newest/rank-00001.safetensors 40
goes_on_after 20 "passing over the checkpoint of step 30: .*$newest/rank-00000.safetensors.*truncated" halve $newest/rank-00000.safetensors
goes_on_after 20 "passing over the checkpoint of step 30: .*$newest/manifest.json" halve $newest/manifest.json
goes_on_after 20 '' rm $newest/manifest.json
goes_on_after 20 "passing over the checkpoint of step 30: .*$newest/rank-00001.safetensors" rm $newest/rank-00001.safetensors
spoil_both() {
  flip $newest/rank-00000.safetensors 40
  flip $newest/../step-00000020/manifest.json 40
}
goes_on_after 0 'passing over the checkpoint of step 20: .*manifest.json' spoil_both
