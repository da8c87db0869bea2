#!/usr/bin/env bash
# Several ranks share a site where they outnumber the sites: phase 1 leaves the same bytes, and its metrics the same figures, at any size of the
# team; and --dry-run says who trains what.
source "$(dirname "$0")/lib.sh"

make_teacher teacher
settings=(--quiet --set distill.model=teacher/model-phase0.safetensors --set distill.log_every=2 --set data.test_samples=50 "${short_distill[@]}")
figures() { sed -E 's/"([a-z]+_per_second|data_wait)":[^,}]*,?//g' "$1"/phase1/*/metrics.jsonl; }

# same_bytes_on SLICES SITES RANKS...
same_bytes_on() {
  local slices=$1 sites=$2 ranks
  shift 2
  for ranks in "$@"; do
    train "$ranks" 1 "run-$ranks" "${settings[@]}" --set acm.sites="$sites" --set distill.slices="$slices" --set cache.dir=cache-"${#sites}"
    figures "run-$ranks" >"figures-$ranks"
    same_bytes "run-$1/model-phase1.safetensors" "run-$ranks/model-phase1.safetensors"
    same_bytes "figures-$1" "figures-$ranks"
  done
  rm -r run-*
}
same_bytes_on 2 '["blocks.0.ffn"]' 1 2
same_bytes_on 4 '["blocks.0.ffn"]' 1 2 4
same_bytes_on 4 '["blocks.0.q","blocks.1.o","blocks.1.ffn"]' 1 4

# Stopped as a team of four and resumed as one of two.
one=("${settings[@]}" --set 'acm.sites=["blocks.0.ffn"]' --set distill.slices=4 --set cache.dir=cache-16 --set distill.steps=40)
train 1 1 alone "${one[@]}"
train 4 1 parts "${one[@]}" --set distill.save_every=8
rm parts/model-phase1.safetensors parts/phase1/*/learners.safetensors
train 2 1 parts "${one[@]}" --set distill.save_every=8
expect_in parts/log/rank-00000.log 'starting at step [1-9][0-9]* of 40'
same_bytes alone/model-phase1.safetensors parts/model-phase1.safetensors

acm 1 --phase 1 --config "$ACM_SOURCE/configs/tiny.toml" "${settings[@]}" --dry-run --ranks 5 --set distill.slices=2 \
  --set 'acm.sites=["blocks.0.ffn","blocks.1.ffn"]' --set cache.dir=elsewhere
expect_in stdout 'plan for 5 rank'
expect_in stdout 'ranks 0 to 1: blocks.0.ffn$'
expect_in stdout 'rank 4: no site, 5 ranks make 2 team\(s\) of 2'
expect_in stdout 'balance: the busiest rank has 1.25 times the mean load'
EXPECT=64 acm 1 --phase 1 --config "$ACM_SOURCE/configs/tiny.toml" --ranks 5
expect_in stderr '--ranks requires --dry-run'
