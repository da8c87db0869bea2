#!/usr/bin/env bash
# usage: write_errors.sh [--long]
# Makes file operations of a save (of phase 0, and of a site in phase 1) and of the cache's writing fail with ENOSPC or EIO, one at a time, or a
# write come out short. A run that fails says which file and why and ends with 71; a run that goes on although an operation failed
# must say so too, unless it was a short write, which it continues. Started again without the fault, it goes on from the newest whole checkpoint and
# ends with the bytes of an undisturbed run. The short form takes every 25th operation.
. "$(dirname "$0")/lib.sh"
make_inputs inputs "${small[@]}"

declare -A cause=([ENOSPC]='No space left on device' [EIO]='Input/output error')
tried=0 good=0 went_on=0
figure=

# visit NAME FAULT ROOTS POINT PHASE: one fault, and the same command again. What the fault met is read from the run's own log: threads take turns as
# they like, so call 86 need not be what it was in the undisturbed run.
visit() {
  local what=$1 kind=$2 roots=$3 point=$4 phase=$5 call=none path problem=
  rm -rf run before disturbed.0
  inject "$roots" AT="$point" DO="$kind" LOG="$here/disturbed"
  attempt_phase 1 "$phase" run "${inputs[@]}" "${small[@]}"
  tried=$((tried + 1))
  read -r call path < <(awk -v point="$point" '$1 == point { print $2, $3 }' disturbed.0) || problem='the fault never came'
  what="$what, call $point ($call ${path#"$here/"}) with $kind"
  # Of a partial file the name that it will have; of what cannot be removed its folder is enough.
  path=${path%.partial-*}
  case $call in unlink* | remove | rmdir) path=$(dirname "$path") ;; esac
  if [ "$kind" = short ]; then
    [ "$code" -eq 0 ] || problem+="${problem:+; }ended with $code, expected 0"
  else
    if [ "$code" -eq 0 ]; then went_on=$((went_on + 1)); elif [ "$code" -ne 71 ]; then problem+="${problem:+; }ended with $code, expected 71"; fi
    grep -qF "${cause[$kind]}" stderr || problem+="${problem:+; }no message says: ${cause[$kind]}"
    grep -qF "${path#"$here/"}" stderr || problem+="${problem:+; }no message names ${path#"$here/"}"
  fi
  if [ -n "$problem" ]; then complain "$what: $problem" run; fi
  fault=()
  cp -r run before
  if [ "$code" -ne 0 ]; then attempt_phase 1 "$phase" run "${inputs[@]}" "${small[@]}"; fi
  if [ "$code" -ne 0 ]; then
    problem="without the fault it ended with $code" && complain "$what: $problem" before
  elif ! cmp -s "undisturbed$phase/$(model_of "$phase")" "run/$(model_of "$phase")"; then
    problem="the model has other bytes" && complain "$what: $problem" before
  elif ! went_on_from_newest before run && [ ! -e "before/$(model_of "$phase")" ]; then
    problem="it did not go on from the newest whole checkpoint" && complain "$what: $problem" before
  fi
  [ -n "$problem" ] || good=$((good + 1))
}

# visit_all NAME PHASE ROOTS POINTS: the file holds the numbers of the calls.
visit_all() {
  local name=$1 phase=$2 roots=$3 points=$4 kind point call first=$tried stride=1
  if [ -z "$long" ]; then stride=25; fi
  for kind in ENOSPC EIO short; do
    while read -r point call _; do
      if [ "$kind" != short ] || [[ $call == *write* ]]; then visit "$name" "$kind" "$roots" "$point" "$phase" </dev/null; fi
    done < <(awk -v stride=$stride -v first=$((ACM_SEED % stride)) '(NR - 1) % stride == first' "$points")
  done
  figure+="${figure:+, }$name $((tried - first))"
}

undisturb() {
  inject "$here/undisturbed$1/phase$1:$here/undisturbed$1/cache" LOG="$here/calls$1"
  attempt_phase 1 "$1" "undisturbed$1" "${inputs[@]}" "${small[@]}"
  [ "$code" -eq 0 ] || fail "the undisturbed run of phase $1 ended with $code"
  # The paths in the runs that follow.
  sed -i "s|undisturbed$1|run|" "calls$1.0"
}

# part_of LOG PATTERN: the lines with the numbers that they have below one root.
part_of() { grep -E "$2" "$1" | awk '{ print NR, $2, $3 }'; }

inputs_for 0 inputs
undisturb 0
part_of calls0.0 /phase0 >all
awk '/step-00000006/ { seen = 1 } seen' all >points
visit_all 'phase 0' 0 "$here/run/phase0" points

# Phase 1 with a cache of its own.
inputs=(--set distill.model=inputs/model-phase0.safetensors)
undisturb 1
part_of calls1.0 '/phase1/blocks.0.ffn' >all
awk '/step-00000006/ { seen = 1 } seen' all >points
visit_all 'phase 1' 1 "$here/run/phase1/blocks.0.ffn" points
part_of calls1.0 /cache >all
# Before HDF5 creates a file it opens it to see whether there is one, takes any failure for a no, and tells nobody: that call is left out.
grep -E '/cache$|segment-0000[01]' all |
  awk '$2 == "create" && $3 == path { open = "" }
       open != "" { print open }
       { open = path = "" }
       $2 == "open" { open = $0; path = $3; next }
       { print }' >points
visit_all cache 1 "$here/run/cache" points
end_with_figure "$good of $tried faults named, and resumed to equal bytes ($figure; $went_on runs went on)"
