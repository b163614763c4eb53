"""Makes a Q4_K_M file of a base and an adapter, beside PEFT, llama.cpp's converter and llama-quantize.

    bench-models.py SHIPWORTHY LLAMA_CPP LLAMA_QUANTIZE FOLDER [SIZE ...]

SIZE is one of SIZES below, by parameters in billions (default: all); the peers do 1.1 only. Prints, for each
program, CPU seconds (all threads), wall seconds, the most memory beside mapped files, and what it left on the disk
that is not the result; then the ratios, and whether the two results have the same bytes.
Weights are random, which neither program's work depends on.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

SHIPWORTHY, LLAMA_CPP, LLAMA_QUANTIZE = (Path(argument).resolve() for argument in sys.argv[1:4])
FOLDER = Path(sys.argv[4])
GOLDEN = Path(__file__).resolve().parent.parent / "tests/golden"
# hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, num_key_value_heads
SIZES = {
    "0.3": (1024, 2816, 22, 16, 4),
    "1.1": (2048, 5632, 22, 32, 4),
    "3": (3072, 8192, 28, 24, 8),
}
RANK = 16
VOCABULARY = 32000

MERGE = """
import sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16)
PeftModel.from_pretrained(model, sys.argv[2]).merge_and_unload().save_pretrained(sys.argv[3])
"""
# The tiny vocabulary's hash is unknown to the converter; nothing else is replaced.
CONVERT = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/gguf-py"]
import gguf
from conversion import get_model_class
model = get_model_class("LlamaForCausalLM")(Path(sys.argv[2]), gguf.LlamaFileType.MOSTLY_BF16, Path(sys.argv[3]))
model.get_vocab_base_pre = lambda _: "llama-bpe"
model.write()
"""


def make_base(folder, sizes):
    hidden, intermediate, layers, heads, groups = sizes
    folder.mkdir(parents=True)
    tokenizer = GOLDEN / "tokenizers/llama3"
    given = json.loads((tokenizer / "config.json").read_text())
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "dtype": "bfloat16",
        "vocab_size": VOCABULARY,
        "bos_token_id": given["bos_token_id"],
        "eos_token_id": given["eos_token_id"],
    }
    (folder / "config.json").write_text(json.dumps(config))
    kv = hidden // heads * groups
    modules = {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (kv, hidden),
        "self_attn.v_proj": (kv, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (intermediate, hidden),
        "mlp.up_proj": (intermediate, hidden),
        "mlp.down_proj": (hidden, intermediate),
    }
    generator = torch.Generator().manual_seed(7)

    def random(*shape):
        return (torch.randn(shape, generator=generator) * 0.02).to(torch.bfloat16)

    shards = [{"model.embed_tokens.weight": random(VOCABULARY, hidden)}]
    adapter = {}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        shard = {prefix + name + ".weight": random(*shape) for name, shape in modules.items()}
        for norm in ("input_layernorm", "post_attention_layernorm"):
            shard[prefix + norm + ".weight"] = torch.ones(hidden, dtype=torch.bfloat16)
        shards.append(shard)
        for name, (rows, columns) in modules.items():
            peft = "base_model.model." + prefix + name
            adapter[peft + ".lora_A.weight"] = random(RANK, columns).float()
            adapter[peft + ".lora_B.weight"] = random(rows, RANK).float()
    shards.append(
        {"model.norm.weight": torch.ones(hidden, dtype=torch.bfloat16), "lm_head.weight": random(VOCABULARY, hidden)}
    )
    index = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file(shard, folder / name, metadata={"format": "pt"})
        index.update(dict.fromkeys(shard, name))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    out = folder.parent / "adapter"
    out.mkdir()
    save_file(adapter, out / "adapter_model.safetensors", metadata={"format": "pt"})
    options = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": 32, "lora_dropout": 0.0}
    names = [name.split(".")[-1] for name in modules]
    text = {**options, "target_modules": names, "bias": "none", "base_model_name_or_path": str(folder)}
    (out / "adapter_config.json").write_text(json.dumps(text))


class Measured:
    """A finished program: CPU and wall seconds, and the most megabytes that were not of mapped files."""

    def __init__(self, command):
        start = time.perf_counter()
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.memory = 0
        done = threading.Event()
        watcher = threading.Thread(target=self.watch, args=(process.pid, done))
        watcher.start()
        error = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        done.set()
        watcher.join()
        self.wall = time.perf_counter() - start
        self.cpu = usage.ru_utime + usage.ru_stime
        if status != 0:
            sys.exit(f"{command[0]} failed:\n{error.decode()[-2000:]}")

    def watch(self, pid, done):
        while not done.wait(0.02):
            try:
                text = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                return
            lines = (line.split() for line in text.splitlines())
            kilobytes = {line[0]: int(line[1]) for line in lines if line and line[0] in ("RssAnon:", "RssShmem:")}
            self.memory = max(self.memory, sum(kilobytes.values()) / 1000)


def row(name, measured, left):
    print(f"  {name:<34}{measured.cpu:>9.1f} s{measured.wall:>9.1f} s{measured.memory:>9.0f} MB{left / 1e9:>9.2f} GB")


def size(path):
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def tensors(path):
    sys.path.insert(0, str(LLAMA_CPP / "gguf-py"))
    import gguf

    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    print(f"adapter of rank {RANK} + base in bf16 -> Q4_K_M; {os.cpu_count()} cores; random weights")
    for billions in sys.argv[5:] or SIZES:
        work = FOLDER / billions
        shutil.rmtree(work, ignore_errors=True)
        make_base(work / "base", SIZES[billions])
        base, adapter = work / "base", work / "adapter"
        print(f"\n{billions} B: {size(base) / 1e9:.2f} GB of weights")
        print(f"  {'':<34}{'CPU':>11}{'wall':>11}{'memory':>12}{'left over':>12}")
        ours = work / "ours.gguf"
        options = ["--model", base, "--adapter", adapter, "--type", "q4_k_m", "--out", ours]
        mine = Measured([SHIPWORTHY, "--no-progress", "gguf", *options])
        row("shipworthy gguf", mine, 0)
        if billions == "1.1":
            merged, plain, theirs = work / "merged", work / "bf16.gguf", work / "theirs.gguf"
            merge = Measured([sys.executable, "-c", MERGE, base, adapter, merged])
            row("PEFT merge_and_unload", merge, size(merged))
            for name in ("tokenizer.json", "tokenizer_config.json"):
                shutil.copy(base / name, merged)
            convert = Measured([sys.executable, "-c", CONVERT, LLAMA_CPP, merged, plain])
            row("convert_hf_to_gguf", convert, size(plain))
            quantize = Measured([LLAMA_QUANTIZE, plain, theirs, "Q4_K_M"])
            row("llama-quantize", quantize, 0)
            steps = merge.cpu + convert.cpu + quantize.cpu
            print(f"  CPU: {mine.cpu / quantize.cpu:.2f}x llama-quantize alone, {mine.cpu / steps:.2f}x the three steps")
            one, other = tensors(ours), tensors(theirs)
            same = one.keys() == other.keys() and all(
                one[name].tensor_type == other[name].tensor_type
                and one[name].data.tobytes() == other[name].data.tobytes()
                for name in one
            )
            print(f"  the two files' {len(one)} tensors are {'the same to the byte' if same else 'NOT THE SAME'}")
        shutil.rmtree(work)


main()
