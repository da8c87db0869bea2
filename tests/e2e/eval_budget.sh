#!/usr/bin/env bash
# One model, many budgets: `eval --budget` meets each on the test samples, writes the same bytes on any number of ranks, keeps its shifts
# in the model file on request, and then needs no calibration samples.
source "$(dirname "$0")/lib.sh"

train 2 all run "${short_distill[@]}" "${short_finetune[@]}"
expect_in stdout '^phase 3, budget 0\.5 +[0-9.]+ %'
model=run/model-phase2.safetensors
budgets=(--budget '0.3,0.5,0.75')
column() { sed -nE "s/.*\"$1\": ([0-9.e+-]+).*/\\1/p" "$2"; }

for ranks in 1 2 3; do
  evaluate "$ranks" "$model" --json "${budgets[@]}"
  cp stdout "budgets-$ranks.json"
  same_bytes budgets-1.json "budgets-$ranks.json"
done
# Each is met on the 200 calibration samples. The 500 test samples are others, of which gates that have hardly been trained make more or
# less: 0.02 is three standard errors of so few.
paste <(column budget budgets-1.json) <(column calibration_share budgets-1.json) <(column learner_share budgets-1.json) >shares
[ "$(wc -l <shares)" -eq 3 ] || fail "a row for each budget: $(cat shares)"
awk 'function abs(x) { return x < 0 ? -x : x } abs($1 - $2) > 0.001 || abs($1 - $3) > 0.02 { print; wrong = 1 } END { exit wrong }' shares >&2 ||
  fail "a budget is missed: budget, on calibration, on test"

# A table for people, in the order of asking.
evaluate 1 "$model" --budget 0.75,0.3
expect_in stdout '^budget +shift +on calibration +learner cost +top-1'
[ "$(grep -cE '^0\.(750|300) ' stdout)" -eq 2 ] || fail "two rows expected"

# The table in the model file: the same figures without calibration samples, or training samples at all.
cp "$model" stored.safetensors
evaluate 2 stored.safetensors --json --store "${budgets[@]}"
same_bytes budgets-1.json stdout
same_parameters "$model" stored.safetensors 0
evaluate 1 stored.safetensors --json "${budgets[@]}" --set data.calibration=0 --set 'data.train=["none", "none"]'
same_bytes budgets-1.json stdout
evaluate 1 stored.safetensors
evaluate 1 stored.safetensors --json --budget 0.4
EXPECT=64 evaluate 2 stored.safetensors --budget 0.4 --set data.calibration=0
expect_in stderr 'cannot find the shift for a budget of 0\.4: stored\.safetensors holds none for it, and there are no calibration samples'

EXPECT=64 evaluate 1 "$model" --budget 0.05
expect_in stderr 'cannot meet a budget of 0\.05 with .*model-phase2\.safetensors: q, k, v and o run at least one learner'
EXPECT=64 evaluate 1 run/model-phase1.safetensors --budget 0.5
expect_in stderr 'no gates yet.*phase 2'
EXPECT=64 evaluate 1 run/model-phase0.safetensors --budget 0.5
expect_in stderr 'budget means nothing for .*dense model'
EXPECT=64 evaluate 1 "$model" --budget 1.5
expect_in stderr 'more than 0 and at most 1, got 1\.5'
