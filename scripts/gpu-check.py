"""Checks `shipworthy train` on a device: parity with the processor, invariances, speed and memory.

    gpu-check.py SHIPWORTHY FOLDER cuda|cpu PART [PART ...]

Parts: `invariances` (any device), `parity` (the card beside the processor), `bench` (8 B-shaped Llama, NF4, beside
transformers and PEFT in the same run), `long` (Gemma-3-shaped, 16k tokens), or `all`. Exits with 1 if something is
not as it must be. Weights are random, which neither speed nor memory depends on. Only `bench` needs torch.
"""

import json
import shutil
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

SHIPWORTHY = Path(sys.argv[1]).resolve()
FOLDER = Path(sys.argv[2]).resolve()
DEVICE = sys.argv[3]
PARTS = set(sys.argv[4:])
GOLDEN = Path(__file__).resolve().parent.parent / "tests/golden"

SMALL = {
    "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "vocab_size": 512, "max_position_embeddings": 4096,
}
FAMILIES = {
    "llama": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "tie_word_embeddings": False},
    "qwen3": {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "tie_word_embeddings": True},
    "gemma3": {
        "model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"], "tie_word_embeddings": True,
        "sliding_window": 64, "query_pre_attn_scalar": 32,
    },
}
LLAMA_8B = {
    **FAMILIES["llama"], "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 128256,
    "max_position_embeddings": 8192, "rope_theta": 500000.0,
}
GEMMA_12B = {
    **FAMILIES["gemma3"], "hidden_size": 3840, "intermediate_size": 15360, "num_hidden_layers": 48,
    "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 256, "vocab_size": 262144,
    "sliding_window": 1024, "query_pre_attn_scalar": 256, "max_position_embeddings": 131072,
}
FAILURES = []


def check(name, holds, said):
    print(f"{'ok  ' if holds else 'FAIL'} {name}: {said}", flush=True)
    if not holds:
        FAILURES.append(name)


def shapes(config):
    hidden, inner, width = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    queries, keys = config["num_attention_heads"] * width, config["num_key_value_heads"] * width
    gemma, qwen3 = config["model_type"] == "gemma3_text", config["model_type"] == "qwen3"
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden)
    yield "model.norm.weight", (hidden,)
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", (config["vocab_size"], hidden)
    norms = ["input_layernorm", "post_attention_layernorm"]
    if gemma:
        norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        for norm in norms:
            yield f"{at}{norm}.weight", (hidden,)
        if gemma or qwen3:
            yield f"{at}self_attn.q_norm.weight", (width,)
            yield f"{at}self_attn.k_norm.weight", (width,)
        yield f"{at}self_attn.q_proj.weight", (queries, hidden)
        yield f"{at}self_attn.k_proj.weight", (keys, hidden)
        yield f"{at}self_attn.v_proj.weight", (keys, hidden)
        yield f"{at}self_attn.o_proj.weight", (hidden, queries)
        yield f"{at}mlp.gate_proj.weight", (inner, hidden)
        yield f"{at}mlp.up_proj.weight", (inner, hidden)
        yield f"{at}mlp.down_proj.weight", (hidden, inner)


def random_bytes(count, seed):
    """`count` values in bf16 between -0.04 and 0.04, from a short list that repeats out of step with all sizes."""
    state, values = seed * 2654435761 % 2**32, []
    for _ in range(65521):
        state = (state * 1664525 + 1013904223) % 2**32
        value = (state / 2**32 - 0.5) * 0.08
        values.append(struct.unpack("<I", struct.pack("<f", value))[0] >> 16)
    piece = struct.pack(f"<{len(values)}H", *values)
    whole, rest = divmod(2 * count, len(piece))
    return piece, whole, rest


