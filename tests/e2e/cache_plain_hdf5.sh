#!/usr/bin/env bash
# A cache segment is plain HDF5: h5dump shows its datasets and their shapes.
source "$(dirname "$0")/lib.sh"
command -v h5dump >/dev/null || skip "h5dump is not installed (Debian: hdf5-tools)"

make_teacher run
train 1 1 run "${short_distill[@]}"
h5dump --header run/cache/segment-00000.h5 >header
for name in blocks.0.ffn blocks.1.o; do expect_in header "GROUP \"$name\""; done
for name in offsets input output; do expect_in header "DATASET \"$name\""; done
# 32 samples of 16 patches and a class token, each of width 32.
expect_in header 'SIMPLE \{ \( 544, 32 \)'
expect_in header 'H5T_IEEE_F32LE'
# q, k and v of a block share one input.
expect_in header 'HARDLINK'
# 0, 17, 34, ...: where each sample begins.
h5dump -d /offsets run/cache/segment-00000.h5 >offsets
expect_in offsets '\(0\): 0, 17, 34, '
