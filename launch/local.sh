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
goes on from there. A second one, more than five seconds later, ends them at once. Otherwise the exit code is that of the ranks: 0 done, 64 and 65 yours to fix, 70 and 71 failures.

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

# listens PID: the process blocks USR1, because a thread of it waits for it; before, the signal would end it.
listens() {
  local blocked
  blocked=$(sed -n 's/^SigBlk:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null) || return 1
  ((0x${blocked:-0} & 0x200))
}

# All ranks are up and listen. mpirun drops a request that comes earlier.
all_listen() {
  local rank pids=()
  read -r -a pids < <(cat "/proc/$mpirun_pid/task/"*/children 2>/dev/null | tr '\n' ' ')
  ((${#pids[@]} == ranks)) || return 1
  for rank in "${pids[@]}"; do listens "$rank" || return 1; done
}

# Asks once, as soon as the ranks can hear it; asked a second time, they leave at once.
# shellcheck disable=SC2317  # the traps call it
ask_to_stop() {
  interrupted=1
  [[ -n $mpirun_pid ]] || return 0
  local what='save and stop'
  [[ -z $asker ]] || what='leave at once'
  echo "local.sh: asking the ranks to $what" >&2
  {
    while kill -0 "$mpirun_pid" && ! all_listen; do sleep 0.1; done
    kill -USR1 "$mpirun_pid"
  } >/dev/null 2>&1 &
  asker=$!
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

[[ -z $asker ]] || kill "$asker" 2>/dev/null || true  # it may have done its work
if ((code > 128)); then echo "local.sh: a rank was ended by signal $(kill -l "$code")" >&2; fi
exit "$code"
