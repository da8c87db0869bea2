#!/usr/bin/env bash
# run_on.sh PROCESSOR UNIT_TESTS: the tests of kernels with the instructions of another processor, as QEMU executes them.
set -euo pipefail

command -v qemu-x86_64 >/dev/null || {
  echo "skipped: qemu-x86_64 is not installed (Debian package qemu-user)"
  exit 77
}
tests=(--gtest_filter='*Product*:*Kernel*:VectorMath*:Attention*:*loat16*:Gated*:*GatedExecution*:GateChoice*:Forms*:DistillationLossThreads*')
[[ $("$2" "${tests[@]}" --gtest_list_tests) == *'  '* ]] || {
  echo "$2 has none of these tests: have they been renamed?" >&2
  exit 1
}
exec qemu-x86_64 -cpu "$1" "$2" "${tests[@]}"
