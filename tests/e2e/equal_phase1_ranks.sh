#!/usr/bin/env bash
# From one teacher file, the activation cache and phase 1 have the same bytes whatever the numbers of ranks and of threads.
source "$(dirname "$0")/lib.sh"

# Large enough that threads share the work: 16 x 50 tokens of width 64 are above the 32,768 numbers where LibTorch begins to.
make_teacher teacher --set backbone.patch=4 --set backbone.width=64 --set backbone.hidden=256

for layout in 1x1 1x2 1x3 2x1 2x2 3x1 4x2; do
  ranks=${layout%x*} threads=${layout#*x}
  train "$ranks" 1 "$layout" --set "threads=$threads" --set distill.model=teacher/model-phase0.safetensors --set cache.samples=112 \
    --set cache.segment_samples=16 --set distill.batch=1024 "${short_distill[@]}"
  expect_in stderr "$threads thread\(s\) a rank"
  (cd "$layout" && sha256sum cache/* model-phase1.safetensors) >"digests-$layout"
  [ "$(wc -l <"digests-$layout")" -eq 8 ] || fail "expected 7 segments and a model"
  same_bytes digests-1x1 "digests-$layout"
done
