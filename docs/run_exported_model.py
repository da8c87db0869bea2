"""Runs a model that `acm_dist export` wrote, with PyTorch alone.

    python3 run_exported_model.py FOLDER [BUDGET]

prints the logits of a random image. As a module: Model(FOLDER)(images) gives logits for images [samples, channels,
height, width] that were prepared as model.json's "preprocessing" says.
"""

import json
import pathlib
import struct
import sys

import torch
import torch.nn.functional as F

DTYPES = {"F64": torch.float64, "F32": torch.float32}


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            values = torch.frombuffer(bytearray(data[begin:end]), dtype=DTYPES[entry["dtype"]])
            tensors[name] = values.reshape(entry["shape"])
    return tensors


class Model:
    def __init__(self, folder, budget=None):
        folder = pathlib.Path(folder)
        self.about = json.loads((folder / "model.json").read_text())
        self.weights = read_safetensors(folder / "model.safetensors")
        self.sizes = self.about["backbone"]
        self.acm = {site["name"]: site for site in self.about["sites"]}
        self.shift = 0.0 if budget is None else self.shift_for(budget)
        self.choices = {}  # of the last call: learners that each token ran, by site

    # `acm_dist eval --budget ... --store` keeps a shift of the gates for each budget.
    def shift_for(self, budget):
        rows = {row["budget"]: row["shift"] for row in self.about.get("calibration", {}).get("budgets", [])}
        if budget not in rows:
            raise ValueError(f"no shift is stored for budget {budget}; there are {sorted(rows)}")
        return rows[budget]

    def linear(self, tokens, name):
        return F.linear(tokens, self.weights[name + ".weight"], self.weights.get(name + ".bias"))

    def norm(self, tokens, name):
        weight, bias = self.weights[name + ".weight"], self.weights[name + ".bias"]
        return F.layer_norm(tokens, weight.shape, weight, bias, self.sizes["eps"])

    # A site of the backbone: dense as it was, or an ACM.
    def site(self, tokens, name):
        if name in self.acm:
            return self.run_acm(tokens, name, self.acm[name])
        if name.endswith(".ffn"):
            return self.linear(F.gelu(self.linear(tokens, name + ".fc1")), name + ".fc2")
        return self.linear(tokens, name)

    # The gate chooses for each token how many learners run; their outputs add up. Computed for all tokens and then
    # masked, which is simple; acm_dist runs the chosen learners only.
    def run_acm(self, tokens, name, shape):
        counts = torch.arange(shape["min_k"], shape["learners"] + 1)
        choice = counts[self.gate(tokens, name, counts).argmax(-1)]
        self.choices[name] = choice
        hidden = tokens @ self.weights[name + ".w1"] + self.weights[name + ".b1"]
        if shape["activation"] == "gelu":
            hidden = F.gelu(hidden)
        runs = (torch.arange(shape["learners"]) < choice.unsqueeze(-1)).to(tokens.dtype)  # [..., learners]
        output = (hidden * runs.repeat_interleave(shape["learner_width"], -1)) @ self.weights[name + ".w2"]
        return output + runs @ self.weights[name + ".b2"] if shape["output_bias"] else output

    # A shift turns all gates towards more learners or fewer.
    def gate(self, tokens, name, counts):
        config = self.about["gate"]
        for layer in range(config["depth"]):
            weight, bias = (self.weights[f"{name}.gate.{layer}.{part}"] for part in ("weight", "bias"))
            if layer > 0 and config["activation"] == "gelu":
                tokens = F.gelu(tokens)
            if layer + 1 == config["depth"]:
                bias = (bias.double() + self.shift * counts).to(bias.dtype)
            tokens = F.linear(tokens, weight, bias)
        return tokens

    def attention(self, tokens, block):
        query, key, value = (
            self.site(tokens, block + kind).unflatten(-1, (self.sizes["heads"], -1)).transpose(1, 2) for kind in "qkv"
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.site(mixed.transpose(1, 2).flatten(2), block + "o")

    def embed(self, images):
        patches = F.conv2d(
            images, self.weights["patch_embed.weight"], self.weights["patch_embed.bias"], stride=self.sizes["patch"]
        )
        tokens = patches.flatten(2).transpose(1, 2)
        names = [name for name in ("cls_token", "distillation_token") if name in self.weights]
        prefix = [self.weights[name].expand(len(images), -1, -1) for name in names]
        if self.sizes.get("prefix_positions", True):
            return torch.cat([*prefix, tokens], 1) + self.weights["pos_embed"], len(prefix)
        return torch.cat([*prefix, tokens + self.weights["pos_embed"]], 1), len(prefix)

    @torch.no_grad()
    def __call__(self, images):
        tokens, prefix = self.embed(images.to(self.weights["pos_embed"].dtype))
        for i in range(self.sizes["depth"]):
            block = f"blocks.{i}."
            attended = self.attention(self.norm(tokens, block + "norm1"), block)
            tokens = tokens + attended * self.weights.get(block + "scale1", 1)
            update = self.site(self.norm(tokens, block + "norm2"), block + "ffn")
            tokens = tokens + update * self.weights.get(block + "scale2", 1)
        pooled = tokens[:, 0] if self.sizes["pooling"] == "class" else tokens[:, prefix:].mean(1)
        logits = self.linear(self.norm(pooled, "norm"), "head")
        if self.sizes.get("distillation_head", False):
            logits = (logits + self.linear(self.norm(tokens[:, 1], "norm"), "distillation_head")) / 2
        return logits


if __name__ == "__main__":
    model = Model(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else None)
    size = model.sizes
    print(model(torch.randn(1, size["channels"], size["height"], size["width_pixels"])))
