"""Checks training data with `shipworthy data check`, beside datasets and a Python loop that does the same checks.

    bench-data.py SHIPWORTHY FOLDER [MEGABYTES]

The data are conversations of random words, a twentieth of them near copies. Both read JSON Lines, write every row with the
chat template, count its tokens (by the same tokenizers library; in Python in batches, which use all threads), and look for
exact and near duplicates (14 bands of 8 minima of five words), conflicting answers, personal data by patterns and
roles out of turn. Neither tells languages in Python. Prints wall seconds, CPU seconds and the most memory of each, and the ratio.
"""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

SHIPWORTHY, FOLDER = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
MEGABYTES = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
MODEL = Path(__file__).resolve().parent.parent / "tests/golden/tokenizers/qwen2"

PEER = r'''
import hashlib, re, sys, collections
import numpy
from datasets import load_dataset
from transformers import AutoTokenizer

path, model, cache = sys.argv[1:]
data = load_dataset("json", data_files=path, split="train", cache_dir=cache)
tokenizer = AutoTokenizer.from_pretrained(model)
PATTERNS = [re.compile(pattern) for pattern in (
    r"\b[A-Za-z0-9][A-Za-z0-9._%+\-]{0,63}@(?:[A-Za-z0-9\-]{1,63}\.){1,8}[A-Za-z]{2,24}\b",
    r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}", r"\b[2-6](?:[ -]?[0-9]){12,18}\b",
    r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b", r"\+[1-9](?:[ .\-/()]{0,2}[0-9]){6,14}\b",
)]
WORD = re.compile(r"\w+")
numbers = numpy.random.default_rng(0)
factors = numbers.integers(1, 1 << 61, 112, dtype=numpy.uint64) | numpy.uint64(1)
addends = numbers.integers(0, 1 << 61, 112, dtype=numpy.uint64)
lengths, exact, answers, personal, wrong = [], set(), {}, 0, 0
bands = [collections.defaultdict(list) for _ in range(14)]
duplicates = conflicts = near = row = 0
for batch in data.iter(batch_size=256):
    texts = []
    for messages in batch["messages"]:
        roles = [message["role"] for message in messages]
        wrong += any(one == other for one, other in zip(roles, roles[1:])) or roles[-1] != "assistant"
        said = [" ".join(message["content"].split()) for message in messages]
        digest = hashlib.sha256(repr((roles, said)).encode()).digest()[:8]
        duplicates += digest in exact
        exact.add(digest)
        prompt = hashlib.sha256(repr(said[:-1]).encode()).digest()[:8]
        reply = hashlib.sha256(said[-1].encode()).digest()[:8]
        conflicts += answers.setdefault(prompt, reply) != reply
        personal += sum(len(pattern.findall(text)) for text in said for pattern in PATTERNS)
        words = WORD.findall(" ".join(said).lower())
        features = [hash(" ".join(words[at:at + 5])) & 0xffffffffffffffff for at in range(max(1, len(words) - 4))]
        hashes = numpy.array(features, dtype=numpy.uint64)[:, None] * factors + addends
        minima = (hashes >> numpy.uint64(32)).min(axis=0).reshape(14, 8)
        is_near = False
        for band, least in zip(bands, minima):
            same = band[hash(least.tobytes())]
            is_near |= bool(same)
            same.append(row)
        near += is_near
        row += 1
        texts.append(tokenizer.apply_chat_template(messages, tokenize=False))
    lengths += [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
print(row, "rows,", sum(lengths), "tokens,", duplicates, "exact,", near, "near,", personal, "personal data", file=sys.stderr)
'''


def write(path):
    numbers = random.Random(1)
    words = ["".join(numbers.choices("abcdefghijklmnopqrstuvwxyz", k=numbers.randint(2, 9))) for _ in range(20_000)]

    def text(count):
        return " ".join(numbers.choices(words, k=count)) + "."

    earlier, size = [], 0
    with open(path, "w", encoding="utf-8") as file:
        while size < MEGABYTES * 1_000_000:
            if earlier and numbers.random() < 0.05:
                messages = numbers.choice(earlier)
            else:
                messages = []
                for _ in range(numbers.randint(1, 4)):
                    messages.append({"role": "user", "content": text(numbers.randint(5, 40))})
                    messages.append({"role": "assistant", "content": text(numbers.randint(20, 160))})
                if len(earlier) < 1000:
                    earlier.append(messages)
            if numbers.random() < 0.02:
                messages = [*messages[:-1], {"role": "assistant", "content": "Write to ann@acme.com. " + messages[-1]["content"]}]
            size += file.write(json.dumps({"messages": messages}) + "\n")


def measured(name, arguments):
    start = time.monotonic()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - start
    cpu = used.ru_utime + used.ru_stime
    print(f"{name:12} {wall:8.1f} s wall {cpu:8.1f} s CPU {used.ru_maxrss / 1000:8.0f} MB, exit {process.returncode}", flush=True)
    return wall


FOLDER.mkdir(parents=True, exist_ok=True)
data = FOLDER / f"{MEGABYTES}.jsonl"
if not data.exists():
    write(data)
ours = measured("shipworthy", [SHIPWORTHY, "data", "check", data, "--model", MODEL])
peer = measured("Python", [sys.executable, "-c", PEER, data, MODEL, FOLDER / "cache"])
print(f"ratio {peer / ours:.1f}")
