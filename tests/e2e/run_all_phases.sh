#!/usr/bin/env bash
# --phase all goes from images to an evaluated ACM model within a minute, on one rank and on two; started again it trains nothing and
# shows the same table.
source "$(dirname "$0")/lib.sh"

results() { sed -n '/^model /,$p' stdout; }

expect_results() {
  expect_in stdout '^dense +[0-9.]+ % .* 1\.000 +- +-$'
  for k in 1 2 3 4; do expect_in stdout "^phase 1, k = $k +[0-9.]+ % .* $k\.00\$"; done
  expect_in stdout '^phase 2 +[0-9.]+ %'
  expect_in stdout '^phase 3, trained for 0\.5 +[0-9.]+ %'
  expect_in stdout '^phase 3, budget 0\.5 +[0-9.]+ %'
  expect_in stdout '^mean learners +ffn'
}

train 2 all run
expect_results
results >first
expect_file run/config.toml run/metrics.jsonl run/log/rank-0000{0,1}.log run/eval.json run/eval-phase{0,1,2}.json \
  run/model-phase{0,1,2}.safetensors run/model.safetensors
for phase in pretrain gating finetune; do expect_in run/metrics.jsonl "\"phase\":\"$phase\""; done
# Sixty steps are enough to learn something: ten classes, so chance is 10 %.
awk '/^dense/ { exit !($2 > 25) }' first || fail "the dense model learned nothing: $(grep '^dense' first)"

times run/*.safetensors run/cache/* run/eval*.json run/metrics.jsonl >before
train 2 all run
results >second
times run/*.safetensors run/cache/* run/eval*.json run/metrics.jsonl >after
same_bytes before after
same_bytes first second

SECONDS=0
train 1 all alone
echo "all phases of tiny.toml on 1 rank: $SECONDS s"
[ "$SECONDS" -lt 60 ] || fail "tiny.toml took $SECONDS s"
expect_results
