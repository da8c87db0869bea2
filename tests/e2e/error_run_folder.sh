#!/usr/bin/env bash
# A run folder is not used for something else than it was begun for; what changes no result may change at will.
. "$(dirname "$0")/refusals.sh"

train 2 0 run "${short_pretrain[@]}"
refused_training 64 'phase 0 in .*/run was begun with other settings: .*config.backbone.depth: 3 here, 2 there .*config.pretrain.learning_rate: 0.5 here, 0.003 there .*config.seed: 9 here, 1 there .*use another run_dir' \
  0 run "${short_pretrain[@]}" --set seed=9 --set backbone.depth=3 --set pretrain.learning_rate=0.5
same='--set pretrain.save_every=1 --set pretrain.log_every=7 --set threads=1 --set data.loader_threads=2 --set pretrain.micro_batches=2'
# shellcheck disable=SC2086
train 2 0 run "${short_pretrain[@]}" $same
expect_in stderr 'phase 0 \(pretrain\): finished before'
# What belongs to later phases is not compared either.
train 2 0 run "${short_pretrain[@]}" --set finetune.budget_weight=7 --set acm.budget=0.25
expect_in stderr 'phase 0 \(pretrain\): finished before'

# A start that failed before the first step binds nobody: the mistake can be mended in the same folder.
EXPECT=65 train 2 1 run --set distill.model="$config"
train 2 1 run "${short_distill[@]}"
