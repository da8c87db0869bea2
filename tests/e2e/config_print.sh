#!/usr/bin/env bash
# --print-config shows every setting with its origin, and the config.toml that a run keeps holds the same values.
source "$(dirname "$0")/lib.sh"

tiny=$ACM_SOURCE/configs/tiny.toml
without_origins() { sed -E 's/  # (default|--set|[^ ]+\.toml:[0-9]+)$//' "$1"; }

train 1 0 run --set acm.sites='["ffn", "blocks.1.q"]' --set finetune.learning_rate=3e-5 "${short_pretrain[@]}" --print-config
[ ! -e run ] || fail "--print-config made the run folder"
cp stdout printed
expect_in printed '^seed = 1  # .*tiny\.toml:[0-9]+$'
expect_in printed '^pooling = "class"  # default$'
expect_in printed '^sites = \["ffn", "blocks\.1\.q"\]  # --set$'
expect_in printed '^steps = 5  # --set$'

expect_not_in <(grep ' = ' printed) '^[a-z_]+ = [^#]*$'

# Each key that the file sets names the line that sets it; four of them (run_dir is one) are overridden.
sed -nE 's/^([a-z_]+) = .*tiny\.toml:([0-9]+)$/\1 \2/p' printed >origins
[ "$(wc -l <origins)" -eq $(($(grep -c ' = ' "$tiny") - 4)) ] || fail "not every key of tiny.toml has its line: $(cat origins)"
while read -r key line; do
  sed -n "${line}p" "$tiny" | grep -q "^$key = " || fail "line $line of tiny.toml does not set $key"
done <origins

# Every setting of the reference page is there.
acm 1 reference
[ "$(grep -c '^| `' stdout)" -eq "$(grep -c ' = ' printed)" ] || fail "--print-config and the reference page differ in their keys"

train 1 0 run --set acm.sites='["ffn", "blocks.1.q"]' --set finetune.learning_rate=3e-5 "${short_pretrain[@]}"
without_origins printed >values
same_bytes values run/config.toml
acm 1 --config run/config.toml --print-config
without_origins stdout >read_back
same_bytes values read_back
expect_not_in stdout '# default$'
