#!/usr/bin/env bash
# --dry-run shows the plan for the ranks it is started with and leaves nothing behind.
source "$(dirname "$0")/lib.sh"

mkdir temporary
TMPDIR=$scratch/temporary train 3 all run --dry-run
expect_in stdout '^plan for 3 rank\(s\), run folder run$'
expect_in stdout '1800 training, 200 calibration and 500 test samples'
expect_in stdout 'phase 0 pretrain: 60 steps of 64 samples, 3 slices of at most 22$'
expect_in stdout 'phase 1 distill: 40 steps of 256 tokens'
expect_in stdout 'cache: 256 samples of .* in 8 segments; .* free in .*; captured at once'
expect_in stdout 'phase 2 gating'
expect_in stdout 'phase 3 finetune'
# Each site has one owner.
grep -E '^    rank [0-2]:' stdout | grep -oE 'blocks\.[01]\.[a-z]+' | sort >sites
[ "$(wc -l <sites) $(uniq sites | wc -l)" = '10 10' ] || fail "ten sites must have one rank each: $(cat sites)"

[ ! -e run ] || fail "the run folder was made"
left=$(find . -type f ! -name stdout ! -name stderr ! -name sites; find temporary -path '*acm*')
[ -z "$left" ] || fail "left behind: $left"

EXPECT=64 train 3 3 run --dry-run
expect_in stderr 'model-phase2\.safetensors'
