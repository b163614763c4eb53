"""Gives what `shipworthy data` writes to datasets and TRL, unchanged: each format is loaded and trained on for a step.

Usage: check-data.py SHIPWORTHY DIRECTORY
"""

import json
import subprocess
import sys
from pathlib import Path

import torch
from datasets import load_dataset
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

shipworthy, directory = sys.argv[1], Path(sys.argv[2])
golden = Path(__file__).parent.parent / "tests/golden"
directory.mkdir(parents=True, exist_ok=True)


def run(*arguments):
    subprocess.run([shipworthy, "data", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def without_nulls(value):
    """What Arrow adds where a structure lacks a field."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


pairs = directory / "pairs.csv"
pairs.write_text("prompt,chosen,rejected\n" + "".join(f"What is {n}?,It is {n}.,No.\n" for n in range(20)), "utf-8")
conversations = golden / "datasets/zstd.parquet"
plain = directory / "plain.jsonl"
# The first row calls a function, for which not all formats have a place.
rows = lines(golden / "datasets/rows.jsonl")[1:]
plain.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

torch.manual_seed(1)
tokenizer = AutoTokenizer.from_pretrained(golden / "tokenizers/qwen2")
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
sizes = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1)
config = Qwen2Config(vocab_size=len(tokenizer) + 8, **sizes)
Qwen2ForCausalLM(config).save_pretrained(directory / "model")
tokenizer.save_pretrained(directory / "model")
usual = dict(
    output_dir=str(directory / "out"), max_steps=1, per_device_train_batch_size=2, report_to="none", use_cpu=True,
    bf16=False, save_strategy="no",
)

for source, format in [
    (conversations, "messages"),
    (plain, "sharegpt"),
    (plain, "alpaca"),
    (conversations, "prompt-completion"),
    (plain, "prompt-completion-text"),
    (pairs, "preference"),
    (pairs, "preference-text"),
]:
    out = directory / f"{format}.jsonl"
    run("convert", source, "--to", format, "--out", out, "--overwrite", "--strict")
    data = load_dataset("json", data_files=str(out), split="train", cache_dir=str(directory / "cache"))
    assert [without_nulls(row) for row in data] == lines(out), format
    if format in ("sharegpt", "alpaca"):
        print(f"{format}: {len(data)} rows loaded")
        continue
    model = str(directory / "model")
    if format.startswith("preference"):
        trainer = DPOTrainer(model, args=DPOConfig(**usual), train_dataset=data, processing_class=tokenizer)
    else:
        trainer = SFTTrainer(model, args=SFTConfig(**usual), train_dataset=data, processing_class=tokenizer)
    loss = trainer.train().training_loss
    assert 0 < loss < 20, loss
    print(f"{format}: {len(data)} rows loaded and trained on, loss {loss:.3f}")

run("split", directory / "messages.jsonl", "--out", directory / "parts", "--overwrite")
parts = load_dataset("json", data_dir=str(directory / "parts"), cache_dir=str(directory / "cache"))
assert sorted(parts) == ["train", "validation"], parts
print(f"split: {parts.num_rows}")
