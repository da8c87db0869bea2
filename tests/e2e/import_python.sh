#!/usr/bin/env bash
# docs/run_exported_model.py gives an exported ACM model the accuracy and the choices that `eval` reports.
. "$(dirname "$0")/lib.sh"
python=${ACM_PYTHON:-python3}
"$python" -c 'import torch' 2>/dev/null || skip "no PyTorch for $python"

train 1 all run "${short_pretrain[@]}" "${short_distill[@]}" "${short_gating[@]}" "${short_finetune[@]}"
evaluate 1 run/model.safetensors --json
acm_json=$scratch/eval.json
mv stdout "$acm_json"
acm 1 export --model run/model.safetensors --out out
acm 1 --phase 3 --config "$ACM_SOURCE/configs/tiny.toml" --set run_dir=run --print-config
folder=$(sed -nE 's/^path = "([^"]+)".*/\1/p' stdout | head -n 1)
"$python" - "$ACM_SOURCE/docs" out "$acm_json" "$folder" <<'PY' || fail "the script and eval do not agree"
import gzip, json, sys
sys.path.insert(0, sys.argv[1])
import torch
from run_exported_model import Model

model, report = Model(sys.argv[2]), json.load(open(sys.argv[3]))
samples = report["samples"]
read = lambda name, skip: torch.frombuffer(bytearray(gzip.open(f"{sys.argv[4]}/{name}-ubyte.gz").read()[skip:]), dtype=torch.uint8)
images = read("t10k-images-idx3", 16).reshape(-1, 1, 28, 28)[:samples].float() / 255
prepared = model.about["preprocessing"]
labels = read("t10k-labels-idx1", 8)[:samples]
logits = model((images - prepared["mean"]) / prepared["std"])
top1 = (logits.argmax(-1) == labels).double().mean().item()
assert abs(top1 - report["top1"]) < 1.5 / samples, (top1, report["top1"])
for site, mean in report["mean_learners"].items():
    found = model.choices[site].double().mean().item()
    assert abs(found - mean) < 1e-3, (site, found, mean)
PY
