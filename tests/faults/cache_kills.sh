#!/usr/bin/env bash
# usage: cache_kills.sh [--long]
# Kills a rank before a random file operation of the activation cache, again and again, until the cache is whole: no finished segment is ever
# written again, each kill costs at most one segment a rank, and the cache and phase 1's model have the bytes of an undisturbed run.
# 10 kills, with --long at least 100.
. "$(dirname "$0")/lib.sh"
wanted=$((${long:-0} ? 100 : 10))
segments=32 ranks=2
settings=("${small[@]}" --set data.train_samples=600 --set cache.samples=512)
attempt_phase 1 0 inputs "${settings[@]}"
[ "$code" -eq 0 ] || fail "the run that makes the teacher ended with $code"
inputs=(--set "distill.model=inputs/model-phase0.safetensors")

attempt_phase $ranks 1 undisturbed "${inputs[@]}" "${settings[@]}"
[ "$code" -eq 0 ] || fail "the undisturbed run ended with $code"
digests undisturbed >expected
[ "$(wc -l <expected)" -eq $segments ] || fail "the cache has $(wc -l <expected) segments, expected $segments"

# finished FOLDER: file, inode and time of last change of each segment under its final name.
finished() { find "$1/cache" -name 'segment-?????.h5' -printf '%f %i %T@\n' | sort; }

kills=0 rounds=0 good=0 lost=0 redone=0
# round: fills a cache under kills.
round() {
  local before=$kills at rank missing again
  rounds=$((rounds + 1))
  rm -rf run calls.*
  mkdir -p run/cache
  while [ "$kills" -lt "$wanted" ] && [ $((kills - before)) -lt 12 ]; do
    finished run >was
    # A segment takes about 25 calls.
    at=$((1 + RANDOM % 60)) rank=$((RANDOM % ranks))
    inject "$here/run/cache" RANK=$rank AT=$at DO=signal:9 LOG="$here/calls"
    attempt_phase $ranks 1 run "${inputs[@]}" "${settings[@]}"
    finished run >now
    missing=$(comm -23 was now | wc -l)
    if [ "$missing" -gt 0 ]; then
      lost=$((lost + missing))
      complain "kill before call $at of rank $rank: finished segments are gone or were written again: $(comm -23 was now | head -n 3)" run
    fi
    [ "$code" -eq 0 ] && break
    if [ "$code" -ne 137 ]; then complain "kill before call $at of rank $rank: ended with $code, expected 137" run && return; fi
    kills=$((kills + 1))
  done
  finished run >was
  inject "$here/run/cache" LOG="$here/calls"
  attempt_phase $ranks 1 run "${inputs[@]}" "${settings[@]}"
  if [ "$code" -ne 0 ]; then complain "after $((kills - before)) kills it ended with $code" run && return; fi
  finished run >now
  missing=$(comm -23 was now | wc -l)
  lost=$((lost + missing))
  digests run >found
  if ! cmp -s expected found; then complain "after $((kills - before)) kills the cache has other bytes" run && return; fi
  if ! cmp -s undisturbed/model-phase1.safetensors run/model-phase1.safetensors; then complain "the model has other bytes" run && return; fi
  [ "$missing" -eq 0 ] || { complain "finished segments were written again at last" run && return; }
  # Each beginning of a segment has a partial file of its own name.
  again=$(($(cat calls.* | grep -o 'segment-[0-9]*\.h5\.[^ ]*' | sort -u | wc -l) - segments))
  redone=$((redone + again))
  if [ $again -lt 0 ] || [ $again -gt $(((kills - before) * ranks)) ]; then
    complain "$again segments were begun again after $((kills - before)) kills on $ranks ranks" run && return
  fi
  good=$((good + 1))
}

while [ "$kills" -lt "$wanted" ]; do
  [ $rounds -lt "$wanted" ] || fail "only $kills kills in $rounds rounds"
  round
  echo "round $rounds: $kills kills" >&2
done
end_with_figure "$good of $rounds caches had equal bytes after $kills kills; finished segments lost or written again: $lost; segments begun again: $redone"
