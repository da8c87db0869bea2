#!/usr/bin/env bash
# expect_late.sh NAME SENTENCE... -- COMMAND...: the command, whose beats go to NAME.beats, ends with 71, and each SENTENCE, a pattern
# of grep -E, stands in what it writes to standard error.
set -euo pipefail
name=$1
shift
sentences=()
while [[ $1 != -- ]]; do
  sentences+=("$1")
  shift
done
shift
rm -rf -- "$name.beats"
code=0
"$@" 2>"$name.err" || code=$?
cat -- "$name.err"
for sentence in "${sentences[@]}"; do
  grep -qE -- "$sentence" "$name.err" || { printf 'missing: %s\n' "$sentence" && exit 1; }
done
((code == 71)) || { printf 'ended with %d, expected 71\n' "$code" && exit 1; }
