#!/usr/bin/env bash
# Runs acm_dist under mpirun on this machine, and turns every polite way of ending a program into "save, then stop".
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)

usage() {
  cat <<'EOF'
usage: launch/local.sh RANKS ARGUMENTS...

Runs `acm_dist ARGUMENTS` with RANKS ranks on this machine, for example
  launch/local.sh 2 --phase all --config configs/fashion_mnist.toml --set run_dir=runs/mine

Ctrl-C, TERM, HUP and USR1 ask the ranks to save and stop at the next step; the exit code is then 75, and the same command
goes on from there. Otherwise the exit code is that of the ranks: 0 done, 64 and 65 yours to fix, 70 and 71 failures.

  ACM_DIST            the program to run (default: build/acm_dist)
  OMP_NUM_THREADS     threads of each rank (default: cores / RANKS)
EOF
}

case ${1:-} in
  --help | -h) usage && exit 0 ;;
  '') usage >&2 && exit 64 ;;
esac
ranks=$1
shift
# shellcheck source=launch/env.sh
. "$root/launch/env.sh" "$ranks" || exit 64
program=${ACM_DIST:-$root/build/acm_dist}
if [[ ! -x $program ]]; then
  echo "local.sh: $program is not there: run launch/setup.sh first, or name the program in ACM_DIST" >&2
  exit 64
fi
command -v mpirun >/dev/null || { echo "local.sh: mpirun was not found: install the Debian package openmpi-bin" >&2 && exit 64; }
# Under mpirun a rank writes to a pipe; this tells it that a terminal is at the other end.
if [[ -t 2 ]]; then export ACM_DIST_TERMINAL=1; fi

mpirun_pid=
asker=
interrupted=
# Asks again every second: mpirun drops a request that comes before its ranks are up.
# shellcheck disable=SC2317  # the traps call it
ask_to_stop() {
  interrupted=1
  if [[ -n $mpirun_pid && -z $asker ]]; then
    echo "local.sh: asking the ranks to save and stop" >&2
    while kill -USR1 "$mpirun_pid"; do sleep 1; done >/dev/null 2>&1 &
    asker=$!
  fi
}
trap ask_to_stop USR1 INT TERM HUP

# In a session of its own mpirun does not see Ctrl-C, at which it would kill the ranks; should this script be killed, the ranks
# end with it rather than go on unseen. --quiet: the ranks say why they end, and mpirun's page about exit codes would hide it.
# odls_base_sigkill_timeout stays at its 1 s: it is also how long the others live on when one rank has died.
setpriv --pdeathsig KILL setsid mpirun --quiet -n "$ranks" --bind-to none "$program" "$@" &
mpirun_pid=$!
if [[ $interrupted ]]; then ask_to_stop; fi

# A trapped signal ends `wait` early, so wait until it ended for the other reason.
while true; do
  interrupted=
  code=0
  wait "$mpirun_pid" || code=$?
  [[ $interrupted ]] || break
done

if [[ $asker ]]; then
  kill "$asker" 2>/dev/null || true
  # Code 138: the request came before the ranks could listen, so USR1 itself ended them, with nothing begun.
  if ((code == 138)); then code=75; fi
fi
if ((code > 128)); then echo "local.sh: a rank was ended by signal $(kill -l "$code")" >&2; fi
exit "$code"
