# shellcheck shell=bash disable=SC2154,SC2034
# Sourced by fault_kinds.sh: the table of kinds. A kind begins with begin_kind, and what happened is told by ended, resumed and the like.
kinds=() expected=() happened=() verdicts=()
kind=-1

# begin_kind NAME EXPECTED
begin_kind() {
  print_row "$kind" >&2
  kind=$((kind + 1))
  kinds[kind]=$1 expected[kind]=$2 happened[kind]='' verdicts[kind]=ok
  fault=() wrapper=()
  rm -rf run
}

tell() { happened[kind]+="${happened[kind]:+, }$1"; }

wrong() {
  tell "$1"
  verdicts[kind]=WRONG
  complain "${kinds[kind]}: $1 (expected: ${expected[kind]})" run
}

skip_kind() {
  tell "skipped: $1"
  verdicts[kind]=skipped
}

# undisturb PHASE RANKS
undisturb() {
  fault=()
  inputs_for "$1" inputs
  attempt_phase "$2" "$1" "undisturbed$1-$2" "${inputs[@]}" "${settings[@]}"
  [ "$code" -eq 0 ] || fail "the undisturbed run of phase $1 on $2 ranks ended with $code"
}

# run_phase RANKS PHASE ARGS...: with the faults of this kind.
run_phase() {
  ranks=$1 phase=$2
  shift 2
  inputs_for "$phase" inputs
  attempt_phase "$ranks" "$phase" run "${inputs[@]}" "${settings[@]}" "$@"
}

# ended CODE MESSAGE: the exit code, and a line that the run must have said.
ended() {
  local said=exit
  if [ "$code" -eq 124 ] || [ "$code" -eq 137 ] && [ "$1" -ne 137 ]; then said='no end in time, exit'; fi
  if [[ $code =~ ^($1)$ ]]; then tell "exit $code"; else wrong "$said $code"; fi
  [ -z "$2" ] && return
  if grep -rqE -- "$2" stderr; then tell 'named'; else wrong "no message with '$2': $(tail -n 1 stderr)"; fi
}

# says MESSAGE: the run, which went on, said it.
says() {
  if grep -qE -- "$1" stderr; then tell 'said so'; else wrong "no message with '$1'"; fi
}

equal_bytes() {
  if cmp -s "undisturbed$phase-$ranks/$(model_of "$phase")" "run/$(model_of "$phase")"; then tell 'equal bytes'; else wrong 'OTHER BYTES'; fi
}

# resumed: the same command without the fault.
resumed() {
  fault=() wrapper=()
  run_phase "$ranks" "$phase"
  if [ "$code" -ne 0 ]; then
    wrong "resumed: exit $code"
  else
    tell resumed
    equal_bytes
  fi
}

# kill_left: ends the ranks of a run that stood still, should mpirun have left them.
kill_left() {
  local file pid
  for file in run/alive/rank-?????; do
    [ -e "$file" ] || continue
    pid=$(grep -o '"pid":[0-9]*' "$file" | tr -dc 0-9)
    if is_running "$pid"; then kill -KILL "$pid"; fi
  done
}

print_row() {
  if [ "$1" -ge 0 ]; then printf '%-58s  %-42s  %-8s %s\n' "${kinds[$1]}" "${expected[$1]}" "${verdicts[$1]}" "${happened[$1]}"; fi
}

print_kinds() {
  local i good=0 skipped=0
  printf '%-58s  %-42s  %-8s %s\n' kind expected verdict happened
  for i in "${!kinds[@]}"; do
    case ${verdicts[i]} in
      ok) good=$((good + 1)) ;;
      skipped) skipped=$((skipped + 1)) ;;
    esac
    print_row "$i"
  done
  end_with_figure "$good of ${#kinds[@]} kinds ended as expected, $skipped skipped"
}
