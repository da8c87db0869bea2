#!/usr/bin/env bash
# SIGTERM to one rank alone, neither the first nor mpirun: every rank saves and leaves with 75. In phase 1, where ranks do not meet, the request
# reaches the others by the beats.
. "$(dirname "$0")/background.sh"

begin 3 0 run --set pretrain.steps=100000 --set pretrain.save_every=0 --set pretrain.log_every=1
wait_until test -s run/metrics.jsonl
! has_checkpoint run/phase0 || fail "there must be no checkpoint before the stop"
kill -TERM "$(rank_pid run 1)"
ends_with 75
expect_in stderr 'stopped and saved; the same command goes on from here'
has_checkpoint run/phase0 || fail "nothing was saved"

make_teacher teacher
# has_begun RANK: the rank trains a site, and its metrics have a row.
has_begun() {
  local site
  site=$(grep -o '"site":"[a-z0-9.]*"' "run/alive/$(printf 'rank-%05d' "$1")" | cut -d'"' -f4)
  [ -s "run/phase1/$site/metrics.jsonl" ]
}
begin 3 1 run --set distill.model=teacher/model-phase0.safetensors --set distill.steps=100000 --set distill.save_every=0 --set distill.log_every=1
for rank in 0 1 2; do wait_until has_begun $rank; done
kill -TERM "$(rank_pid run 2)"
ends_with 75
expect_in stderr 'stopped and saved; the same command goes on from here'
[ "$(compgen -G 'run/phase1/*/step-*/manifest.json' | wc -l)" -eq 3 ] || fail "each of three ranks must have saved its site: $(ls -d run/phase1/*/step-*)"

# The request also ends the capture.
begin 2 1 captured --set distill.model=teacher/model-phase0.safetensors --set cache.samples=50000 --set data.train_samples=1000
wait_until test -e captured/cache/segment-00000.h5
kill -TERM "$(rank_pid captured 1)"
ends_with 75
[ ! -s captured/phase1/blocks.0.ffn/metrics.jsonl ] || fail "sites were begun on a cache that is not whole"
