#!/usr/bin/env bash
# Input models that are missing, no model files at all, or truncated.
. "$(dirname "$0")/refusals.sh"

make_teacher teacher
teacher=$scratch/teacher/model-phase0.safetensors

refused_training 64 'phase 2 starts from .*/run/model-phase1.safetensors, which is not there: make it with: acm_dist --phase 1 --config .*tiny.toml' 2 run \
  --set distill.model="$teacher"
refused_training 64 'phase 1 starts from nowhere.safetensors, which is not there: check the path' 1 run --set distill.model=nowhere.safetensors

refused_training 65 "cannot open $config: it is not a safetensors file" 1 run --set distill.model="$config"
head -c 20000 "$teacher" >truncated.safetensors
refused_training 65 'cannot open truncated.safetensors: it is truncated: 20000 of [0-9]+ bytes are there; fetch it again' 1 run \
  --set distill.model=truncated.safetensors
