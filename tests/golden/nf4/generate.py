"""Writes the golden data of backends/native/tests/nf4.rs beside this file, by bitsandbytes on a CPU.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python generate.py

- `small.safetensors`: matrices of `f32`, `f16` and `bf16`: tails, zeros, ties, the largest and the
  smallest values. Of each: what went in, what `quantize_4bit` made of it without and with nested scales,
  and what `dequantize_4bit` read back, in the type that went in.
- `large.json`: matrices of numbers that `values` below makes, and the SHA-256 of the same results.

One thread: with more, PyTorch adds up 32,768 scales or more in another order, and the offset's last bit
depends on how many there are.
"""

import hashlib
import json
from pathlib import Path

import numpy
import torch
from bitsandbytes.functional import create_dynamic_map, dequantize_4bit, get_4bit_type, quantize_4bit
from safetensors.torch import save_file

HERE = Path(__file__).parent
torch.set_num_threads(1)
torch.manual_seed(5)


def values(count: int, seed: int) -> torch.Tensor:
    """Returns v + v³, v a sum of four whole numbers of 16 bits less their mean, over 2^20, which is exact."""
    mixed = numpy.arange(count, dtype=numpy.uint64) + numpy.uint64(seed << 40)
    for _ in range(2):
        mixed *= numpy.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> numpy.uint64(32)
    parts = [mixed >> numpy.uint64(shift) & numpy.uint64(0xFFFF) for shift in (0, 16, 32, 48)]
    plain = ((sum(parts).astype(numpy.int64) - 131070) / 2**20).astype(numpy.float32)
    return torch.from_numpy(plain + plain * plain * plain)


def results(matrix: torch.Tensor, double_quant: bool) -> dict:
    packed, state = quantize_4bit(matrix, blocksize=64, compress_statistics=double_quant, quant_type="nf4")
    read = dequantize_4bit(packed, state)
    assert read.dtype == matrix.dtype
    made = {"packed": packed.flatten(), "absmax": state.absmax, "dequantised": read}
    if double_quant:
        made |= {"nested_absmax": state.state2.absmax, "offset": state.offset.reshape(1)}
    return made


def ties(kind: torch.dtype) -> torch.Tensor:
    """Returns blocks whose largest is a power of two, and otherwise bounds between codes, as near as may be."""
    code = get_4bit_type("nf4", device="cpu")
    bounds = (code[1:] + code[:-1]) / 2
    near = torch.cat([bounds, bounds.nextafter(torch.tensor(2.0)), bounds.nextafter(torch.tensor(-2.0)), code])
    block = torch.cat([near, torch.tensor([1.0, -1.0, 0.0])])
    assert len(block) == 64
    return torch.stack([block * 2.0**power for power in (-3, 0, 9)]).to(kind)


def smallest() -> torch.Tensor:
    """Returns subnormal numbers, the largest finite ones, and blocks of zeros among them."""
    rows = torch.randn(8, 64)
    rows[0] *= 1e-39
    rows[1] *= 3e-45
    rows[2] *= 1e38
    rows[2].clamp_(-3.4028e38, 3.4028e38)
    rows[3] = 0
    rows[4] = -0.0
    rows[5] *= 1e-30
    rows[6] = 1.0
    return rows


small = {
    "gauss": torch.randn(8, 64) * 0.02,
    "odd_tail": torch.randn(3, 100),
    "odd_count": torch.randn(5, 13) * 3,
    "one": torch.tensor([[-0.3]]),
    "less_than_a_block": torch.randn(7, 9),
    "block_and_one": torch.randn(1, 65),
    "zeros": torch.zeros(2, 64),
    "zero_tail": torch.cat([torch.randn(64), torch.zeros(5)]).reshape(3, 23),
    "only_zero_tail": torch.zeros(3, 3),
    "ties": ties(torch.float32),
    "smallest": smallest(),
    "smallest_tail": torch.tensor([[1e-40, -2e-40, 5e-41]]),
    "outliers": torch.randn(20, 64) * torch.logspace(-6, 4, 20).unsqueeze(1),
    "gauss_f16": (torch.randn(9, 50) * 0.02).half(),
    "ties_f16": ties(torch.float16),
    "subnormal_f16": (torch.randn(3, 64) * 1e-6).half(),
    "gauss_bf16": (torch.randn(9, 50) * 0.02).bfloat16(),
    "ties_bf16": ties(torch.bfloat16),
    "range_bf16": (torch.randn(6, 64) * torch.logspace(-37, 37, 6).unsqueeze(1)).bfloat16(),
}
tensors = {"dynamic": create_dynamic_map(signed=True)}
for name, matrix in small.items():
    tensors[f"{name}.input"] = matrix
    for way, double_quant in (("plain", False), ("nested", True)):
        for what, tensor in results(matrix, double_quant).items():
            tensors[f"{name}.{way}.{what}"] = tensor.contiguous()
save_file(tensors, HERE / "small.safetensors")

shapes = [(1, 64 * blocks) for blocks in range(1, 21)]
shapes += [(512, 512), (300, 127), (1000, 200), (33, 4160), (2048, 1088)]
large = []
for seed, (rows, columns) in enumerate(shapes):
    matrix = values(rows * columns, seed).reshape(rows, columns)
    made = results(matrix, True)
    case = {"rows": rows, "columns": columns, "seed": seed, "offset": made.pop("offset").item()}
    for what, tensor in made.items():
        case[what] = hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
    large.append(case)
lines = ",\n".join(json.dumps(case) for case in large)
(HERE / "large.json").write_text(f"[\n{lines}\n]\n")
