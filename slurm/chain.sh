#!/usr/bin/env bash
# Submits phases of acm_dist as Slurm jobs of which each begins when the one before it is done.
set -euo pipefail

phases=(1 2 3)
arguments=()

usage() {
  cat <<'END'
usage: slurm/chain.sh [--phases LIST] ARGUMENTS... [-- SBATCH OPTIONS...]     (from the folder of acm_dist)

Submits slurm/phase.sbatch once for each phase, with ARGUMENTS for acm_dist, and prints the jobs' ids, for example
  slurm/chain.sh --config my.toml --set run_dir=runs/mine -- --nodes=2 --ntasks-per-node=4 --time=8:00:00

A phase begins when the one before it is done. Where one fails for good, Slurm cancels those that wait for it.

  --phases LIST   phases in their order, such as 0,1,2,3 (default: 1,2,3)
END
}

die() {
  echo "chain.sh: $*" >&2
  exit 64
}

while (($# > 0)); do
  case $1 in
    --help | -h) usage && exit 0 ;;
    --phases)
      [[ ${2:-} =~ ^[0-3](,[0-3])*$ ]] || die "--phases takes numbers from 0 to 3 with commas between them, got '${2:-}'"
      IFS=, read -ra phases <<<"$2"
      shift 2
      ;;
    --phase) die "the phases are named with --phases" ;;
    --) shift && break ;;
    *) arguments+=("$1") && shift ;;
  esac
done
((${#arguments[@]} > 0)) || { usage >&2 && exit 64; }
[[ -r slurm/phase.sbatch ]] || die "$PWD has no slurm/phase.sbatch: start this from the folder of acm_dist"
command -v sbatch >/dev/null || die "sbatch was not found: this is for machines of a Slurm cluster"

dependency=()
for phase in "${phases[@]}"; do
  id=$(sbatch --parsable --job-name="acm_dist-$phase" "$@" "${dependency[@]}" slurm/phase.sbatch --phase "$phase" "${arguments[@]}")
  id=${id%%;*} # the cluster's name may follow
  echo "phase $phase: job $id"
  dependency=(--dependency="afterok:$id" --kill-on-invalid-dep=yes)
done
