#!/usr/bin/env bash
# Fuzzes the parsers of bytes that others wrote: builds the preset fuzz and runs each target for a while from its corpus.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)
build=$root/build-fuzz
corpus=$root/tests/fuzz/corpus

usage() {
  cat <<'EOF'
usage: launch/fuzz.sh [SECONDS] [TARGET]...

Builds the targets of tests/fuzz with libFuzzer and the address and undefined behaviour sanitizers (preset fuzz, into
build-fuzz/), runs each for SECONDS (default 60) from tests/fuzz/corpus/TARGET, one after another, and prints a table.
Without a TARGET it runs all. The exit code is 1 where anything was found.

What is found lies in build-fuzz/findings/TARGET/, the end of the target's output in build-fuzz/findings/TARGET.log.
Run one again with build-fuzz/tests/fuzz/fuzz_TARGET FILE; once it is mended, keep FILE in tests/fuzz/corpus/TARGET/.
Inputs that reach new code stay in build-fuzz/corpus/TARGET/, and the next run begins with them too.

Needs clang 16, besides what launch/setup.sh installs: apt-get install clang-16 libclang-rt-16-dev
EOF
}

die() {
  printf 'fuzz: %s\n' "$*" >&2
  exit 64
}

case ${1:-} in --help | -h) usage && exit 0 ;; esac
seconds=60
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
  seconds=$1
  shift
fi
((seconds > 0)) || die "SECONDS must be positive: without an end libFuzzer runs on (see --help)"
targets=("$@")
if ((${#targets[@]} == 0)); then
  for folder in "$corpus"/*/; do targets+=("$(basename -- "$folder")"); done
fi
for target in "${targets[@]}"; do
  [[ -d $corpus/$target ]] || die "there is no target '$target': tests/fuzz/corpus has $(cd "$corpus" && echo *)"
done
command -v clang++-16 >/dev/null ||
  die "clang++-16 was not found, and only clang has libFuzzer: apt-get install clang-16 libclang-rt-16-dev"

for target in "${targets[@]}"; do "$root/launch/setup.sh" --preset fuzz --target "fuzz_$target" >&2; done

# Targets that need files on disk make them here; one that crashes leaves them.
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
export TMPDIR=$scratch OMP_NUM_THREADS=1
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=0 UBSAN_OPTIONS=print_stacktrace=1

# fuzz TARGET: one line of the table; 1 where something was found. Inputs are below 64 kB, as fewer bytes say as much.
fuzz() {
  local target=$1 log=$build/findings/$1.log found=$build/findings/$1 grown=$build/corpus/$1 code=0 findings executions added
  rm -rf -- "$found"
  mkdir -p -- "$found" "$grown"
  "$build/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 \
    -malloc_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$found/" "$grown" "$corpus/$target" >"$log" 2>&1 || code=$?
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  added=$(sed -n 's/^stat::new_units_added: *//p' "$log")
  findings=$(find "$found" -type f | wc -l)
  if ((code != 0 && findings == 0)); then findings=1; fi
  printf '%-14s %12s %12s %9s\n' "$target" "${executions:-?}" "${added:-?}" "$findings"
  ((code == 0 && findings == 0)) || { grep -m1 -E 'ERROR|runtime error|promise' "$log" >&2 || tail -n 5 "$log" >&2; return 1; }
}

code=0
printf '%-14s %12s %12s %9s\n' target executions "new inputs" findings
for target in "${targets[@]}"; do fuzz "$target" || code=1; done
exit "$code"
