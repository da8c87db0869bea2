#!/usr/bin/env bash
# However little of the cache fits on the disk, phases 1 and 2 leave the same bytes: on any number of ranks (phase 2: on the same), also after
# kills. The limit is kept all the while, the plan tells the windows, and a limit that is too small is named with the smallest that works.
. "$(dirname "$0")/background.sh"

make_teacher teacher
settings=(--quiet --set data.test_samples=50 --set distill.model=teacher/model-phase0.safetensors --set distill.batch=300 --set gating.batch=300 --set gating.steps=20
  --set distill.save_every=5)

train 1 1 all "${settings[@]}"
train 2 2 all "${settings[@]}"
need=$(cat all/cache/segment-*.h5 | wc -c)

# same_after RANKS LIMIT: both phases under a limit; what is left of the cache keeps it.
same_after() {
  local ranks=$1 limit=$2 folder=run-$1-$2
  train "$ranks" 1 "$folder" "${settings[@]}" --set cache.max_bytes="$limit"
  same_bytes all/model-phase1.safetensors "$folder/model-phase1.safetensors"
  [ "$(cat "$folder"/cache/* | wc -c)" -le $((limit + 32)) ] || fail "more than $limit bytes are left"
}
same_after 1 "$need"
segments=("run-1-$need"/cache/*)
[ "${#segments[@]}" -eq 8 ] || fail "what fits is captured at once"
same_after 3 $((need / 2))
same_after 2 $((need / 4))
expect_in stderr 'cache: 256 samples of .*windows of 1 groups of 32 samples, .*two on the disk at a time'
train 2 2 "run-2-$((need / 4))" "${settings[@]}" --set cache.max_bytes=$((need / 4))
same_bytes all/model-phase2.safetensors "run-2-$((need / 4))/model-phase2.safetensors"

EXPECT=64 train 2 1 small "${settings[@]}" --set cache.max_bytes=1000
expect_in stderr 'cache.max_bytes = 1000 holds less than two groups .* raise it to [0-9]+ at least'
smallest=$(sed -nE 's/.* raise it to ([0-9]+) at least.*/\1/p' stderr | head -1)
EXPECT=64 train 1 1 small "${settings[@]}" --set cache.max_bytes=$((smallest - 1))

# Killed in an early and in a late window, and resumed on other numbers of ranks.
# A checkpoint a step takes long enough for the kill to come in time.
killed=("${settings[@]}" --set cache.max_bytes="$smallest" --set distill.save_every=1)
most=0
# is_at STEP: some site has a checkpoint from there on; notes the most that stood on the disk meanwhile.
is_at() {
  local bytes manifest
  bytes=$({ cat killed/cache/segment-* || true; } | wc -c)  # one may be removed meanwhile
  most=$((bytes > most ? bytes : most))
  for manifest in killed/phase1/*/step-*/manifest.json; do
    [[ $manifest =~ step-0*([1-9][0-9]*)/ ]] && [ "${BASH_REMATCH[1]}" -ge "$1" ] && return
  done
  return 1
}
for start in '2 3' '1 12'; do
  read -r ranks step <<<"$start"
  begin "$ranks" 1 killed "${killed[@]}"
  for ((rank = 0; rank < ranks; rank++)); do wait_until rank_pid killed "$rank" >/dev/null; done
  wait_until is_at "$step"
  pids=$(for ((rank = 0; rank < ranks; rank++)); do printf "%s " "$(rank_pid killed "$rank")"; done)
  # shellcheck disable=SC2086  # one word for each rank: they would go on for a while without mpirun
  kill -KILL "$job" $pids
  ends_with 137
  for pid in $pids; do wait_until is_gone "$pid"; done
done
# A segment's file has some bytes more where its number has more digits.
[ "$most" -le $((smallest + 32)) ] || fail "$most bytes stood on the disk at once, of $smallest allowed"
train 3 1 killed "${killed[@]}"
went_on stderr distill
same_bytes all/model-phase1.safetensors killed/model-phase1.safetensors

# Few tokens of each sample in 16-bit numbers: a cache of another key, the same in windows.
fewer=("${settings[@]}" --set cache.tokens_per_sample=5 --set cache.dtype=bfloat16 --set cache.fresh_views=true)
train 1 1 few "${fewer[@]}"
expect_in stderr '\(5 tokens\), .*segments an epoch'
train 2 1 few-windows "${fewer[@]}" --set cache.max_bytes=$((need / 20))
same_bytes few/model-phase1.safetensors few-windows/model-phase1.safetensors
EXPECT=64 train 1 1 other "${settings[@]}" --set cache.dir=few/cache
expect_in stderr 'tokens_per_sample was 5 and is 0'
