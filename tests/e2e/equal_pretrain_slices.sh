#!/usr/bin/env bash
# Phase 0 computes the same on 4 ranks x 1, 2 x 2 and 1 x 4 micro-batches: the same global losses and the same parameters, up to the order
# in which floating-point numbers are summed. Ten samples in four slices: slices differ in size.
source "$(dirname "$0")/lib.sh"


for layout in 4x1 2x2 1x4; do
  ranks=${layout%x*} micro_batches=${layout#*x}
  train "$ranks" 0 "$layout" --set precision=float64 --set "pretrain.micro_batches=$micro_batches" --set pretrain.batch=10 \
    --set pretrain.save_every=0 --set pretrain.log_every=1 --set pretrain.steps=4 --set pretrain.warmup_steps=1
  values "$layout" pretrain loss >"losses-$layout"
  [ "$(wc -l <"losses-$layout")" -eq 4 ] || fail "expected a row for each of 4 steps"
  same_values losses-4x1 "losses-$layout" 1e-10
  same_parameters 4x1/model-phase0.safetensors "$layout/model-phase0.safetensors" 1e-10
done
