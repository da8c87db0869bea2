#!/usr/bin/env bash
# From a fresh Debian 12 to a counted test run: set-up, then CTest.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)

preset=release
arguments=()

usage() {
  cat <<'EOF'
usage: launch/test.sh [--label NAME] [--preset NAME] [CTEST ARGUMENTS]...

Installs what is missing, builds everything and runs the tests, two at a time. The last line counts them.

  --label NAME    only the tests with this label: unit, fuzz, parallel, golden, e2e, faults, slurm, cuda, bench
  --preset NAME   a preset of CMakePresets.json: release (default), dev, cuda, asan or tsan
Anything else goes to ctest, for example -R schedule.
EOF
}

while (($# > 0)); do
  case $1 in
    --help | -h) usage && exit 0 ;;
    --label | --preset)
      (($# >= 2)) || { echo "test: $1 needs a value (see --help)" >&2 && exit 64; }
      ;;&
    --label) arguments+=(-L "^$2\$") && shift 2 ;;
    --preset) preset=$2 && shift 2 ;;
    *) arguments+=("$1") && shift ;;
  esac
done
build=$root/build
[[ $preset == release ]] || build=$root/build-$preset

"$root/launch/setup.sh" --preset "$preset" --tests

# The tests start mpirun with up to 4 ranks.
# shellcheck source=launch/env.sh
. "$root/launch/env.sh" 4
results=$build/tests.xml
rm -f -- "$results"
code=0
ctest --test-dir "$build" --output-on-failure --parallel 2 --no-tests=error --output-junit "$results" \
  "${arguments[@]}" || code=$?

# count PATTERN: lines of the results that match. CTest escapes every `<` of a test's own output, so tags are tags.
count() { grep -c -- "$1" "$results" 2>/dev/null || true; }
all=$(count '^\s*<testcase ')
passed=$(count '^\s*<testcase .*status="run"')
# A test that could not start also stands there as skipped, for another reason: it counts as failed.
skipped=$(($(count '<skipped message="SKIP_') + $(count '^\s*<testcase .*status="disabled"')))
failed=$((${all:-0} - ${passed:-0} - skipped))
if ((code == 0 && (failed > 0 || ${all:-0} == 0))); then code=1; fi

printf '%d passed, %d failed, %d skipped\n' "${passed:-0}" "$failed" "$skipped"
exit "$code"
