#!/usr/bin/env bash
# `eval` needs a model file and test samples only, gives the same bytes on any number of ranks, and agrees with what training reported.
source "$(dirname "$0")/lib.sh"

train 2 all run "${short_pretrain[@]}" "${short_distill[@]}" "${short_gating[@]}" "${short_finetune[@]}"

plain() { tr -d ' \n' <"$1"; }
number() { sed -nE "s/.*\"$2\": ([0-9.e+-]+).*/\\1/p" "$1"; }

# The gated model: all ranks and the file that phase 2 wrote say the same.
for ranks in 1 2 3; do
  evaluate "$ranks" run/model-phase2.safetensors --json
  cp stdout "eval-$ranks.json"
  same_bytes eval-1.json "eval-$ranks.json"
done
plain run/eval-phase2.json | grep -qF -- "$(plain eval-1.json)" || fail "eval differs from eval-phase2.json"

# k learners everywhere.
for k in 1 4; do
  evaluate 2 run/model-phase1.safetensors --json --choice "$k"
  cp stdout "choice-$k.json"
  plain run/eval-phase1.json | grep -qF -- "$(plain "choice-$k.json")" || fail "--choice $k differs from eval-phase1.json"
done
awk -v one="$(number choice-1.json gmac)" -v all="$(number choice-4.json gmac)" 'BEGIN { exit !(0 < one && one < all) }' ||
  fail "four learners must cost more than one"

# The file says what the model is; the settings of a backbone do not matter.
evaluate 1 run/model-phase2.safetensors --json --set backbone.width=64 --set backbone.depth=5 --set acm.learners=2
same_bytes eval-1.json stdout
evaluate 1 run/model-phase0.safetensors
expect_in stdout '^model-phase0\.safetensors +[0-9.]+ % .* 1\.000 +- +-$'

EXPECT=64 evaluate 2 run/model-phase1.safetensors
expect_in stderr 'no gates yet.*phase 2'
for choice in 0 9; do
  EXPECT=64 evaluate 1 run/model-phase1.safetensors --choice "$choice"
  expect_in stderr "between 1 and 4.*got $choice"
done
EXPECT=64 evaluate 1 run/model-phase0.safetensors --choice 1
expect_in stderr 'dense model'
EXPECT=65 evaluate 2 missing.safetensors
expect_in stderr 'missing\.safetensors'
