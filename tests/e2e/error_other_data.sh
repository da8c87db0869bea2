#!/usr/bin/env bash
# Models used on other data than they were made for: other classes, other sizes, another normalisation.
. "$(dirname "$0")/refusals.sh"

make_data ten 20 28 10
make_data twelve 24 28 12
make_data small 20 14 10
on() { printf '%s\n' --set "data.path=$scratch/$1" "${plain_files[@]}"; }
mapfile -t ten < <(on ten)
mapfile -t twelve < <(on twelve)
mapfile -t small < <(on small)

make_teacher teacher "${ten[@]}" --set pretrain.batch=4
teacher=$scratch/teacher/model-phase0.safetensors
alone 0 eval --config "$config" --model "$teacher" "${ten[@]}"

many="cannot use the model $teacher on these data: it tells 10 classes apart, and the labels need 12"
refused 64 "$many" eval --config "$config" --model "$teacher" "${twelve[@]}"
refused_training 64 "$many" 1 run --set distill.model="$teacher" "${twelve[@]}"
refused 64 "cannot use the model $teacher on these data: it was made for inputs of .*\"height\":28.* gives .*\"height\":14" eval --config "$config" \
  --model "$teacher" "${small[@]}"
refused 64 "cannot use the model $teacher on these data: it was made for inputs of .*\"mean\":0.286.* gives .*\"mean\":0.5" eval --config "$config" \
  --model "$teacher" "${ten[@]}" --set data.mean=[0.5]
