#!/usr/bin/env bash
# Faults of a config: all of them at once, each with its place; of --set; and a config that is not there.
. "$(dirname "$0")/refusals.sh"

cat >wrong.toml <<'EOF'
seed = 1
[data]
kind = "idx"
path = "nowhere"
[backbone]
widht = 32
depth = "two"
heads = 5
[distill]
learning_rate = -1
  batch = 2.5
[gatings]
tau = 3
EOF
refused 64 '' --phase 1 --config wrong.toml --set run_dir="$scratch/run"
expect_in stderr "wrong.toml:6:1: backbone.widht is not a known key; did you mean 'backbone.width'\?$"
expect_in stderr '^wrong.toml:7:1: backbone.depth must be an integer, got the string "two"$'
expect_in stderr '^wrong.toml:10:1: distill.learning_rate must be positive, got -1$'
expect_in stderr '^wrong.toml:11:3: distill.batch must be an integer, got the number 2.5$'
expect_in stderr "^wrong.toml:12:2: \[gatings\] is not a known section; did you mean 'gating'\?$"
expect_in stderr 'backbone.width must be a multiple of backbone.heads, got 64 and 5$'
[ ! -e run ] || fail "the run folder was made"

echo 'seed = = 1' >broken.toml
refused 64 'broken.toml:1:[0-9]+: not TOML: ' --phase 1 --config broken.toml
refused 64 '--set distill.learnig_rate=1: distill.learnig_rate .*distill.learning_rate' --phase 1 --config "$config" --set distill.learnig_rate=1
refused 64 'cannot read the config: cannot open nowhere.toml: No such file or directory; check the path' --phase 1 --config nowhere.toml
refused 64 'cannot read the config: .*/configs' --phase 1 --config "$ACM_SOURCE/configs"
