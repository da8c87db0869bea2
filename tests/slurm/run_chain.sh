#!/usr/bin/env bash
# phase.sbatch runs a phase on two nodes, and chain.sh the others one after another, to the bytes of one job for all. A phase that begins again
# is waited for; where one fails, those that wait for it are cancelled.
. "$(dirname "$0")/lib.sh"

# chain ARGUMENTS...: chain.sh, from the source folder; sets `ids`.
chain() {
  (cd "$ACM_SOURCE" && slurm/chain.sh "$@" -- "${two_nodes[@]}" --output="$scratch/%j.log" --dependency="afterok:$id") >stdout
  mapfile -t ids < <(sed -nE 's/^phase [1-3]: job ([0-9]+)$/\1/p' stdout)
  [ "${#ids[@]}" -eq 3 ] || fail "chain.sh must name three jobs: $(cat stdout)"
}

make_undisturbed
submit_phase 0 run
chain "${tiny[@]}" --set "run_dir=$scratch/run"
await has_checkpoint 'run/phase1/*'
scancel --batch --signal=USR1 "${ids[0]}"

expect_end "$id" COMPLETED 0
expect_in "$id.log" '2 rank\(s\), 1 on '
expect_end "${ids[0]}" COMPLETED 1
expect_end "${ids[1]}" COMPLETED 0
expect_end "${ids[2]}" COMPLETED 0
same_models "$undisturbed" run

chain "${tiny[@]}" --set "run_dir=$scratch/run" --set distill.steps=-1
expect_end "${ids[0]}" FAILED 0 64
expect_end "${ids[1]}" CANCELLED 0
expect_end "${ids[2]}" CANCELLED 0
