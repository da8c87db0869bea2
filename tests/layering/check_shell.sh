#!/usr/bin/env bash
# Runs shellcheck over every shell script of the repository. usage: check_shell.sh [ROOT OF THE REPOSITORY]
set -euo pipefail
cd -- "${1:-$(dirname -- "${BASH_SOURCE[0]}")/../..}" >/dev/null
command -v shellcheck >/dev/null || { echo "skipped: shellcheck was not found: install the Debian package shellcheck" && exit 77; }

mapfile -t scripts < <(find . \( -path './build*' -o -path ./.deps -o -path ./.git -o -path ./runs \) -prune -o -type f \
  \( -name '*.sh' -o -name '*.sbatch' -o -path ./.ci/run \) -print | sort)
((${#scripts[@]} > 0)) || { echo "check_shell.sh: found no scripts in $PWD" >&2 && exit 1; }
# Sourced files are found beside the script that names them.
shellcheck --external-sources --source-path=SCRIPTDIR "${scripts[@]}"
echo "${#scripts[@]} scripts"
