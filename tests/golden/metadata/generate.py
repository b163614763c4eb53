"""Writes the golden data of models/tests/metadata.rs beside this file.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python generate.py PATH_TO_LLAMA_CPP

For each case a directory `CASE/NAME` with a checkpoint's descriptions (no weights), and `CASE.json`: the
key-values that llama.cpp's converter writes for it, in order and with their types, from random weights that
are made for the purpose and thrown away. The converter's `set_vocab` is replaced by one that writes nothing,
so no key of the tokenizer is among them. `names.json` has what gguf-py makes of names of models, and
`rope_freqs.json` the factors of `rope_freqs.weight`, as bits.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LLAMA_CPP = Path(sys.argv[1])
sys.path[:0] = [str(LLAMA_CPP), str(LLAMA_CPP / "gguf-py")]

import gguf  # noqa: E402
import torch  # noqa: E402
from conversion import get_model_class  # noqa: E402
from conversion.base import ModelBase, get_model_architecture, ModelType  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM, Gemma3ForCausalLM  # noqa: E402

SIZES = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def config(model_type: str, architecture: str, without: tuple[str, ...] = (), **fields) -> dict:
    sizes = {key: value for key, value in SIZES.items() if key not in without}
    return {"architectures": [architecture], "model_type": model_type, **sizes, **fields}


def llama(**fields) -> dict:
    return config("llama", "LlamaForCausalLM", **fields)


def gemma3(**fields) -> dict:
    return config("gemma3_text", "Gemma3ForCausalLM", **fields)


LLAMA3 = {
    "factor": 32.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}
INSTRUCT = """---
language:
- en
- de
- no
library_name: transformers
pipeline_tag: text-generation
tags:
- facebook
- llama-3
license: llama3.2
license_link: https://example.org/licence
base_model: meta-llama/Llama-3.2-1B
datasets:
- HuggingFaceH4/ultrachat_200k
- org/set-v1.5
extra_gated_prompt: "A long text: with a colon"
model-index:
- name: x
  results: [{task: {type: t}, metrics: [{value: 0.5}]}]
---
# A model
"""
MERGE = """---
model_name: Merge 7B v2
model_creator: Some One
model_type: mistral
version: v2.1
license: [mit, apache-2.0]
license_name: both
base_model:
- https://huggingface.co/mistralai/Mistral-7B-Instruct-v0.3
- https://example.org/models/other
- ssh://host/x
- name: By hand
  organization: Org
  repo_url: https://example.org/hand