def write_model(folder, config):
    """Writes a checkpoint in one file, as safetensors: a length, a header in JSON, the values."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tokenizer = GOLDEN / "tokenizers/llama3"
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder)
    shutil.copy(GOLDEN / "training_masks/templates/llama3.jinja", folder / "chat_template.jinja")
    given = json.loads((tokenizer / "config.json").read_text())
    config = {
        "rms_norm_eps": 1e-6, "dtype": "bfloat16", "bos_token_id": given["bos_token_id"],
        "eos_token_id": given["eos_token_id"], **config,
    }
    (folder / "config.json").write_text(json.dumps(config))
    header, start = {}, 0
    for name, shape in shapes(config):
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [start, start + 2 * count]}
        start += 2 * count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for seed, (name, shape) in enumerate(shapes(config)):
            count = shape[0] * (shape[1] if len(shape) > 1 else 1)
            if len(shape) == 1:
                # Norms: one, or what one is added to.
                value = 0 if config["model_type"] == "gemma3_text" else 0x3F80
                file.write(struct.pack("<H", value) * count)
                continue
            piece, whole, rest = random_bytes(count, seed)
            for _ in range(whole):
                file.write(piece)
            file.write(piece[:rest])


def write_data(path, count, words):
    """Writes conversations of about `words` words."""
    nouns = ["bird", "fish", "cat", "house", "river", "letter", "morning", "friend", "road", "garden"]
    with open(path, "w") as file:
        for idx in range(count):
            size = words if isinstance(words, int) else words[idx % len(words)]
            text = " ".join(nouns[(idx * 7 + place * (idx + 3)) % len(nouns)] for place in range(size))
            messages = [
                {"role": "user", "content": f"Write down number {idx}."},
                {"role": "assistant", "content": text},
            ]
            file.write(json.dumps({"messages": messages}) + "\n")


class Peak:
    """The most memory that the card's driver reports in use, less what was in use before."""

    def __enter__(self):
        self.before, self.most, self.done = self.used(), 0, False
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.thread.join()

    def watch(self):
        while not self.done:
            self.most = max(self.most, self.used() - self.before)
            time.sleep(0.05)

    @staticmethod
    def used():
        if DEVICE != "cuda":
            return 0
        query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        return int(subprocess.check_output(query, text=True).split()[0]) * 2**20


def train(name, model, data, **keys):
    """Trains, and returns the lines of metrics that have a loss."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    settings = {
        "model": str(model), "dataset": str(data), "output_dir": str(folder / "out"), "device": DEVICE,
        "method": "lora", "lora_r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "learning_rate": 1e-3,
        "max_length": 2048, "max_steps": 6, "logging_steps": 1, "shuffle": False, "warmup_steps": 1,
        **keys,
    }
    settings = {key: value for key, value in settings.items() if value is not None}
    config = folder / "finetune_config.yaml"
    config.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items()))
    done = subprocess.run([SHIPWORTHY, "train", "-c", config, "--no-progress"], capture_output=True, text=True)
    if done.returncode != 0:
        check(name, False, done.stderr.strip()[-2000:])
        return []
    lines = map(json.loads, (folder / "out/metrics.jsonl").read_text().splitlines())
    return [line for line in lines if "loss" in line]


def differ(found, expected):
    """The largest relative difference of losses and of gradients' norms."""
    if len(found) != len(expected) or not found:
        return float("inf")
    pairs = [(a[key], b[key]) for a, b in zip(found, expected) for key in ("loss", "grad_norm")]
    return max(abs(a - b) / max(abs(b), 1e-12) for a, b in pairs)


def invariances():
    data = FOLDER / "short.jsonl"
    write_data(data, 48, [5, 40, 12, 90, 25, 60, 7, 33])
    for family, sizes in FAMILIES.items():
        model = FOLDER / f"small-{family}"
        write_model(model, {**SMALL, **sizes})
        # In 32 bits, so that only a mistake makes a difference.
        base = {"dtype": "float32", "per_device_train_batch_size": 1, "gradient_accumulation_steps": 8}
        plain = train(f"{family}-plain", model, data, **base)
        whole = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1}
        others = {
            "one batch of eight": {**base, **whole},
            "all layers kept": {**base, "gradient_checkpointing": False},
            "small chunks": {**base, "loss_chunk": 7},
            "with dropout, one batch": {**base, **whole, "lora_dropout": 0.3},
        }
        dropped = train(f"{family}-dropout", model, data, **base, **{"lora_dropout": 0.3})
        for name, keys in others.items():
            found = train(f"{family}-other", model, data, **keys)
            difference = differ(found, dropped if "dropout" in name else plain)
            check(f"{family}: {name}", difference < 1e-3, f"largest difference {difference:.1e}")


