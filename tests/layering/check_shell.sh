#!/usr/bin/env bash
# Runs shellcheck over every shell script of the repository. usage: check_shell.sh [ROOT OF THE REPOSITORY]
set -euo pipefail
cd -- "${1:-$(dirname -- "${BASH_SOURCE[0]}")/../..}" >/dev/null
command -v shellcheck >/dev/null || { echo "skipped: shellcheck was not found: install the Debian package shellcheck" && exit 77; }

mapfile -t scripts < <(find . \( -path './build*' -o -path ./.deps -o -path ./.git -o -path ./runs \) -prune -o -type f \
  \( -name '*.sh' -o -name '*.sbatch' -o -path ./.ci/run \) -print | sort)
((${#scripts[@]} > 0)) || { echo "check_shell.sh: found no scripts in $PWD" >&2 && exit 1; }
# Each file by itself: following `.` takes shellcheck 0.9 minutes. So what one file sets and another uses is not looked at.
shellcheck --exclude=SC1091,SC2034,SC2154 "${scripts[@]}"
echo "${#scripts[@]} scripts"
