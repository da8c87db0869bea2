#!/usr/bin/env bash
# What is given as pretrained weights and is none: each gets its own sentence.
. "$(dirname "$0")/refusals.sh"

vit=$scratch/vit
cp -r "$ACM_SOURCE/tests/golden/vectors/backbones/timm_vit" "$vit"
chmod -R u+w "$vit"
rm "$vit/io.safetensors"
weights=$vit/model.safetensors
cp "$weights" whole

# A teacher that does not fit the data: images that its patches do not divide, and grey ones.
refused_training 64 "cannot import $vit: images of 28 x 28 pixels cannot be cut into its patches of 8 x 8" 1 run --set backbone.weights="$vit"
make_data grey 40 24 3
refused_training 64 "cannot use the model $vit on these data: its inputs have channels, height and width 3, 24, 24, and \[data\] gives \[1,24,24\]" 1 run \
  --set backbone.weights="$vit" --set data.path="$scratch/grey" --set data.train_samples=0 --set data.test_samples=0 "${plain_files[@]}"

# refused_weights PATTERN: `import` ends with 65 and one sentence, and writes nothing.
refused_weights() {
  alone 65 import --weights "$vit" --out out.safetensors
  says_it_once "$1"
  [ ! -e out.safetensors ] || fail "import wrote a model all the same"
}
refused 64 "cannot import $vit: images of 30 x 30 pixels" import --weights "$vit" --image-size 30 --out out.safetensors
head -c 5000 whole >"$weights"
refused_weights "cannot open $weights: it is truncated: "
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 274096\n' >"$weights"
refused_weights "cannot open $weights: it is a Git-LFS pointer \([0-9]+ bytes\), not the file; fetch it with 'git lfs pull'"
printf '<!DOCTYPE html><html></html>' >"$weights"
refused_weights "cannot open $weights: it is an HTML page"
printf 'PK\003\004 and so on, as torch.save writes' >"$weights"
refused_weights "cannot open $weights: it is a zip file, .* two lines of Python: *import torch, .* s.save_file"
mv "$weights" "$vit/pytorch_model.bin"
refused_weights "cannot open $vit/pytorch_model.bin: it is a zip file, .* torch.load\(\"pytorch_model.bin\""
rm "$vit/pytorch_model.bin"
refused_weights "cannot read weights from the folder $vit: it has neither model.safetensors nor model.safetensors.index.json"

# One letter of one name, in the header: both names are told.
sed 's/blocks\.0\.attn\.qkv\.bias/blocks.0.attn.qvk.bias/' whole >"$weights"
refused_weights "cannot import $vit: .*; missing: blocks.0.attn.qkv.bias; unexpected: blocks.0.attn.qvk.bias \(the nearest known name is blocks.0.attn.qkv.bias\)"
cp whole "$weights"
sed -i 's/"num_heads": 3/"num_heads": 5/' "$vit/config.json"
refused_weights "cannot import $vit: .*5 attention heads do not divide width 48"
echo '{"weight_map": {"norm.bias": "../whole"}}' >"$vit/model.safetensors.index.json"
rm "$weights"
refused_weights "cannot read .*index.json: it places norm.bias in \"../whole\", and shards must be plain file names beside it"
