#!/usr/bin/env bash
# Phase 1 that was killed goes on with another number of ranks, to the same bytes.
. "$(dirname "$0")/background.sh"
RANDOM=${ACM_SEED:=$(date +%N | sed 's/^0*//')}
echo "moments from ACM_SEED=$ACM_SEED"

make_teacher teacher
settings=(--set distill.model=teacher/model-phase0.safetensors "${phases_of_seconds[@]}" --set distill.steps=4000)
train 1 1 undisturbed "${settings[@]}"

for ranks in '2 3' '3 1'; do
  read -r before after <<<"$ranks"
  moment="from_$before/phase1/*/step-$(printf %08d $((200 + RANDOM % 6 * 100)))"
  begin "$before" 1 "from_$before" "${settings[@]}"
  wait_until compgen -G "$moment" >/dev/null
  victim=$((RANDOM % before))
  kill -KILL "$(rank_pid "from_$before" $victim)"
  echo "killed rank $victim of $before at $moment"
  ends_with 137
  train "$after" 1 "from_$before" "${settings[@]}"
  cat "from_$before"/log/* >logs
  went_on logs 'distill, site [a-z0-9.]+'
  same_bytes undisturbed/model-phase1.safetensors "from_$before/model-phase1.safetensors"
done
