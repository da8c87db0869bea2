#!/usr/bin/env bash
# Phase 3 computes the same on 4 ranks x 1, 2 x 2 and 1 x 4 micro-batches: the same global losses and the same parameters, up to the order
# in which floating-point numbers are summed. Ten samples in four slices: slices differ in size.
source "$(dirname "$0")/lib.sh"

make_teacher run --set precision=float64
train 1 1 run --set precision=float64 "${short_distill[@]}"
train 1 2 run --set precision=float64 "${short_gating[@]}"

for layout in 4x1 2x2 1x4; do
  ranks=${layout%x*} micro_batches=${layout#*x}
  train "$ranks" 3 "$layout" --set precision=float64 --set "finetune.micro_batches=$micro_batches" --set finetune.batch=10 \
    --set finetune.save_every=0 --set finetune.log_every=1 "${short_finetune[@]}" --set finetune.model=run/model-phase2.safetensors
  values "$layout" finetune loss >"losses-$layout"
  [ "$(wc -l <"losses-$layout")" -eq 4 ] || fail "expected a row for each of 4 steps"
  same_values losses-4x1 "losses-$layout" 1e-10
  same_parameters 4x1/model.safetensors "$layout/model.safetensors" 1e-10
done
