#!/usr/bin/env bash
# Mixup, cutmix and label smoothing see the same pairs however a batch is cut and by however many threads it is fetched: phase 0 has the
# same global losses on 1 rank, on 3, and on 2 x 2 micro-batches. Ten samples are five pairs, so that slices differ in size.
source "$(dirname "$0")/lib.sh"

mixing=(--set augment.mixup=0.8 --set augment.cutmix=1.0 --set augment.label_smoothing=0.1 --set augment.flip=true
  --set data.test_samples=20)
for layout in 1x1x1 3x1x2 2x2x3; do
  IFS=x read -r ranks micro_batches threads <<<"$layout"
  train "$ranks" 0 "$layout" "${mixing[@]}" --set precision=float64 --set "pretrain.micro_batches=$micro_batches" --set pretrain.batch=10 \
    --set "data.loader_threads=$threads" --set pretrain.save_every=0 --set pretrain.log_every=1 --set pretrain.steps=6 \
    --set pretrain.warmup_steps=1
  values "$layout" pretrain loss >"losses-$layout"
  [ "$(wc -l <"losses-$layout")" -eq 6 ] || fail "expected a row for each of 6 steps"
  same_values losses-1x1x1 "losses-$layout" 1e-10
  same_parameters 1x1x1/model-phase0.safetensors "$layout/model-phase0.safetensors" 1e-10
done

# Every row tells the share of the time that was spent waiting for data.
values 3x1x2 pretrain data_wait | awk '!($1 >= 0 && $1 <= 1) { exit 1 }' || fail "data_wait is not a share"
[ "$(values 3x1x2 pretrain data_wait | wc -l)" -eq 6 ] || fail "a row has no data_wait"

# Capture mixes its micro-batches too, the same at any number of ranks.
for ranks in 1 3; do
  train "$ranks" 1 "capture-$ranks" "${mixing[@]}" --set cache.samples=64 --set distill.model=1x1x1/model-phase0.safetensors "${short_distill[@]}"
  digests "capture-$ranks" >"digests-$ranks"
done
same_bytes digests-1 digests-3

EXPECT=64 train 1 0 odd "${mixing[@]}" --set pretrain.batch=9
expect_in stderr "pretrain.batch must be even, because augment.mixup and augment.cutmix mix samples in pairs, got 9"
EXPECT=64 train 3 0 cut "${mixing[@]}" --set pretrain.batch=4
expect_in stderr "cannot cut pretrain.batch = 4 into 3 slices \(3 ranks x 1 micro-batches\) of whole pairs"
