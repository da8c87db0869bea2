#!/usr/bin/env bash
# docs/config.md is what the program says of its settings.
source "$(dirname "$0")/lib.sh"

acm 1 reference
expect_in stdout 'generated: acm_dist reference'
# shellcheck disable=SC2016  # no command between these ticks
expect_in stdout '^\| `learning_rate` '
same_bytes "$ACM_SOURCE/docs/config.md" stdout
