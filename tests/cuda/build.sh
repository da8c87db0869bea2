#!/usr/bin/env bash
# Builds the program and the tests of comm/ with CUDA, in build-cuda/, and runs them: a machine without a GPU finds what does not compile,
# link or start. Skipped where there is no nvcc.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." >/dev/null && pwd)
if ! command -v nvcc /usr/local/cuda/bin/nvcc >/dev/null; then
  echo 'skipped: no nvcc in PATH nor in /usr/local/cuda/bin'
  exit 77
fi
"$root/launch/setup.sh" --preset cuda --target cuda_tests
ctest --test-dir "$root/build-cuda" -L '^(cuda|gpu)$' --output-on-failure --no-tests=error
