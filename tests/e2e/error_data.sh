#!/usr/bin/env bash
# Data that are missing, truncated, or do not belong together.
. "$(dirname "$0")/refusals.sh"

refused_training 65 ".*$scratch/none/train-images-idx3-ubyte.gz: No such file or directory; check the path" 0 run --set data.path="$scratch/none"

make_data good 20 28 10
mkdir cut
cp good/* cut
gzip -c good/train-images >cut/train-images
truncate -s -20 cut/train-images
refused_training 65 ".*$scratch/cut/train-images: the gzip file ends early: it is truncated; fetch it again" 0 run \
  --set data.path="$scratch/cut" "${plain_files[@]}"
truncate -s 1000 cut/test-images
cp good/train-images cut
refused_training 65 "cannot read images from $scratch/cut/test-images: it is truncated: .* promises 15680 bytes of data, 984 are there" 0 run \
  --set data.path="$scratch/cut" "${plain_files[@]}"

cp good/test-images cut
make_labels cut/train-labels 19 10
refused_training 65 ".*$scratch/cut/train-images holds 20 images and $scratch/cut/train-labels holds 19 labels" 0 run \
  --set data.path="$scratch/cut" "${plain_files[@]}"
refused_training 65 "cannot read labels from $scratch/cut/train-images: it is not an IDX file" 0 run \
  --set data.path="$scratch/cut" "${plain_files[@]}" --set 'data.train=["train-images","train-images"]'

# The same command is not refused once the data are whole.
train 2 0 run --set data.path="$scratch/good" "${plain_files[@]}" "${short_pretrain[@]}" --set pretrain.batch=4
