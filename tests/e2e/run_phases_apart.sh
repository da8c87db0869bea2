#!/usr/bin/env bash
# The phases run by separate commands, each on another number of ranks, and each shows its own rows.
source "$(dirname "$0")/lib.sh"

short=("${short_pretrain[@]}" "${short_distill[@]}" "${short_gating[@]}" "${short_finetune[@]}")

EXPECT=64 train 1 2 run "${short[@]}"
expect_in stderr 'model-phase1\.safetensors.*acm_dist --phase 1'

# Each command trains its own phase and no other.
train 1 0 run "${short[@]}"
expect_in stdout '^dense '
[ ! -e run/cache ] || fail "phase 0 made a cache"
train 3 1 run "${short[@]}"
expect_in stdout '^dense '
expect_in stdout '^phase 1, k = 4 '
logs=(run/log/*)
[ "${#logs[@]}" -eq 3 ] || fail "three ranks must have written three logs"
[ ! -e run/phase2 ] || fail "phase 1 went on to phase 2"
train 2 2 run "${short[@]}"
expect_in stdout '^phase 2 '
[ ! -e run/phase3 ] || fail "phase 2 went on to phase 3"
train 2 3 run "${short[@]}"
expect_in stdout '^phase 3, budget 0\.5 '
expect_not_in stdout '^phase 1'
expect_file run/model-phase{0,1,2}.safetensors run/model.safetensors run/eval.json
