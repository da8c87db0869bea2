#!/usr/bin/env bash
# A Slurm cluster of four virtual nodes on this machine, for tests: munged, slurmctld and four slurmd, started by hand, without systemd,
# cgroups or accounting, by root or by any user. All its files are in a scratch folder of its own.
set -euo pipefail

nodes=4
cores=2 # that each node claims to have

usage() {
  cat <<'END'
usage: tests/slurm/cluster.sh start|status|stop|clean LINK

  start    makes a scratch folder, points the symbolic link LINK to it and starts the cluster; one that LINK names is removed first.
           Then: export SLURM_CONF=LINK/slurm.conf
  status   shows the nodes and the jobs
  stop     ends all jobs and daemons; the logs stay in LINK/log
  clean    stops, and removes the scratch folder and LINK

Exit code 77: the Debian packages slurmctld, slurmd, slurm-client and munge are not all installed.
END
}

fail() {
  echo "cluster.sh: $*" >&2
  exit 1
}

require_packages() {
  local program
  # Debian keeps daemons outside an ordinary user's PATH.
  PATH=$PATH:/usr/sbin
  for program in munged slurmctld slurmd sinfo srun; do
    command -v "$program" >/dev/null && continue
    echo "skipped: $program was not found: install the Debian packages slurmctld, slurmd, slurm-client and munge"
    exit 77
  done
}

# The first of seven ports in a row that nobody listens on, from a random place below the ports that the system gives out itself.
free_ports() {
  local first port tries
  for ((tries = 0; tries < 100; tries++)); do
    first=$((20000 + RANDOM % 10000))
    for ((port = first; port < first + 7; port++)); do
      if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue 2; fi
    done
    echo "$first"
    return
  done
  fail "found no seven free ports in a row between 20000 and 30007"
}

write_conf() {
  local port=$1 host user node
  host=$(hostname -s)
  user=$(id -un)
  # cred_expire is also how long a requeued job waits; with the least, 5, a busy machine is too slow to start ranks. KillWait: seconds between TERM and KILL.
  # TmpFS of each node: PMIx keeps its sockets there, under names that would be the same on all nodes of one host.
  cat >"$folder/slurm.conf" <<END
ClusterName=virtual
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=10
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdPidFile=$folder/%n/slurmd.pid
SlurmdLogFile=$folder/log/slurmd-%n.log
SlurmdSpoolDir=$folder/%n/spool
TmpFS=$folder/%n/tmp
TaskProlog=$folder/task_prolog.sh
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=pmix
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
InactiveLimit=0
KillWait=5
MinJobAge=3600
SlurmdTimeout=30
SlurmctldTimeout=30
PartitionName=main Nodes=n[1-$nodes] Default=YES DefaultTime=UNLIMITED MaxTime=UNLIMITED State=UP
END
  for ((node = 1; node <= nodes; node++)); do
    echo "NodeName=n$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1 + node)) CPUs=$cores RealMemory=4000"
  done >>"$folder/slurm.conf"
}

# Open MPI names the memory that ranks of one host share by host, user, job and local rank, which are equal on all our nodes: a folder for each.
# Nor does it know that ranks of several nodes share our cores: one that waits must leave them to the others.
write_prolog() {
  cat >"$folder/task_prolog.sh" <<END
#!/bin/sh
mkdir -p "$shared/\$SLURMD_NODENAME"
echo "export OMPI_MCA_btl_vader_backing_directory=$shared/\$SLURMD_NODENAME"
echo "export OMPI_MCA_mpi_yield_when_idle=1"
END
  chmod +x "$folder/task_prolog.sh"
}

all_nodes_idle() { [[ $(sinfo --noheader --states=idle --format=%D 2>/dev/null) == "$nodes" ]]; }

start() {
  local node tries
  require_packages
  [[ ! -L $link ]] || clean
  # Below /tmp, not TMPDIR: the name of a socket has at most 107 characters.
  folder=$(mktemp -d /tmp/acm-slurm.XXXXXX)
  chmod 711 "$folder" # munged insists that all may pass to its socket
  ln -s "$folder" "$link"
  name_paths
  mkdir "$folder"/{log,munge,state} "$shared"
  for ((node = 1; node <= nodes; node++)); do mkdir -p "$folder/n$node"/{spool,tmp}; done
  (umask 077 && head -c 1024 /dev/urandom >"$folder/munge/key")
  write_conf "$(free_ports)"
  write_prolog

  munged --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munge/munged.pid" \
    --log-file="$folder/log/munged.log" --seed-file="$folder/munge/seed"
  slurmctld -c
  for ((node = 1; node <= nodes; node++)); do slurmd -N "n$node"; done
  for ((tries = 0; tries < 300; tries++)); do
    if all_nodes_idle; then return; fi
    sleep 0.1
  done
  sinfo --list-reasons >&2 || true
  tail -n 20 "$folder"/log/* >&2
  fail "not all $nodes nodes came up within 30 s (above: the ends of the logs)"
}

# A process that ended and that nobody has waited for yet does not run.
is_running() { grep -q '^State:[[:space:]]*[^ZX]' "/proc/$1/status" 2>/dev/null; }

# end_processes PIDS...: all at once, and by force those that take longer than ten seconds.
end_processes() {
  local pid tries
  kill "$@" 2>/dev/null || true # some may have ended
  for ((tries = 0; tries < 100; tries++)); do
    for pid in "$@"; do
      if is_running "$pid"; then sleep 0.1 && continue 2; fi
    done
    return 0
  done
  kill -KILL "$@" 2>/dev/null || true
}

# Also where slurmctld is not there to tell.
no_jobs() { [[ -z $(squeue --noheader 2>/dev/null || true) ]]; }

stop() {
  local tries file pids=()
  scancel --user="$(id -un)" 2>/dev/null || true # where slurmctld is not there, neither are jobs
  for ((tries = 0; tries < 200; tries++)); do
    if no_jobs; then break; fi
    sleep 0.1
  done
  for file in "$folder"/n*/slurmd.pid "$folder/slurmctld.pid" "$folder/munge/munged.pid"; do
    [[ ! -f $file ]] || pids+=("$(cat "$file")")
  done
  ((${#pids[@]} == 0)) || end_processes "${pids[@]}"
}

clean() {
  name_paths
  stop
  rm -rf -- "$folder" "$shared" "$link"
}

# The paths of the cluster that LINK names.
name_paths() {
  folder=$(readlink -- "$link") || fail "no cluster was started there: $link is not a symbolic link"
  shared=/dev/shm/${folder##*/}
  export SLURM_CONF=$folder/slurm.conf
}

case ${1:-} in
  --help | -h) usage && exit 0 ;;
  start | status | stop | clean) (($# == 2)) || { usage >&2 && exit 64; } ;;
  *) usage >&2 && exit 64 ;;
esac
link=$2
case $1 in
  start) start ;;
  status) name_paths && sinfo --Node --long && squeue ;;
  stop) name_paths && stop ;;
  clean) [[ ! -L $link ]] || clean ;;
esac
