"""Writes the golden data of models/tests/conversion.rs and backends/tests/converted.rs beside this file.

    python generate.py LLAMA_CPP LLAMA_QUANTIZE [FOLDER]

LLAMA_CPP is the folder of llama.cpp's `convert_hf_to_gguf.py`, LLAMA_QUANTIZE its `llama-quantize`. For each
case, `NAME.json` (in FOLDER, if given):

- `config`: a `config.json`, `tokenizer`: a folder of `tests/golden/tokenizers`, `dtype` of the weights;
- `tensors`: names and shapes of the checkpoint. The values follow from the names, see `values`, so the
  tests make the same checkpoint without a file of weights;
- `files`: for each type of file the SHA-256 of what the converter writes, whole;
- `quantized`: for each type the type and the SHA-256 of every tensor of what llama-quantize makes of the
  converter's file with the same 16 or 32 bits as the checkpoint;
- `prompts`: ids, and in `NAME.logits` transformers' logits after each in 32 bits, little-endian.

Of llama.cpp's converter nothing is replaced but `get_vocab_base_pre`, which knows a byte-level tokenizer by the
hash of the ids of one text, which a tiny vocabulary cannot have.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

HERE = Path(__file__).parent
LLAMA_CPP = Path(sys.argv[1])
LLAMA_QUANTIZE = sys.argv[2]
OUT = Path(sys.argv[3]) if len(sys.argv) > 3 else HERE
sys.path[:0] = [str(LLAMA_CPP), str(LLAMA_CPP / "gguf-py")]

import gguf  # noqa: E402
from conversion import get_model_class  # noqa: E402

TOKENIZERS = HERE.parent / "tokenizers"
# What the converter would call the pre-tokenizer of the real vocabulary.
PRE = {"llama3": "llama-bpe", "qwen2": "qwen2", "tekken": "tekken"}
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-05,
}
LLAMA = {**SIZES, "architectures": ["LlamaForCausalLM"], "model_type": "llama"}
MISTRAL = {**SIZES, "architectures": ["MistralForCausalLM"], "model_type": "mistral"}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
# Most of the file's types, by llama-quantize's names.
QUANTIZED = ["Q8_0", "Q4_K_M", "Q5_K_M", "Q6_K"]
CASES = {
    "llama3": {
        "tokenizer": "llama3",
        "config": {**LLAMA, "rope_parameters": LLAMA3_ROPE, "tie_word_embeddings": False},
        "files": ["bf16", "f16", "f32"],
    },
    "llama2": {
        "tokenizer": "llama2",
        "config": {
            **LLAMA,
            "num_key_value_heads": 4,
            "rope_scaling": {"type": "linear", "factor": 2.0},
            "rope_theta": 10000.0,
            "tie_word_embeddings": False,
        },
        "files": ["bf16", "f32"],
    },
    "mistral": {
        "tokenizer": "tekken",
        "config": {
            **MISTRAL,
            "head_dim": 32,
            "sliding_window": None,
            "rope_theta": 1000000.0,
            "tie_word_embeddings": False,
        },
        "files": ["bf16", "f32"],
    },
    # The vocabulary is better than the converter's, so the files differ in it.
    "mistral_json": {
        "tokenizer": "mistral_json",
        "config": {**MISTRAL, "sliding_window": None, "rope_theta": 10000.0, "tie_word_embeddings": True},
        "files": [],
    },
    "qwen2": {
        "tokenizer": "qwen2",
        "config": {
            **SIZES,
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "rope_theta": 1000000.0,
            "tie_word_embeddings": True,
        },
        "files": ["bf16", "f32"],
    },
    "qwen3": {
        "tokenizer": "qwen2",
        "config": {
            **SIZES,
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "head_dim": 32,
            "rope_theta": 1000000.0,
            "tie_word_embeddings": False,
        },
        "dtype": "float16",
        "files": ["f16", "f32"],
    },
    "gemma3": {
        "tokenizer": "gemma3",
        "config": {
            **SIZES,
            "architectures": ["Gemma3ForCausalLM"],
            "model_type": "gemma3_text",
            "head_dim": 32,
            "num_hidden_layers": 7,
            "sliding_window": 8,
            "query_pre_attn_scalar": 32,
            "rope_theta": 1000000.0,
            "rope_local_base_freq": 10000.0,
            "hidden_activation": "gelu_pytorch_tanh",
            "tie_word_embeddings": True,
        },
        "files": ["bf16", "f32"],
    },
    # Whole blocks in every row, and enough layers that some get more bits.
    "blocks": {
        "tokenizer": "llama3",
        "config": {
            **LLAMA,
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_hidden_layers": 9,
            "rope_theta": 10000.0,
            "tie_word_embeddings": False,
        },
        "files": ["bf16"],
        "quantized": QUANTIZED,
    },
    # Rows that fill blocks of 32 and not of 256, rows that fill neither, and a head that is the embedding.
    "fallbacks": {
        "tokenizer": "qwen2",
        "config": {
            **SIZES,
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "hidden_size": 96,
            "intermediate_size": 176,
            "num_hidden_layers": 4,
            "rope_theta": 10000.0,
            "tie_word_embeddings": True,
        },
        "files": ["bf16"],
        "quantized": QUANTIZED,
    },
    # 32 bits in, and a tied embedding with whole blocks.
    "wide": {
        "tokenizer": "gemma3",
        "config": {
            **SIZES,
            "architectures": ["Gemma3ForCausalLM"],
            "model_type": "gemma3_text",
            "hidden_size": 256,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "head_dim": 64,
            "sliding_window": 8,
            "query_pre_attn_scalar": 64,
            "rope_theta": 1000000.0,
            "rope_local_base_freq": 10000.0,
            "hidden_activation": "gelu_pytorch_tanh",
            "tie_word_embeddings": True,
        },
        "dtype": "float32",
        "files": ["bf16", "f32"],
        "quantized": QUANTIZED,
    },
}


def splitmix(seed, count):
    """The first numbers of SplitMix64 (Steele, Lea and Flood 2014), 64 bits each."""
    with np.errstate(over="ignore"):
        state = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15) * np.arange(1, count + 1, dtype=np.uint64)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return state ^ (state >> np.uint64(31))


def fnv(name):
    """FNV-1a of 64 bits."""
    digest = 0xCBF29CE484222325
    for byte in name.encode():
        digest = ((digest ^ byte) * 0x100000001B3) % 2**64
    return digest


def values(name, shape, adds_one):
    """A tensor's values in 32 bits: uniform in [-1, 1), in steps of 2^-23, times a power of two."""
    numbers = splitmix(fnv(name), int(np.prod(shape)))
    uniform = (numbers >> np.uint64(40)).astype(np.float64) / 2**23 - 1
    if name.endswith("norm.weight"):
        uniform = uniform / 4 + (0 if adds_one else 1)
    elif name.endswith("bias"):
        uniform = uniform / 4
    elif not name.endswith(("embed_tokens.weight", "lm_head.weight")):
        uniform = uniform / 2 ** round(np.log2(shape[-1]) / 2 - 1)
    return torch.from_numpy(uniform.astype(np.float32)).reshape(shape)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def convert(checkpoint, config, tokenizer, file_type, out):
    model_class = get_model_class(config["architectures"][0])
    file_types = {
        "bf16": gguf.LlamaFileType.MOSTLY_BF16,
        "f16": gguf.LlamaFileType.MOSTLY_F16,
        "f32": gguf.LlamaFileType.ALL_F32,
    }
    model = model_class(checkpoint, file_types[file_type], out)
    if tokenizer in PRE:
        model.get_vocab_base_pre = lambda _: PRE[tokenizer]
    model.write()


