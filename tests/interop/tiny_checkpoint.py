"""Writes a Llama checkpoint of random weights and a LoRA adapter of it, both large enough for vLLM's attention
(a head has 32 numbers at least) and for nothing else.

Arguments: the directory of the checkpoint, where `config.json` and tokenizer lie, and that of the adapter.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

base, lora = Path(sys.argv[1]), Path(sys.argv[2])
torch.manual_seed(7)
HIDDEN, HEADS, HEAD, INNER, LAYERS, RANK = 64, 2, 32, 96, 2, 8

config = json.loads((base / "config.json").read_text())
config |= {
    "hidden_size": HIDDEN,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS,
    "head_dim": HEAD,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
}
(base / "config.json").write_text(json.dumps(config))

shapes = {}
for layer in range(LAYERS):
    for name in ["q", "k", "v", "o"]:
        shapes[f"model.layers.{layer}.self_attn.{name}_proj"] = (HEADS * HEAD, HIDDEN)
    for name in ["gate", "up"]:
        shapes[f"model.layers.{layer}.mlp.{name}_proj"] = (INNER, HIDDEN)
    shapes[f"model.layers.{layer}.mlp.down_proj"] = (HIDDEN, INNER)

weights = {f"{name}.weight": torch.randn(shape) * 0.2 for name, shape in shapes.items()}
for name in ["model.embed_tokens", "lm_head"]:
    weights[f"{name}.weight"] = torch.randn(config["vocab_size"], HIDDEN) * 0.3
for layer in range(LAYERS):
    for name in ["input_layernorm", "post_attention_layernorm"]:
        weights[f"model.layers.{layer}.{name}.weight"] = torch.ones(HIDDEN)
weights["model.norm.weight"] = torch.ones(HIDDEN)
save_file(weights, base / "model.safetensors", {"format": "pt"})

adapter = {}
for name, (rows, columns) in shapes.items():
    adapter[f"base_model.model.{name}.lora_A.weight"] = torch.randn(RANK, columns) * 0.3
    adapter[f"base_model.model.{name}.lora_B.weight"] = torch.randn(rows, RANK) * 0.3
save_file(adapter, lora / "adapter_model.safetensors", {"format": "pt"})
config = json.loads((lora / "adapter_config.json").read_text())
config |= {"r": RANK, "lora_alpha": 2 * RANK}
(lora / "adapter_config.json").write_text(json.dumps(config))
