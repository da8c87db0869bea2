#!/usr/bin/env bash
# usage: resize.sh [--long]
# A phase is stopped (SIGUSR1, exit code 75) or killed in its second save on R ranks and goes on with R' ranks. In float64 phases 0, 2 and 3 must end
# with the parameters of an undisturbed run up to 1e-9, phase 1 with its bytes, and each phase with its bytes where R' is R. Eight pairs of R and
# R', each in one phase; with --long all 36 ordered pairs of 1, 2, 3, 4, 6 and 8 in every phase.
. "$(dirname "$0")/lib.sh"
# Long enough that a request to stop during the second save is heard before the end.
settings=("${small[@]}" --set precision=float64)
for name in "${phase_names[@]}"; do settings+=(--set "$name.steps=200" --set "$name.save_every=50"); done
make_inputs inputs "${settings[@]}"

# undisturbed PHASE RANKS: makes it where it is not there.
undisturbed() {
  [ -e "undisturbed$1-$2" ] && return
  fault=()
  attempt_phase "$2" "$1" "undisturbed$1-$2" "${inputs[@]}" "${settings[@]}"
  [ "$code" -eq 0 ] || fail "the undisturbed run of phase $1 on $2 ranks ended with $code: $(tail -n 5 stderr)"
}

resumed=0 good=0 largest=0

# compare PHASE BEFORE AFTER WHAT
compare() {
  local model reference=1
  model=$(model_of "$1")
  if [ "$2" -eq "$3" ]; then reference=$2; fi
  undisturbed "$1" "$reference"
  if [ "$1" -eq 1 ] || [ "$2" -eq "$3" ]; then
    cmp -s "undisturbed$1-$reference/$model" "run/$model" || { complain "$4: the model has other bytes" run && return 1; }
  else
    "$ACM_COMPARE_MODELS" "undisturbed$1-$reference/$model" "run/$model" 1e-9 >compared ||
      { cp compared stderr && complain "$4: the model differs by more than 1e-9" run && return 1; }
    largest=$(awk -v most="$largest" '$3 > most { most = $3 } END { print most }' compared)
  fi
}

visit() {
  local phase=$1 before=$2 after=$3 signal=$4 expected what places
  expected=$((signal == 9 ? 137 : 75))
  what="phase $phase from $before to $after ranks, signal $signal"
  inputs_for "$phase" inputs
  rm -rf run
  # In the second save, of the first site in phase 1.
  places=$here/run/phase$phase/step-00000100:$here/run/phase$phase/blocks.0.ffn/step-00000100:$here/run/phase$phase/blocks.0.o/step-00000100
  inject "$places" RANK=0 AT=6 "DO=signal:$signal"
  attempt_phase "$before" "$phase" run "${inputs[@]}" "${settings[@]}"
  resumed=$((resumed + 1))
  if [ "$code" -ne $expected ]; then complain "$what: ended with $code, expected $expected" run && return; fi
  fault=()
  cp -r run before
  attempt_phase "$after" "$phase" run "${inputs[@]}" "${settings[@]}"
  if [ "$code" -ne 0 ]; then
    complain "$what: going on ended with $code" before
  elif ! went_on_from_newest before run; then
    complain "$what: it did not go on from the newest whole checkpoint" before
  elif compare "$phase" "$before" "$after" "$what"; then
    good=$((good + 1))
  fi
  rm -rf before
}

signals=(10 9)
if [ -n "$long" ]; then
  turn=0
  for before in 1 2 3 4 6 8; do
    for after in 1 2 3 4 6 8; do
      for phase in 0 1 2 3; do
        visit $phase $before $after "${signals[$((turn++ % 2))]}"
      done
      echo "$before to $after ranks: $good of $resumed" >&2
    done
  done
else
  visit 0 1 2 10
  visit 1 2 1 10
  visit 2 3 2 9
  visit 3 4 3 10
  visit 0 2 4 9
  visit 1 3 8 9
  visit 2 6 1 10
  visit 3 2 2 10
fi
end_with_figure "$good of $resumed resumptions on another number of ranks, or the same, ended as an undisturbed run (largest difference $largest)"
