#!/usr/bin/env bash
# run.sh --quick writes whole rows: every phase's step over the dense one, the forward passes at each k/N, and positive figures in all of them.
set -euo pipefail
out=$(mktemp -d)
trap 'rm -rf -- "$out"' EXIT
bash "$ACM_SOURCE/tests/bench/run.sh" --quick --out "$out"
awk -F, '
  function refuse(why) { print "row " NR ": " why ": " $0; bad = 1 }
  NF != 12 { refuse(NF " fields instead of 12") }
  NR == 1 { next }
  !($6 > 0) { refuse("no seconds") }
  $7 && !($8 > 0 && $9 > 0) { refuse("no ratio") }
  $1 ~ / step$/ && !($11 > 0) { refuse("no memory") }
  !$12 { refuse("no machine") }
  { ++rows[$1 ":" ($1 ~ /^gated/ ? $4 ":" : "") ($1 ~ /^eager/ ? "" : $7)] }
  END {
    split("distill step:pretrain step;gating step:pretrain step;finetune step:pretrain step", wanted, ";")
    for (share = 0.25; share <= 1; share += 0.25) {
      wanted[length(wanted) + 1] = sprintf("gated forward (random mask):%.2f:dense forward", share)
      wanted[length(wanted) + 1] = sprintf("gated forward (spatial mask):%.2f:dense forward", share)
    }
    for (i in wanted) if (rows[wanted[i]] != 1) { print "there is not one row " wanted[i]; bad = 1 }
    exit bad
  }' "$out/results.csv"
# ACMs beside dense modules that read the same tokens.
"$ACM_BUILD/tests/bench/bench_inference" --model quick --batch 1 --rounds 1 --sites q | grep -q '^gated forward'
