#!/usr/bin/env bash
# An array over two budgets on top of one run: each has its own models, made with the cache and models of that run, and one that is
# preempted begins again alone. Where labels do not depend on the budget, phase 2 is shared as well.
. "$(dirname "$0")/lib.sh"

make_undisturbed
cp -r "$undisturbed" base
times base/cache/* base/*.safetensors >before

# sweep BUDGETS ARGUMENTS...: sets `id`, that of the array; logs are $id_INDEX.log.
sweep() {
  id=$(cd "$ACM_SOURCE" && ACM_BUDGETS=$1 sbatch --parsable --output="$scratch/%A_%a.log" --array=0-1 "${two_nodes[@]}" slurm/sweep.sbatch "$scratch/base" \
    "${tiny[@]}" "${@:2}")
}
sweep '0.5 0.75'
await has_checkpoint base-budget-0.75/phase3
scancel --batch --signal=USR1 "${id}_1"
expect_end "${id}_1" COMPLETED 1
expect_end "${id}_0" COMPLETED 0
went_on "${id}_1.log" finetune
# 0.5 is the budget of the run that was there.
same_bytes base/model-phase2.safetensors base-budget-0.5/model-phase2.safetensors
same_bytes base/model.safetensors base-budget-0.5/model.safetensors
expect_in base-budget-0.75/config.toml '^budget = 0.75'
! cmp -s base-budget-0.5/model-phase2.safetensors base-budget-0.75/model-phase2.safetensors || fail "gates for 0.5 and 0.75 are the same"
for index in 0 1; do
  expect_not_in "${id}_$index.log" 'to capture'
done
times base/cache/* base/*.safetensors >after
same_bytes before after

# The second task has no budget.
sweep '0.25' --set gating.rule=marginal
expect_end "${id}_0" COMPLETED 0
expect_end "${id}_1" FAILED 0 64
[ ! -e base-budget-0.25/model-phase2.safetensors ] || fail "phase 2 ran for its own"
expect_file base-budget-0.25/model.safetensors
