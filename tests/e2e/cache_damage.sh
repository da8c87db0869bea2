#!/usr/bin/env bash
# A cache segment that is missing or damaged is named and captured again, alone, and the results keep their bytes; whole ones are
# left as they are.
source "$(dirname "$0")/lib.sh"

make_teacher run
distill() { train 2 1 run "${short_distill[@]}" --quiet; }
distill
cp run/model-phase1.safetensors expected.safetensors
digests run >expected
damaged=run/cache/segment-00003.h5

# flip OFFSET: changes one byte of the segment.
flip() {
  local byte
  byte=$(od -An -tu1 -j "$1" -N 1 "$damaged")
  # shellcheck disable=SC2059  # the format is the byte
  printf "\\x$(printf %02x $((byte ^ 255)))" | dd of="$damaged" bs=1 seek="$1" conv=notrunc status=none
}

times_of_others() { find run/cache -name '*.h5' ! -path "$damaged" -exec stat --format '%n %y' {} + | sort; }
distill_anew() {
  rm -r run/phase1 run/log run/model-phase1.safetensors
  times_of_others >before
  distill
  times_of_others >after
  same_bytes before after
  same_bytes expected.safetensors run/model-phase1.safetensors
  digests run >found
  same_bytes expected found
}

# expect_mended PATTERN: after the damage just done, the next start names the segment and what is wrong with it.
expect_mended() {
  distill_anew
  cat stderr run/log/*.log >said
  expect_in said "$1"
}

times "$damaged" >first
distill_anew
expect_not_in stderr 'to capture|captured again'
times "$damaged" >second
same_bytes first second

size=$(stat --format %s "$damaged")
rm "$damaged"
expect_mended '1 of 8 segments to capture'
truncate -s $((size / 2)) "$damaged"
expect_mended "$damaged is .*captured again"
: >"$damaged"
expect_mended "$damaged is .*captured again"
flip $((size / 2))
expect_mended "$damaged: it is changed: .*captured again"
flip 100
expect_mended "$damaged is .*captured again"
flip $((size - 100))
expect_mended "$damaged is .*captured again"
cp run/cache/segment-00004.h5 "$damaged"
expect_mended "$damaged is .*segment 4.*captured again"
