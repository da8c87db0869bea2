# shellcheck shell=bash
# The environment a run of RANKS ranks on this machine wants. Source it: . launch/env.sh RANKS
# It changes nothing else, and a value of OMP_NUM_THREADS or OMP_WAIT_POLICY that is already set stays.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  echo 'usage: . launch/env.sh RANKS     (source it: it exports OMP_* and OMPI_* for RANKS ranks on this machine)'
  [[ ${1:-} == --help || ${1:-} == -h ]]
  exit
fi
if [[ ! ${1:-} =~ ^[1-9][0-9]*$ ]]; then
  echo "launch/env.sh: the number of ranks must be a positive whole number, got '${1:-}'" >&2
  return 64
fi

# nproc honours the cores this process may use, but also the OMP variables, which are not the question here.
acm_cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)

# Threads that spin at barriers take the cores from the other ranks.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
# Under mpirun the math library falls back to one thread unless it is told.
if [[ -z ${OMP_NUM_THREADS:-} ]]; then
  export OMP_NUM_THREADS=$((acm_cores > $1 ? acm_cores / $1 : 1))
fi

# Open MPI counts cores; nproc counts hardware threads. Both count threads from here on.
export OMPI_MCA_hwloc_base_use_hwthreads_as_cpus=1
if (($1 > acm_cores)); then export OMPI_MCA_rmaps_base_oversubscribe=1; fi
# In containers the only user is often root, whom Open MPI refuses unless told twice.
if ((EUID == 0)); then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
unset acm_cores
