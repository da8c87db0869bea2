#!/usr/bin/env bash
# usage: kill_points.sh [--long]
# Kills a rank before each file operation of a save, in each phase, on 1, 2 and 4 ranks; the same command, given again, must end with the bytes
# of a run that nobody killed. The short form takes every 10th point, every 20th on 2 ranks and every 40th on 4.
# ACM_PHASES="2 3" visits only these phases.
. "$(dirname "$0")/lib.sh"
make_inputs inputs "${small[@]}"

killed=0 good=0 figure=

# visit PHASE RANKS RANK POINT: one kill, and the same command again.
visit() {
  local phase=$1 ranks=$2 rank=$3 point=$4 what="phase $1 on $2 rank(s), rank $3 killed before call $4"
  rm -rf run
  inject "$here/run/phase$phase" RANK="$rank" AT="$point" DO=signal:9
  attempt_phase "$ranks" "$phase" run "${inputs[@]}" "${small[@]}"
  killed=$((killed + 1))
  if [ "$code" -ne 137 ]; then complain "$what: ended with $code, expected 137" run && return; fi
  fault=()
  cp -r run before
  attempt_phase "$ranks" "$phase" run "${inputs[@]}" "${small[@]}"
  if [ "$code" -ne 0 ]; then
    complain "$what: the same command again ended with $code" before
  elif ! cmp -s "undisturbed$phase-$ranks/$(model_of "$phase")" "run/$(model_of "$phase")"; then
    complain "$what: the model has other bytes than that of an undisturbed run" before
  elif ! went_on_from_newest before run; then
    complain "$what: it did not go on from the newest whole checkpoint" before
  else
    good=$((good + 1))
  fi
  rm -rf before
}

for phase in ${ACM_PHASES:-0 1 2 3}; do
  inputs_for "$phase" inputs
  figure+="${figure:+; }phase $phase:"
  for ranks in 1 2 4; do
    stride=1
    if [ -z "$long" ]; then stride=$((10 * ranks)); fi
    inject "$here/undisturbed$phase-$ranks/phase$phase" LOG="$here/calls$phase-$ranks"
    attempt_phase $ranks "$phase" "undisturbed$phase-$ranks" "${inputs[@]}" "${small[@]}"
    [ "$code" -eq 0 ] || fail "the undisturbed run of phase $phase on $ranks ended with $code: $(tail -n 5 stderr)"
    # "RANK POINT" a line, of all ranks.
    for ((rank = 0; rank < ranks; rank++)); do
      [ ! -e "calls$phase-$ranks.$rank" ] || points_of "calls$phase-$ranks.$rank" | sed "s/^/$rank /"
    done >points
    [ "$(wc -l <points)" -ge 20 ] || fail "only $(wc -l <points) calls of a save were seen in phase $phase on $ranks rank(s)"
    before=$killed
    mapfile -t chosen < <(awk -v stride=$stride -v first=$((ACM_SEED % stride)) '(NR - 1) % stride == first' points)
    for place in "${chosen[@]}"; do visit "$phase" $ranks "${place% *}" "${place#* }"; done
    figure+=" $ranks rank(s) $((killed - before)) of $(wc -l <points),"
    echo "${figure##*; }" >&2
  done
  figure=${figure%,}
done
end_with_figure "$good of $killed points resumed to equal bytes ($figure)"
