"""Writes the golden data of models/tests/adapter_gguf.rs and tests/interop/adapter.rs beside this file.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python generate.py LLAMA_CPP

LLAMA_CPP is the folder of llama.cpp's `convert_lora_to_gguf.py`, which is run as it is.

- `converter.json`: for each of the adapters below in `../models`, and for each type, the key-values that
  script writes, and of every tensor its dimensions, values of a row first, and its bytes' SHA-256.
- `tiny`: what llama-server answers with: the config of a Llama that fits the tokenizer of
  `../tokenizers/llama3`, its random weights, and adapters with random weights: plain LoRA, rsLoRA,
  patterns, and one of embedding and head. Their changes are large, so that a wrong scale is seen.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).parent
GOLDEN = HERE.parent
LLAMA_CPP = Path(sys.argv[1])
sys.path.insert(0, str(LLAMA_CPP / "gguf-py"))

import gguf  # noqa: E402

# Those that the script does not refuse.
CASES = ["llama/lora", "llama/embedding", "gemma3/lora", "llama/rslora", "mistral/patterns"]
TYPES = ["f32", "f16", "bf16"]

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
MLP = ["gate_proj", "up_proj", "down_proj"]
TINY = {
    "lora": {"r": 4, "lora_alpha": 8, "target_modules": ATTENTION + MLP},
    "rslora": {"r": 8, "lora_alpha": 8, "use_rslora": True, "target_modules": ATTENTION},
    "patterns": {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ATTENTION + MLP,
        "rank_pattern": {"q_proj": 6, "down_proj": 2},
        "alpha_pattern": {"[kv]_proj": 20, r"layers\.1\.mlp\..*": 3},
    },
    "embedding": {"r": 4, "lora_alpha": 6, "target_modules": ["embed_tokens", "lm_head", "q_proj"]},
}


def digest(data) -> str:
    return hashlib.sha256(data.tobytes()).hexdigest()


def convert(case: str, kind: str) -> dict:
    """Returns what the script's file has."""
    base = GOLDEN / "models" / case.split("/")[0] / "base"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "adapter.gguf"
        script = [sys.executable, str(LLAMA_CPP / "convert_lora_to_gguf.py"), "--base", str(base)]
        script += ["--outtype", kind, "--outfile", str(out), str(GOLDEN / "models" / case)]
        subprocess.run(script, check=True, capture_output=True)
        reader = gguf.GGUFReader(out)
        values = {
            name: f"{field.types[0].name} {field.contents()}"
            for name, field in reader.fields.items()
            if not name.startswith("GGUF.")
        }
        tensors = {
            tensor.name: f"{'x'.join(map(str, tensor.shape))} {digest(tensor.data)}"
            for tensor in reader.tensors
        }
        return {"key_values": values, "tensors": tensors}


def tiny() -> None:
    folder = HERE / "tiny"
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(0)
    tokenizer = json.loads((GOLDEN / "tokenizers" / "llama3" / "config.json").read_text())
    special = {name: tokenizer[name] for name in ["bos_token_id", "eos_token_id", "vocab_size"]}
    config = LlamaConfig(
        **special,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=False,
    )
    for case, options in TINY.items():
        torch.manual_seed(1)
        model = LlamaForCausalLM(config)
        for parameter in model.parameters():
            parameter.data = parameter.data + torch.randn(parameter.shape) * 0.1
        model.to(torch.bfloat16)
        if case == "lora":
            model.save_pretrained(folder / "base")
            (folder / "base" / "generation_config.json").unlink(missing_ok=True)
        model.to(torch.float32)
        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options))
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = torch.randn(parameter.shape) * 0.15
        model.to(torch.bfloat16)
        # The base below an embedding is the base's: not kept twice.
        model.save_pretrained(folder / case, save_embedding_layers=False)
        (folder / case / "README.md").unlink()
        path = folder / case / "adapter_config.json"
        text = json.loads(path.read_text())
        text["base_model_name_or_path"] = "tiny/base"
        # A set in PEFT, in another order every time.
        text["target_modules"].sort()
        path.write_text(json.dumps(text, indent=1) + "\n")


def main() -> None:
    packages = ["peft", "safetensors", "torch", "transformers"]
    golden = {"versions": {package: version(package) for package in packages}}
    golden["cases"] = {case: {kind: convert(case, kind) for kind in TYPES} for case in CASES}
    (HERE / "converter.json").write_text(json.dumps(golden, indent=1) + "\n")
    tiny()


main()
