#!/usr/bin/env bash
# Every file in configs/ is read without a fault, and those named *_paper.toml switch off what this project adds to the paper.
source "$(dirname "$0")/lib.sh"

for config in "$ACM_SOURCE"/configs/*.toml; do
  acm 1 --config "$config" --print-config
  expect_in stdout "^run_dir = \"runs/$(basename "$config" .toml)\""
  [[ "$config" == *_paper.toml ]] || continue
  expect_file "${config%_paper.toml}.toml"
  for off in 'calibration = 0' 'init = "random"' 'projection_activation = "gelu"' 'hidden = 16' 'rule = "marginal"' 'calibrated_start = false' \
    'objective = "nested"' 'teacher_weight = 0'; do
    expect_in stdout "^$off(\.0)?( |\$)"
  done
done
