#!/usr/bin/env bash
# Input models that are of another kind than the phase needs, or belong to another teacher.
. "$(dirname "$0")/refusals.sh"

make_teacher teacher
teacher=$scratch/teacher/model-phase0.safetensors
train 2 1 teacher "${short_distill[@]}" --set 'acm.sites=["ffn"]'
learners=$scratch/teacher/model-phase1.safetensors
make_teacher wide --set backbone.width=64 --set backbone.heads=4
short=("${short_gating[@]}" --set 'acm.sites=["ffn"]')

refused_training 64 "cannot learn from $learners: it is an ACM model already" 1 run --set distill.model="$learners"
refused_training 64 "cannot train gates for $teacher: it is a dense model; name one that phase 1 made with gating.model" 2 run "${short[@]}" \
  --set distill.model="$teacher" --set gating.model="$teacher"
refused_training 64 "cannot train gates for $learners: its learners come from a model with the digest .* name the model that phase 1 started from" 2 run \
  "${short[@]}" --set distill.model="$scratch/wide/model-phase0.safetensors" --set gating.model="$learners"
refused_training 64 "cannot train gates for $learners: its site blocks.0.ffn is not among those of acm.sites" 2 other "${short_gating[@]}" \
  --set 'acm.sites=["o"]' --set distill.model="$teacher" --set gating.model="$learners"
refused_training 64 "cannot fine-tune $learners: its sites have no gates; run phase 2 on it first" 3 run --set finetune.model="$learners"
