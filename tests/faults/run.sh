#!/usr/bin/env bash
# Runs the tests of this folder and prints the figure of each: what was tried, and how much of it came out as promised.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" >/dev/null && pwd)
root=$(cd -- "$here/../.." >/dev/null && pwd)
all=(kill_points random_kills resize write_errors cache_kills damage sample_multiset fault_kinds)

usage() {
  cat <<'END'
usage: tests/faults/run.sh [--long] [NAME]...

Runs the tests of faults, all of them or those named, against the built program, and prints a table of their figures.

  --long      everything, for an hour or more; without it the shares that CTest runs, for minutes
  ACM_BUILD   the build folder (default: build)
  ACM_SEED    repeats what an earlier run drew; each test prints it
  ACM_KEEP    a folder that takes the run folders of what failed
  ACM_PHASES  kill_points only in these phases ("2 3")

Tests: kill_points random_kills resize write_errors cache_kills damage sample_multiset fault_kinds
The exit code is 0 where all came out as promised, 1 where one did not.
END
}

export ACM_BUILD=${ACM_BUILD:-$root/build} ACM_SOURCE=$root
long=()
names=()
for argument in "$@"; do
  case $argument in
    --help | -h) usage && exit 0 ;;
    --long) long=(--long) ;;
    *)
      [[ " ${all[*]} " == *" $argument "* ]] || { echo "run.sh: there is no test '$argument'; see --help" >&2 && exit 64; }
      names+=("$argument")
      ;;
  esac
done
if ((${#names[@]} == 0)); then names=("${all[@]}"); fi

export ACM_COMPARE_MODELS=$ACM_BUILD/tests/e2e/compare_models ACM_INJECT=$ACM_BUILD/tests/faults/libfault_inject.so
export ACM_WRONG_SHAPE=$ACM_BUILD/tests/faults/faults_wrong_shape
for file in "$ACM_BUILD/acm_dist" "$ACM_COMPARE_MODELS" "$ACM_INJECT" "$ACM_WRONG_SHAPE"; do
  [[ -e $file ]] || { echo "run.sh: $file is not there: build everything first (launch/setup.sh)" >&2 && exit 64; }
done
export ACM_SEED=${ACM_SEED:-$(($(date +%s) % 32768))}
# shellcheck source=launch/env.sh
. "$root/launch/env.sh" 8

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
failed=0
for name in "${names[@]}"; do
  if [[ -e $here/$name.sh ]]; then command=(bash "$here/$name.sh"); else command=("$ACM_BUILD/tests/faults/faults_$name"); fi
  echo "== $name (ACM_SEED=$ACM_SEED)"
  code=0
  SECONDS=0
  "${command[@]}" "${long[@]}" 2>&1 | tee "$results/$name" || code=$?
  figure=$(grep "^$name: " "$results/$name" | tail -n 1) || figure="$name: no figure, it ended with $code"
  verdict=ok
  if ((code != 0)); then verdict=FAILED failed=1; fi
  printf '%-6s %5d s  %s\n' "$verdict" "$SECONDS" "$figure" >>"$results/table"
done
echo
cat "$results/table"
exit "$failed"