def quantized(source, kind, scratch):
    out = scratch / f"{kind}.gguf"
    subprocess.run([LLAMA_QUANTIZE, source, out, kind], check=True, capture_output=True)
    tensors = gguf.GGUFReader(out).tensors
    return {
        tensor.name: {"type": tensor.tensor_type.name, "sha256": sha256(tensor.data.tobytes())}
        for tensor in sorted(tensors, key=lambda tensor: tensor.name)
    }


def logits(config, weights, prompts):
    path_config = AutoConfig.for_model(**config)
    model = AutoModelForCausalLM.from_config(path_config, dtype=torch.float32, attn_implementation="eager")
    missing = set(model.state_dict()) - set(weights)
    assert missing <= {"lm_head.weight"} and (not missing or config["tie_word_embeddings"]), missing
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, strict=False)
    model.tie_weights()
    model.eval()
    with torch.inference_mode():
        last = [model(torch.tensor([prompt])).logits[0, -1] for prompt in prompts]
    return torch.stack(last).numpy().astype("<f4").tobytes()


def main():
    torch.use_deterministic_algorithms(True)
    for name, case in CASES.items():
        tokenizer, dtype = case["tokenizer"], case.get("dtype", "bfloat16")
        folder = TOKENIZERS / tokenizer
        given = json.loads((folder / "config.json").read_text())
        ids = {key: given[key] for key in given if key.endswith("_token_id")}
        config = {**case["config"], **ids, "vocab_size": given["vocab_size"], "dtype": dtype}
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
        shapes = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
        if config["tie_word_embeddings"]:
            shapes.pop("lm_head.weight", None)
        adds_one = config["model_type"].startswith("gemma3")
        weights = {key: values(key, shape, adds_one).to(getattr(torch, dtype)) for key, shape in shapes.items()}
        with tempfile.TemporaryDirectory() as scratch:
            scratch = Path(scratch)
            # The converter calls the model by the directory's name.
            checkpoint = scratch / f"Tiny-{name}"
            ours = shutil.ignore_patterns("ids.json", "metadata.json")
            shutil.copytree(folder, checkpoint, ignore=ours)
            (checkpoint / "config.json").write_text(json.dumps(config))
            save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
            files = {}
            plain = {"bfloat16": "bf16", "float16": "f16", "float32": "f32"}[dtype]
            for file_type in case["files"]:
                out = scratch / f"{file_type}.gguf"
                convert(checkpoint, config, tokenizer, file_type, out)
                files[file_type] = sha256(out.read_bytes())
            kinds = case.get("quantized", [])
            source = scratch / f"{plain}.gguf"
            if kinds and not source.exists():
                convert(checkpoint, config, tokenizer, plain, source)
            by_kind = {kind.lower(): quantized(source, kind, scratch) for kind in kinds}
        golden = {
            "config": config,
            "tokenizer": tokenizer,
            "dtype": dtype,
            "tensors": shapes,
            "files": files,
            "quantized": by_kind,
        }
        if not kinds:
            lengths = [2 + 2 * idx for idx in range(20)]
            numbers = splitmix(fnv(name), sum(lengths)) % np.uint64(config["vocab_size"])
            starts = np.cumsum([0, *lengths])
            prompts = [numbers[start : start + n].tolist() for start, n in zip(starts, lengths)]
            golden["prompts"] = prompts
            (OUT / f"{name}.logits").write_bytes(logits(config, weights, prompts))
        (OUT / f"{name}.json").write_text(json.dumps(golden, separators=(",", ":")).replace('],"', '],\n"') + "\n")
        print(f"{name}: {len(shapes)} tensors")


main()
