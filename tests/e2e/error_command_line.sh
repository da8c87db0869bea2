#!/usr/bin/env bash
# Command lines that cannot be meant.
. "$(dirname "$0")/refusals.sh"

refused 64 'no settings were given: name a TOML file with --config' --phase 0
refused 64 '.*--phase.*7.*acm_dist --help' --phase 7 --config "$config"
refused 64 '.*--unheard-of.*acm_dist --help' --phase 0 --config "$config" --unheard-of
refused 64 'nothing to do: say which phase with --phase' --config "$config"
alone 64 eval --config "$config"
says_it_once '.*--model.*acm_dist --help'
alone 64 --phase 0 --config "$config" --set
says_it_once '.*--set'
if ! grep -q '^ACM_WITH_CUDA:BOOL=ON' "$ACM_BUILD/CMakeCache.txt"; then
  refused 64 'cannot train on cuda:0: this program was built without CUDA; build it with the preset cuda' --phase 0 --config "$config" --set device=cuda
fi
