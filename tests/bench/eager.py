"""The same Vision Transformer in eager PyTorch: what bench_steps and bench_inference compare with.

    eager.py describe                              which implementation this is; ends with 1 where there is no PyTorch
    eager.py forward|step MODEL BATCH THREADS DEVICE PRECISION REPEATS      takes a turn for each byte on standard input

The model is timm's where timm is installed, else the class below. A step is forward, cross entropy, backward and AdamW. A
turn is answered by seconds (of the processor, or until the GPU has done its work) and by bytes of memory of the host beyond
the weights, as two numbers of 8 bytes; the first turn warms up. DEVICE: cpu or cuda. PRECISION: float32, or bfloat16 by
autocast.
"""

import struct
import sys
import time

try:
    import torch
except ImportError as error:
    sys.exit(f"eager.py: cannot import torch: {error}")
from torch import nn
from torch.nn import functional as F

try:
    import timm
    from timm.models.vision_transformer import VisionTransformer
except ImportError:
    timm = None

# Of tests/bench/vit_shapes.h.
SHAPES = {
    "tiny": dict(img_size=224, patch_size=16, in_chans=3, embed_dim=192, depth=12, num_heads=3, num_classes=1000),
    "base": dict(img_size=224, patch_size=16, in_chans=3, embed_dim=768, depth=12, num_heads=12, num_classes=1000),
    "quick": dict(img_size=28, patch_size=7, in_chans=1, embed_dim=64, depth=4, num_heads=4, num_classes=10),
}


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class PlainVit(nn.Module):
    def __init__(self, img_size, patch_size, in_chans, embed_dim, depth, num_heads, num_classes):
        super().__init__()
        self.patches = nn.Conv2d(in_chans, embed_dim, patch_size, stride=patch_size)
        self.token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (img_size // patch_size) ** 2 + 1, embed_dim))
        self.blocks = nn.Sequential(*(Block(embed_dim, num_heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(embed_dim, eps=1e-6), nn.Linear(embed_dim, num_classes)

    def forward(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


def status_bytes(name):
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(name + ":"))


def seconds_on(device):
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def turns(kind, name, batch, threads, device, precision, repeats):
    torch.set_num_threads(threads)
    warm = nn.Linear(2, 2)  # what PyTorch loads when it is first used is no memory of the model
    warm(torch.ones(1, 2)).sum().backward()
    torch.optim.AdamW(warm.parameters()).step()
    at_start = status_bytes("RssAnon")
    shape = SHAPES[name]
    model = (VisionTransformer if timm else PlainVit)(**shape)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    model.to(device)
    images = torch.randn(batch, shape["in_chans"], shape["img_size"], shape["img_size"], device=device)
    labels = torch.arange(batch, device=device) % shape["num_classes"]
    optimizer = torch.optim.AdamW(model.parameters())

    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"

    def autocast():
        return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")

    def step():
        optimizer.zero_grad()
        with autocast():
            loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()

    def forward():
        with torch.inference_mode(), autocast():
            model(images)

    model.train(kind == "step")
    work = step if kind == "step" else forward
    turn = 0
    while sys.stdin.buffer.read(1):
        if turn == 1:
            with open("/proc/self/clear_refs", "w") as forget_peak:
                forget_peak.write("5")
        turn += 1
        start = seconds_on(device)
        for _ in range(repeats):
            work()
        seconds = (seconds_on(device) - start) / repeats
        memory = status_bytes("VmHWM") - status_bytes("RssFile") - status_bytes("RssShmem") - at_start - weights
        sys.stdout.buffer.write(struct.pack("=dq", seconds, memory))
        sys.stdout.buffer.flush()


if sys.argv[1] == "describe":
    print(f"PyTorch {torch.__version__.split('+')[0]} with " + (f"timm {timm.__version__}" if timm else "torch.nn alone"))
else:
    turns(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6], int(sys.argv[7]))
