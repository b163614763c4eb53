"""Writes the golden data of models/tests/merging.rs beside this file.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python generate.py

For each family a tiny random checkpoint (`FAMILY/base`, bf16); for each case an adapter with random
weights (`FAMILY/CASE`) and in it `merged.json`: the SHA-256 of every tensor PEFT's `merge_and_unload`
changes, merged in f32 and in bf16.
"""

import hashlib
import json
import shutil
from importlib.metadata import version
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

HERE = Path(__file__).parent
SIZES = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
HEADS = {**SIZES, "head_dim": 8}
FAMILIES = {
    "llama": (LlamaForCausalLM, LlamaConfig(**SIZES, tie_word_embeddings=False)),
    "mistral": (MistralForCausalLM, MistralConfig(**HEADS, tie_word_embeddings=False)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**SIZES, tie_word_embeddings=True)),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**HEADS, tie_word_embeddings=False)),
    "gemma3": (Gemma3ForCausalLM, Gemma3TextConfig(**HEADS, sliding_window=16, pad_token_id=0)),
}
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
MLP = ["gate_proj", "up_proj", "down_proj"]
CASES = {
    "llama": {
        "lora": {"r": 4, "lora_alpha": 8, "target_modules": ATTENTION + MLP},
        "rslora": {"r": 6, "lora_alpha": 8, "use_rslora": True, "target_modules": ATTENTION},
        "dora": {"r": 4, "lora_alpha": 8, "use_dora": True, "target_modules": ATTENTION + MLP},
        "embedding": {"r": 4, "lora_alpha": 6, "target_modules": ["embed_tokens", "lm_head", "q_proj"]},
        "embedding_dora": {"r": 3, "lora_alpha": 6, "use_dora": True, "target_modules": ["embed_tokens"]},
    },
    "mistral": {
        "patterns": {
            "r": 4,
            "lora_alpha": 8,
            "target_modules": ATTENTION + MLP,
            # The first pattern that matches counts, in the order of the file.
            "rank_pattern": {r"layers\.0\.self_attn\.q_proj": 2, "q_proj": 6, "mlp.down_proj": 3},
            "alpha_pattern": {"[kv]_proj": 5, r"layers\.1\..*_proj": 3},
        },
    },
    "qwen2": {
        "bias": {"r": 4, "lora_alpha": 8, "bias": "lora_only", "target_modules": ATTENTION},
        "lora_bias": {"r": 4, "lora_alpha": 6, "lora_bias": True, "target_modules": ["q_proj", "k_proj"]},
        # Head and embedding are one tensor in the base and two when merged.
        "untied": {"r": 4, "lora_alpha": 8, "target_modules": ["v_proj"], "modules_to_save": ["lm_head"]},
        "untied_embedding": {
            "r": 4,
            "lora_alpha": 8,
            "target_modules": ["v_proj"],
            "modules_to_save": ["embed_tokens"],
        },
    },
    "qwen3": {
        "modules_to_save": {
            "r": 4,
            "lora_alpha": 8,
            "target_modules": ATTENTION,
            "modules_to_save": ["lm_head", "embed_tokens", "q_norm"],
        },
        "rsdora": {
            "r": 5,
            "lora_alpha": 8,
            "use_rslora": True,
            "use_dora": True,
            "target_modules": MLP,
        },
    },
    "gemma3": {"lora": {"r": 8, "lora_alpha": 16, "target_modules": ATTENTION + MLP}},
}


def digest(tensor):
    data = tensor.contiguous().view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(data).hexdigest()


def merged(base, adapter, dtype):
    """Returns all tensors of the merged model, a tied head apart."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    tied = model.config.tie_word_embeddings
    state = model.state_dict()
    if tied:
        del state["lm_head.weight"]
    return state, tied


def randomise(model):
    """Gives every trainable weight a random value, as training would."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape) * 0.2
            if "magnitude" in name:
                noise = parameter.data * (1 + noise)
            elif "lora_" not in name:
                noise = parameter.data + noise
            parameter.data = noise.to(parameter.dtype)


def main():
    for seed, (family, (kind, config)) in enumerate(FAMILIES.items()):
        torch.manual_seed(seed)
        folder = HERE / family
        shutil.rmtree(folder, ignore_errors=True)
        base = folder / "base"
        model = kind(config)
        for parameter in model.parameters():
            parameter.data = parameter.data + torch.randn(parameter.shape) * 0.1
        # One family has shards.
        shard = "30KB" if family == "mistral" else "1GB"
        model.to(torch.bfloat16).save_pretrained(base, max_shard_size=shard)
        for case, options in CASES[family].items():
            adapter = folder / case
            model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
            model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options))
            randomise(model)
            model.save_pretrained(adapter)
            (adapter / "README.md").unlink()
            # The path of the machine this ran on says nothing.
            path = adapter / "adapter_config.json"
            text = json.loads(path.read_text())
            text["base_model_name_or_path"] = f"{family}/base"
            # A set in PEFT, in another order every time.
            text["target_modules"].sort()
            path.write_text(json.dumps(text, indent=1) + "\n")
            exact, tied = merged(base, adapter, torch.float32)
            rounded, _ = merged(base, adapter, torch.bfloat16)
            packages = ["peft", "safetensors", "torch", "transformers"]
            golden = {
                "versions": {package: version(package) for package in packages},
                "tied": tied,
                "f32": {name: digest(tensor) for name, tensor in exact.items()},
                "bf16": {name: digest(tensor) for name, tensor in rounded.items()},
            }
            (adapter / "merged.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
