#!/usr/bin/env bash
# From one teacher file, the activation cache and phase 1 have the same bytes whatever the numbers of ranks and of threads.
source "$(dirname "$0")/lib.sh"

# Large enough that LibTorch shares a tensor among threads, which it does from 32,768 numbers on: activations of 16 x 50 tokens of
# width 64, weights of 64 x 1024.
make_teacher teacher --set backbone.patch=4 --set backbone.width=64 --set backbone.hidden=1024 --set backbone.depth=1

# Losses and gradient norms of all sites, without speed and waiting.
figures() { sed -E 's/"([a-z]+_per_second|data_wait)":[^,}]*,?//g' "$1"/phase1/*/metrics.jsonl; }

for layout in 1x1 1x2 1x3 2x1 3x2 4x1; do
  ranks=${layout%x*} threads=${layout#*x}
  train "$ranks" 1 "$layout" --set "threads=$threads" --set distill.model=teacher/model-phase0.safetensors --set cache.samples=112 \
    --set cache.segment_samples=16 --set distill.batch=1024 --set distill.log_every=1 "${short_distill[@]}"
  expect_in stderr "$threads thread\(s\) a rank"
  (cd "$layout" && sha256sum cache/* model-phase1.safetensors) >"digests-$layout"
  [ "$(wc -l <"digests-$layout")" -eq 8 ] || fail "expected 7 segments and a model"
  figures "$layout" >"figures-$layout"
  [ "$(wc -l <"figures-$layout")" -eq 25 ] || fail "expected a row for each of 5 sites and 5 steps"
  same_bytes digests-1x1 "digests-$layout"
  same_bytes figures-1x1 "figures-$layout"
done

# In float64 other products are short: those of a small model.
make_teacher small
for layout in 1x1 1x2 3x1; do
  ranks=${layout%x*} threads=${layout#*x}
  train "$ranks" 1 "double-$layout" --set precision=float64 --set "threads=$threads" --set distill.model=small/model-phase0.safetensors \
    --set cache.samples=64 "${short_distill[@]}"
  (cd "double-$layout" && sha256sum cache/* model-phase1.safetensors) >"digests-double-$layout"
  same_bytes digests-double-1x1 "digests-double-$layout"
done
