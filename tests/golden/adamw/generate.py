"""Writes the golden data of backends/native/tests/optimiser.rs beside this file, by PyTorch and bitsandbytes on a CPU.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python generate.py

Twenty steps of `torch.optim.AdamW` and of bitsandbytes' `AdamW8bit`, with gradients clipped and a learning
rate that changes, on the parameters below. Of the gradients, which `values` makes, only the norms are
written; of each parameter the values after the first step and after the last, and the last states.
"""

import json
from pathlib import Path

import numpy
import torch
from bitsandbytes.optim import AdamW8bit
from safetensors.torch import save_file

HERE = Path(__file__).parent
torch.set_num_threads(1)

# The middle one does not decay; the last has states of 8 bits, with a block that is not full.
SHAPES = [(3, 5), (67,), (70, 64)]
DECAY = [0.1, 0.0, 0.1]
STEPS = 20
MAX_NORM = 25.0

# Names of states, ours by theirs.
NAMES = {
    "exp_avg": "exp_avg",
    "exp_avg_sq": "exp_avg_sq",
    "state1": "exp_avg",
    "state2": "exp_avg_sq",
    "absmax1": "exp_avg.absmax",
    "absmax2": "exp_avg_sq.absmax",
}


def values(count: int, seed: int) -> torch.Tensor:
    """Returns v + v³, v a sum of four whole numbers of 16 bits less their mean, over 2^20, which is exact."""
    mixed = numpy.arange(count, dtype=numpy.uint64) + numpy.uint64(seed << 40)
    for _ in range(2):
        mixed *= numpy.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> numpy.uint64(32)
    parts = [mixed >> numpy.uint64(shift) & numpy.uint64(0xFFFF) for shift in (0, 16, 32, 48)]
    plain = ((sum(parts).astype(numpy.int64) - 131070) / 2**20).astype(numpy.float32)
    return torch.from_numpy(plain + plain * plain * plain)


def run(optimiser: type) -> tuple[dict, list]:
    parameters = [
        torch.nn.Parameter(values(torch.Size(shape).numel(), idx).reshape(shape)) for idx, shape in enumerate(SHAPES)
    ]
    groups = [{"params": [parameter], "weight_decay": decay} for parameter, decay in zip(parameters, DECAY)]
    made = optimiser(groups, lr=1.0, betas=(0.9, 0.999), eps=1e-8)
    tensors, norms = {}, []
    for step in range(STEPS):
        for idx, parameter in enumerate(parameters):
            gradient = values(parameter.numel(), 100 * (step + 1) + idx) * 8.0 ** (step % 4 - 1)
            parameter.grad = gradient.reshape(parameter.shape)
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, MAX_NORM).item())
        for group in made.param_groups:
            group["lr"] = 1e-3 * (step + 1) / STEPS
        made.step()
        if step in (0, STEPS - 1):
            for idx, parameter in enumerate(parameters):
                tensors[f"{idx}.after_{step + 1}"] = parameter.detach().clone()
    for idx, parameter in enumerate(parameters):
        for what, value in made.state[parameter].items():
            if what in NAMES:
                tensors[f"{idx}.{NAMES[what]}"] = value.clone()
    return tensors, norms


tensors, norms = run(torch.optim.AdamW)
save_file(tensors, HERE / "adamw.safetensors")
(HERE / "norms.json").write_text(json.dumps(norms, indent=1) + "\n")
tensors, _ = run(AdamW8bit)
save_file(tensors, HERE / "adamw8bit.safetensors")
