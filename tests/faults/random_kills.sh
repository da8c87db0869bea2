#!/usr/bin/env bash
# usage: random_kills.sh [--long]
# Kills a random rank, or mpirun, at random times, up to eight times in a run, in each phase on 2 and 3 ranks; the run that is left alone at last
# must end with the bytes of a run that nobody killed. 30 kills, with --long 300.
. "$(dirname "$0")/lib.sh"
wanted=$((${long:-0} ? 300 : 30))

# Long enough that most kills fall into training.
settings=("${small[@]}" --set data.train_samples=256 --set cache.samples=256
  --set pretrain.steps=600 --set pretrain.save_every=25 --set distill.steps=400 --set distill.save_every=25
  --set gating.steps=200 --set gating.save_every=10 --set finetune.steps=200 --set finetune.save_every=10)
make_inputs inputs "${settings[@]}"

# draw BELOW: a random number into `drawn`. Not by $(...), whose shell would draw the same again and again.
draw() { drawn=$(((RANDOM * 32768 + RANDOM) % $1)); }

now() { date +%s%3N; }

# until_ready COMMAND...: until it succeeds or the run ended, at most ten minutes.
until_ready() {
  local tries
  for ((tries = 0; tries < 30000; tries++)); do
    if "$@" 2>/dev/null || ! is_running "$job"; then return; fi
    sleep 0.02
  done
  fail "waited ten minutes for: $*"
}

# undisturb RANKS PHASE: the run to compare with, and in `span` the milliseconds that it trained.
undisturb() {
  local folder=undisturbed$2-$1 started
  begin "$1" "$2" "$folder" "${inputs[@]}" "${settings[@]}"
  until_ready grep -q 'starting at step' stderr
  started=$(now)
  until_ready false
  ends_with 0
  span=$(($(now) - started))
}

# kill_once RANKS PHASE: goes on with the run and kills one of its processes at a random time: one in eight while it starts, else after it went
# on. Fails where the run ended before.
kill_once() {
  local ranks=$1 pids=() victim pid code=0
  begin "$ranks" "$2" run "${inputs[@]}" "${settings[@]}"
  draw 8
  if ((drawn > 0)); then until_ready grep -q 'starting at step' stderr; fi
  draw $((span * 3 / 4))
  sleep "$((drawn / 1000)).$(printf '%03d' $((drawn % 1000)))"
  # The ranks are children of mpirun; none where it has not started them.
  mapfile -t pids < <(cat "/proc/$job/task/"*/children 2>/dev/null | xargs -r -n 1)
  pids+=("$job")
  draw ${#pids[@]}
  victim=${pids[$drawn]}
  { kill -KILL "$victim" || true; } 2>/dev/null
  { wait "$job" || code=$?; } 2>/dev/null
  job=
  for pid in "${pids[@]}"; do wait_until is_gone "$pid"; done
  [ "$code" -ne 0 ] || return 1
  [ "$code" -eq 137 ] || complain "phase $2 on $ranks ranks: killed, it ended with $code, expected 137" run
  kills=$((kills + 1))
}

runs=0 good=0 kills=0
visit() {
  local ranks=$1 phase=$2 before=$kills kill
  inputs_for "$phase" inputs
  if [ ! -e "undisturbed$phase-$ranks" ]; then undisturb "$ranks" "$phase"; fi
  rm -rf run
  for ((kill = 0; kill < 8 && kills < wanted; kill++)); do
    kill_once "$ranks" "$phase" || break
  done
  runs=$((runs + 1))
  attempt_phase "$ranks" "$phase" run "${inputs[@]}" "${settings[@]}"
  if [ "$code" -ne 0 ]; then
    complain "phase $phase on $ranks ranks: after $((kills - before)) kills it ended with $code" run
  elif ! cmp -s "undisturbed$phase-$ranks/$(model_of "$phase")" "run/$(model_of "$phase")"; then
    complain "phase $phase on $ranks ranks: after $((kills - before)) kills the model has other bytes" run
  else
    good=$((good + 1))
  fi
  echo "phase $phase on $ranks ranks: $((kills - before)) kills" >&2
}

for ((turn = 0; kills < wanted; turn++)); do
  ((turn < wanted)) || fail "only $kills kills in $turn runs: they end too early"
  visit $((2 + turn / 4 % 2)) $((turn % 4))
done
end_with_figure "$good of $runs runs ended with equal bytes after $kills kills"
