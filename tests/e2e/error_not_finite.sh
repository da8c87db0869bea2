#!/usr/bin/env bash
# Numbers that are no longer finite end the run with 70, naming phase, step and, in phase 1, the site; the checkpoint of before is kept.
. "$(dirname "$0")/refusals.sh"

make_teacher given
train 2 1 given "${short_distill[@]}" --set 'acm.sites=["ffn"]'
train 2 2 given "${short_gating[@]}" --set 'acm.sites=["ffn"]'

# diverges NAME PHASE WHERE CHECKPOINTS ARGS...: with 1 and with 3 ranks.
diverges() {
  local name=$1 phase=$2 where=$3 checkpoints=$4 ranks
  shift 4
  for ranks in 1 3; do
    EXPECT=70 train "$ranks" "$phase" "run-$ranks" --set 'acm.sites=["ffn"]' --set "$name.learning_rate=1e30" --set "$name.save_every=1" "$@"
    # In phase 1 each rank may meet it by itself, so that more than one tells.
    expect_in stderr "^acm_dist: (rank [0-2]: )?phase $name$where, step 2: the loss or its gradient is not finite \(loss .*; the checkpoint of step 1 was kept; lower $name.learning_rate"
    expect_not_in stderr 'Exception raised from|frame #|terminate called|internal error'
    compgen -G "run-$ranks/$checkpoints/step-00000001/manifest.json" >/dev/null || fail "the checkpoint of step 1 is not there"
  done
}
diverges pretrain 0 '' phase0
cp given/model-phase0.safetensors run-1
cp given/model-phase0.safetensors run-3
diverges distill 1 ', site blocks.[01].ffn' 'phase1/*' --set distill.model="$scratch/given/model-phase0.safetensors"
diverges finetune 3 '' phase3 --set finetune.model="$scratch/given/model-phase2.safetensors"
