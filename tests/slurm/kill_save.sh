#!/usr/bin/env bash
# Both ranks are killed while they save: the step that has no manifest yet is passed over, and the job begins again from the one before it, to the
# bytes of an undisturbed run.
. "$(dirname "$0")/lib.sh"

make_undisturbed
# half_saved: the newest step has no manifest. Starts no process, so that the kill comes in time.
half_saved() {
  local steps=(run/phase0/step-*)
  newest=${steps[-1]}
  [[ ${#steps[@]} -gt 1 && ! -e $newest/manifest.json ]]
}

# kill_at_save START: in this start of the job.
kill_at_save() {
  local pids pid end
  await starts_are "$1"
  pids="$(rank_pid run 0) $(rank_pid run 1)"
  end=$((SECONDS + 300))
  until half_saved; do ((SECONDS < end)) || fail "saw no save in five minutes"; done
  # shellcheck disable=SC2086  # one word for each rank
  kill -KILL $pids
  for pid in $pids; do await is_gone "$pid"; done
}
starts_are() { [ "$(grep -c 'phase pretrain: starting at step' "$id.log" 2>/dev/null)" = "$1" ]; }

ACM_MAX_RETRIES=5 submit_phase 0 run
starts=1
kill_at_save 1
# The manifest may have come just before the kill.
while [ -e "$newest/manifest.json" ] && ((starts < 5)); do kill_at_save $((++starts)); done
[ ! -e "$newest/manifest.json" ] || fail "no kill came before the manifest"
echo "killed while $newest was saved, in start $starts"

expect_end "$id" COMPLETED "$starts"
last_start "$id"
went_on last pretrain
expect_not_in last "starting at step $((10#${newest##*-})) of"
same_bytes "$undisturbed/model-phase0.safetensors" run/model-phase0.safetensors