def parity():
    global DEVICE
    data = FOLDER / "short.jsonl"
    write_data(data, 48, [5, 40, 12, 90, 25, 60, 7, 33])
    for family, sizes in FAMILIES.items():
        model = FOLDER / f"small-{family}"
        write_model(model, {**SMALL, **sizes})
        for method in ("lora", "qlora", "full"):
            keys = {"method": method, "gradient_accumulation_steps": 8}
            if method == "full":
                keys |= {"lora_r": None, "lora_alpha": None, "lora_dropout": None}
            card = train(f"{family}-{method}", model, data, dtype="float32", **keys)
            short = train(f"{family}-{method}-bf16", model, data, dtype="bfloat16", **keys)
            DEVICE, device = "cpu", DEVICE
            host = train(f"{family}-{method}-cpu", model, data, **keys)
            DEVICE = device
            difference = differ(card, host)
            check(f"{family}, {method}, float32 beside the processor", difference < 2e-3, f"{difference:.1e}")
            losses = [line["loss"] for line in short], [line["loss"] for line in host]
            difference = max((abs(a - b) / b for a, b in zip(*losses)), default=float("inf"))
            check(f"{family}, {method}, bfloat16 beside the processor", difference < 2e-2, f"{difference:.1e}")


PEER = """
import importlib.util, json, sys, time, torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
quantised = importlib.util.find_spec("bitsandbytes") is not None
keys = {}
if quantised:
    from transformers import BitsAndBytesConfig
    keys["quantization_config"] = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16)
model = AutoModelForCausalLM.from_pretrained(
    sys.argv[1], dtype=torch.bfloat16, device_map={"": 0}, attn_implementation="sdpa", **keys)
model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
model.config.use_cache = False
model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
model.enable_input_require_grads()
model.train()
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
torch.manual_seed(0)
times = []
torch.cuda.reset_peak_memory_stats()
for _ in range(8):
    tokens = torch.randint(0, 400, (2, 2048), device="cuda")
    torch.cuda.synchronize()
    begin = time.time()
    model(input_ids=tokens, labels=tokens).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    torch.cuda.synchronize()
    times.append(time.time() - begin)
times = sorted(times[2:])
print(json.dumps({"quantised": quantised, "tokens_per_second": 4096 / times[len(times) // 2],
                  "allocated": torch.cuda.max_memory_allocated()}))
"""


def median(values):
    return sorted(values)[len(values) // 2] if values else 0.0


def bench():
    model, data = FOLDER / "llama-8b", FOLDER / "long.jsonl"
    write_model(model, LLAMA_8B)
    write_data(data, 16, 3000)
    with Peak() as ours:
        lines = train(
            "bench", model, data, method="qlora", lora_r=16, lora_alpha=32, per_device_train_batch_size=2,
            gradient_accumulation_steps=1, max_steps=8, excess_length_strategy="truncate",
        )
    speed = median([line["tokens_per_second"] for line in lines[2:]])
    with Peak() as theirs:
        peer = subprocess.run([sys.executable, "-c", PEER, model], capture_output=True, text=True)
    if peer.returncode != 0:
        print(peer.stderr[-2000:])
        peer = None
    else:
        peer = json.loads(peer.stdout.splitlines()[-1])
        base = "NF4" if peer["quantised"] else "bf16, for bitsandbytes is not there"
        print(f"     PEFT ({base}): {peer['tokens_per_second']:.0f} tokens/s, {theirs.most / 2**30:.2f} GiB by the "
              f"driver, {peer['allocated'] / 2**30:.2f} GiB allocated")
        ratio = speed / peer["tokens_per_second"]
        check("8 B, 2 × 2048: speed", ratio >= 1.0, f"{speed:.0f} tokens/s, {ratio:.2f} × PEFT's")
    check("8 B, 2 × 2048: memory", 0 < ours.most <= 7.5 * 2**30, f"{ours.most / 2**30:.2f} GiB by the driver")
    shutil.rmtree(model)


def long():
    model, data = FOLDER / "gemma-12b", FOLDER / "longer.jsonl"
    write_model(model, GEMMA_12B)
    write_data(data, 2, 20000)
    with Peak() as peak:
        lines = train(
            "long", model, data, method="qlora", lora_r=16, lora_alpha=32, per_device_train_batch_size=1,
            gradient_accumulation_steps=1, max_steps=2, max_length=16384, excess_length_strategy="truncate",
        )
    done = len(lines) == 2
    check("Gemma 3 12 B, 16k tokens", done and peak.most < 24 * 2**30, f"{peak.most / 2**30:.2f} GiB by the driver")
    shutil.rmtree(model)


def main():
    everything = {"invariances": invariances, "parity": parity, "bench": bench, "long": long}
    unknown = PARTS - set(everything) - {"all"}
    if unknown or not PARTS:
        sys.exit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(everything)}, all")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, part in everything.items():
        if name in PARTS or "all" in PARTS:
            part()
    sys.exit(f"{len(FAILURES)} failed" if FAILURES else 0)


main()