- plain-name-v1.2
- Name With Spaces
dataset: https://huggingface.co/datasets-of/alpaca-clean
language: en
tags: merge
url: https://example.org/home
model_doi: 10.1000/1
description: "Two models,\\nmerged"
---
"""
UNUSUAL = """---\r
base_model:\r
datasets: []\r
name: Named in the card\r
organization: ""\r
size_label: 3B\r
finetune: chat\r
\tbasename: x\r
---\r
"""

# Directory's name, type, configuration, model card, generation_config.
CASES = {
    "llama_3_2": (
        "Llama-3.2-1B-Instruct",
        "bf16",
        llama(head_dim=8, rope_theta=500000.0, rope_scaling=LLAMA3, bos_token_id=1),
        INSTRUCT,
        {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "transformers_version": "5.23.0"},
    ),
    "llama_linear": (
        "tiny-random-llama-linear-4x",
        "f16",
        llama(
            rope_scaling={"type": "linear", "factor": 4.0},
            without=("num_key_value_heads",),
            num_key_value_heads=None,
        ),
        None,
        None,
    ),
    "llama_yarn": (
        "model",
        "f32",
        llama(
            rope_parameters={
                "rope_type": "yarn",
                "rope_theta": 20000,
                "factor": 4,
                "attention_factor": 1.5,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "original_max_position_embeddings": 16,
            }
        ),
        "# No front matter\n---\nlicense: mit\n---\n",
        {"top_k": 20, "min_p": 0.05, "repetition_penalty": 1.1},
    ),
    "llama_plain": (
        "checkpoint-500",
        "f32",
        llama(_name_or_path="meta-llama/Llama-2-7b-hf", without=("num_key_value_heads",)),
        "",
        {"temperature": 1, "top_k": None},
    ),
    "llama_parameters": (
        "Meta-Llama-3.1-8B-GRPO-lora-F16",
        "f16",
        llama(
            rope_parameters={**LLAMA3, "factor": 8.0, "rope_theta": 500000.0},
            _name_or_path="/home/somebody/models/llama",
        ),
        "---\nlicense: mit\n---\n",
        None,
    ),
    "mistral_0_3": (
        "merged",
        "bf16",
        config("mistral", "MistralForCausalLM", head_dim=16, rope_theta=1000000.0, sliding_window=None),
        MERGE,
        None,
    ),
    "mistral_0_1": (
        "Mistral-7B-v0.1",
        "f16",
        config("mistral", "MistralForCausalLM", rope_theta=10000.0, sliding_window=16),
        None,
        {"_from_model_config": True},
    ),
    "qwen2_5": (
        "Qwen2.5-0.5B-Instruct-finetuned",
        "bf16",
        config(
            "qwen2",
            "Qwen2ForCausalLM",
            rope_theta=1000000.0,
            use_sliding_window=False,
            sliding_window=32768,
            max_window_layers=21,
        ),
        UNUSUAL.replace("\tbasename: x\r\n", ""),
        {"top_k": 20, "top_p": 0.8, "temperature": 0.7, "repetition_penalty": 1.05},
    ),
    "qwen2_yarn": (
        "qwen2-yarn",
        "f32",
        config(
            "qwen2",
            "Qwen2ForCausalLM",
            head_dim=16,
            rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
        ),
        None,
        None,
    ),
    "qwen3": (
        "Qwen3-0.6B",
        "bf16",
        config(
            "qwen3",
            "Qwen3ForCausalLM",
            head_dim=16,
            rope_parameters={"rope_theta": 1000000, "rope_type": "default"},
        ),
        "---\nlicense: apache-2.0\nbase_model:\n- Qwen/Qwen3-0.6B-Base\n",
        None,
    ),
    "qwen3_default": (
        "qwen3 of mine",
        "f32",
        config("qwen3", "Qwen3ForCausalLM", rope_theta=1000000.0),
        None,
        None,
    ),
    "gemma3_old": (
        "gemma-3-1b-it",
        "bf16",
        gemma3(
            head_dim=16,
            rope_theta=1000000.0,
            rope_local_base_freq=20000.0,
            rope_scaling={"rope_type": "linear", "factor": 8.0},
            sliding_window=512,
            sliding_window_pattern=6,
            query_pre_attn_scalar=16,
        ),
        None,
        {"cache_implementation": "hybrid", "do_sample": True, "top_k": 64, "top_p": 0.95},
    ),
    "gemma3_parameters": (
        "gemma-3",
        "f32",
        gemma3(
            head_dim=16,
            sliding_window=16,
            final_logit_softcapping=30.0,
            rope_parameters={
                "full_attention": {"rope_type": "default", "rope_theta": 500000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 15000.0},
            },
        ),
        None,
        None,
    ),
    "gemma3_global": (
        "gemma-3-270M",
        "f16",
        gemma3(head_dim=16, sliding_window_pattern=1, without=("rms_norm_eps", "max_position_embeddings")),
        None,
        None,
    ),
    "gemma3_nested": (
        "gemma-3-4b-it",
        "f16",
        {
            "architectures": ["Gemma3ForConditionalGeneration"],
            "model_type": "gemma3",
            "mm_tokens_per_image": 256,
            "text_config": {
                "hidden_size": 32,
                "intermediate_size": 48,
                "model_type": "gemma3_text",
                "num_hidden_layers": 2,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
                "sliding_window": 1024,
            },
            "torch_dtype": "bfloat16",
            "vision_config": {
                "hidden_size": 32,
                "image_size": 32,
                "intermediate_size": 32,
                "model_type": "siglip_vision_model",
                "num_attention_heads": 2,
                "num_hidden_layers": 1,
                "patch_size": 16,
            },
        },
        "---\nlicense: gemma\nbase_model: google/gemma-3-4b-pt\n---\n",
        None,
    ),
}
TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "bf16": gguf.LlamaFileType.MOSTLY_BF16,
}
# Name of a model, number of parameters (0 if not known, below 0 for those that an adapter changes).
NAMES = [
    ("meta-llama/Llama-3.2-1B-Instruct", 1235814400),
    ("meta-llama/Llama-3.2-1B-Instruct", 100),
    ("Qwen/Qwen2.5-7B-Instruct-1M", 7615616512),
    ("Qwen2.5-Coder-32B-Instruct-128k", 32763876352),
    ("mistralai/Mixtral-8x7B-Instruct-v0.1", 46702792704),
    ("mistralai/Mistral-7B-v0.1", 7241732096),
    ("bigscience/bloom-7b1-petals", 7069016064),
    ("Qwen3-30B-A3B", 30532122624),
    ("google/gemma-3-4b-it", 4300079472),
    ("google/gemma-3-27b-it-qat-q4_0-unquantized", 27009346304),
    ("HuggingFaceTB/SmolLM2-135M", 134515008),
    ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 1100048384),
    ("NousResearch/Hermes-3-Llama-3.1-8B", 8030261248),
    ("openchat_3.5", 7000000000),
    ("phi-mini-instruct", 0),
    ("gpt2-xl", 1557611200),
    ("gpt2-medium-2_5B", 2500000000),
    ("1B-only", 1000000000),
    ("a-1B-1B-2B", 1000000000),
    ("A model with spaces", 1),
    ("./local-model", 1),
    ("../up/local-7B", 7000000000),
    ("org/sub/name-3B", 3000000000),
    ("iter3-v2-Name", 0),
    ("Name-v2-iter3-F16-Q4_K_M-bf16", 0),
    ("--odd--dashes-", 0),
    ("", 0),
    ("-", 0),
    ("ÜBER-modell-7B-épée", 7000000000),
    ("DeepSeek-R1-0528-Qwen3-8B", 8190735360),
    ("v1.0", 0),
    ("llama-LoRA-tuned", 5),
    ("don't-stop2go-x", 0),
    ("Model-0.5B-8K-vision", 500000000),
    ("Model-xxl", 11000000000),
    ("4x7B-x-2T", 2000000000000),
    ("My-LoRA-7B-8K-tuned", -6000000000),
    ("My-Tuning-70B-lora-v2", -6000000000),
    ("base-LORA", -8),
]
SIZE_LABELS = [1, 9, 99, 100, 999, 1000, 1049, 9949, 9950, 99499, 99500, 1000000, 1000001, 9500000, 134515008]
SIZE_LABELS += [999999999, 1000000000, 1000000001, 1235814400, 7241732096, 9999999999, 70553706496, 10**12 + 1]
ROPE_FREQS = [
    (64, 500000.0, 32.0, 1.0, 4.0, 8192),
    (128, 500000.0, 8.0, 1.0, 4.0, 8192),
    (128, 500000, 8, 1, 4, 8192),
    (8, 500000.0, 32.0, 1.0, 4.0, 8192),
    (256, 10000.0, 16.0, 1.5, 3.7, 4096),
    (80, 1000000.0, 2.5, 1.0, 32.0, 2048),
    (96, 12345.678, 3.3, 0.7, 9.9, 131072),
    (50, 10000.0, 8.0, 1.0, 4.0, 8192),
]


def convert(directory: Path, outtype: str):
    """Returns the converter after it has made all tensors and keys."""
    hparams = ModelBase.load_hparams(directory, False)
    model_class = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
    with torch.inference_mode():
        model = model_class(directory, TYPES[outtype], directory / "out.gguf", eager=True)
        model.set_vocab = lambda: None
        model.prepare_tensors()
        model.prepare_metadata(vocab_only=False)
    return model


def write_case(case: str) -> None:
    name, outtype, description, card, generation = CASES[case]
    target = HERE / case
    shutil.rmtree(target, ignore_errors=True)
    directory = target / name
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps(description, indent=1) + "\n")
    if card is not None:
        (directory / "README.md").write_bytes(card.encode())
    if generation is not None:
        (directory / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n")

    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary) / name
        shutil.copytree(directory, whole)
        torch.manual_seed(1)
        loaded = AutoConfig.from_pretrained(whole)
        if loaded.model_type.startswith("gemma3"):
            model = Gemma3ForCausalLM(loaded.get_text_config())
        else:
            model = AutoModelForCausalLM.from_config(loaded)
        tensors = {key: value.to(torch.bfloat16).contiguous() for key, value in model.state_dict().items()}
        if model.config.tie_word_embeddings:
            tensors.pop("lm_head.weight", None)
        save_file(tensors, whole / "model.safetensors", {"format": "pt"})
        vocabulary = {f"t{idx}": idx for idx in range(model.config.vocab_size)}
        tokenizer = {"model": {"vocab": vocabulary}, "added_tokens": []}
        (whole / "tokenizer.json").write_text(json.dumps(tokenizer))
        converted = convert(whole, outtype)

    writer = converted.gguf_writer
    total, *_ = writer.get_total_parameter_count()
    entries = []
    for key, value in writer.kv_data[0].items():
        of = value.type.name
        if value.type is gguf.GGUFValueType.ARRAY:
            of = f"ARRAY of {gguf.GGUFValueType.get_type(value.value[0]).name}"
        entries.append([key, of, value.value])
    found = {"name": name, "file_type": outtype, "total_params": total, "key_values": entries}
    lines = ",\n".join("  " + json.dumps(entry, ensure_ascii=False) for entry in found.pop("key_values"))
    head = json.dumps(found, ensure_ascii=False)[:-1]
    (HERE / f"{case}.json").write_text(f'{head}, "key_values": [\n{lines}\n]}}\n')


def write_names() -> None:
    rows = []
    for name, total in NAMES:
        parts = gguf.Metadata.get_model_id_components(name, total)
        rows.append([name, total, list(parts), gguf.Metadata.id_to_title(name)])
    sizes = [[total, gguf.size_label(total, total, 0, 0)] for total in SIZE_LABELS]
    names = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows)
    (HERE / "names.json").write_text(f'{{"names": [\n{names}\n], "size_labels": {json.dumps(sizes)}}}\n')


def write_rope_freqs() -> None:
    """Asks the converter's own function, with a stand-in for the model."""
    model_class = get_model_class("LlamaForCausalLM")

    class Stand:
        format_tensor_name = staticmethod(lambda *_: "rope_freqs.weight")

    rows = []
    for dim, theta, factor, low, high, original in ROPE_FREQS:
        stand = Stand()
        stand.hparams = {"head_dim": dim}
        stand.rope_parameters = {
            "rope_type": "llama3",
            "rope_theta": theta,
            "factor": factor,
            "low_freq_factor": low,
            "high_freq_factor": high,
            "original_max_position_embeddings": original,
        }
        [(_, tensor)] = model_class.generate_extra_tensors(stand)
        rows.append([dim, theta, factor, low, high, original, tensor.view(torch.int32).tolist()])
    text = ",\n".join("  " + json.dumps(row) for row in rows)
    (HERE / "rope_freqs.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    for case in CASES:
        write_case(case)
    write_names()
    write_rope_freqs()
