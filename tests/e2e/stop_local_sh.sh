#!/usr/bin/env bash
# launch/local.sh turns every polite way of ending a program into "save, then stop", and passes the exit code on.
. "$(dirname "$0")/background.sh"

# begin_locally FOLDER ARGS...: phase 0 under launch/local.sh in the background.
begin_locally() {
  local folder=$1
  shift
  ACM_DIST=$ACM_BUILD/acm_dist "$ACM_SOURCE/launch/local.sh" 2 --phase 0 --config "$ACM_SOURCE/configs/tiny.toml" --set "run_dir=$folder" "$@" \
    </dev/null >stdout 2>stderr &
  job=$!
}

for signal in TERM USR1 HUP; do
  begin_locally $signal --set pretrain.steps=100000 --set pretrain.save_every=5
  wait_until has_checkpoint $signal/phase0
  kill -$signal "$job"
  ends_with 75
  expect_in stderr 'local.sh: asking the ranks to save and stop'
  expect_in stderr 'stopped and saved; the same command goes on from here'
done

# Before the ranks are there to listen.
is_launched() { grep -q mpirun "/proc/$(pgrep -P "$job" | head -n 1)/cmdline"; }
begin_locally early --set pretrain.steps=100000
wait_until is_launched
kill -TERM "$job"
ends_with 75

begin_locally refused --set pretrain.steps=-1
ends_with 64
