#!/usr/bin/env bash
# Phase 2 computes the same on 4 ranks x 1, 2 x 2 and 1 x 4 micro-batches: the same global losses and the same parameters, up to the order
# in which floating-point numbers are summed. 250 tokens in four slices: slices differ in size.
source "$(dirname "$0")/lib.sh"

make_teacher run --set precision=float64
train 1 1 run --set precision=float64 "${short_distill[@]}"
inputs=(--set distill.model=run/model-phase0.safetensors --set gating.model=run/model-phase1.safetensors)

for layout in 4x1 2x2 1x4; do
  ranks=${layout%x*} micro_batches=${layout#*x}
  train "$ranks" 2 "$layout" --set precision=float64 --set "gating.micro_batches=$micro_batches" --set gating.batch=250 \
    --set gating.save_every=0 --set gating.log_every=1 "${short_gating[@]}" "${inputs[@]}"
  values "$layout" gating loss >"losses-$layout"
  [ "$(wc -l <"losses-$layout")" -eq 4 ] || fail "expected a row for each of 4 steps"
  same_values losses-4x1 "losses-$layout" 1e-10
  same_parameters 4x1/model-phase2.safetensors "$layout/model-phase2.safetensors" 1e-10
done
