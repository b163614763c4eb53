#!/usr/bin/env python3
"""Stands in for `uv run SCRIPT` where TRL is not installed.

It reads the settings out of a generated training script, fetches the data from the Hub as the script would and looks at
its digest, says the lines that the script says, and commits checkpoints and an adapter that other programs can read.
The file `behaviour` beside this one says what goes wrong; the directory `adapter`, if it is there, is what is committed.
"""

import base64
import hashlib
import json
import os
import struct
import sys
import time
import urllib.request
from pathlib import Path

assert sys.argv[1] == "run", sys.argv
SCRIPT = Path(sys.argv[2]).read_text()
CONFIG = json.loads(SCRIPT.split("r'''\n", 1)[1].split("\n'''", 1)[0])
BEHAVIOUR = Path(__file__).with_name("behaviour").read_text().split()
HUB, TOKEN = os.environ["HF_ENDPOINT"], os.environ["HF_TOKEN"]
REPOSITORY = CONFIG["arguments"]["hub_model_id"]
STEPS = CONFIG["arguments"]["max_steps"]


def ask(method, path, body=None):
    request = urllib.request.Request(HUB + path, data=body, method=method)
    request.add_header("Authorization", f"Bearer {TOKEN}")
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def say(event, **fields):
    print(json.dumps({"shipworthy": event, **fields}), flush=True)


def adapter(step):
    """Returns a file of safetensors with one tensor, whose values tell the step."""
    header = {"base_model.model.x.lora_A.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + struct.pack("<2f", step, step)


def commit(title, files):
    lines = [{"key": "header", "value": {"summary": title, "description": ""}}]
    for path, content in files.items():
        content = base64.b64encode(content).decode()
        lines.append({"key": "file", "value": {"path": path, "content": content, "encoding": "base64"}})
    body = "".join(json.dumps(line) + "\n" for line in lines)
    ask("POST", f"/api/models/{REPOSITORY}/commit/main", body.encode())


def fetch(source):
    data = ask("GET", f"/datasets/{source['repo']}/resolve/main/{source['path']}")
    assert hashlib.sha256(data).hexdigest() == source["sha256"], "another file"
    rows = [json.loads(line) for line in data.splitlines()]
    assert all(len(row["input_ids"]) == len(row["labels"]) for row in rows), "labels for every token"
    return rows


def files(step):
    own = Path(__file__).with_name("adapter")
    if own.is_dir():
        return {path.name: path.read_bytes() for path in own.iterdir()}
    config = {"peft_type": "LORA", "r": CONFIG["lora"]["r"], "base_model_name_or_path": CONFIG["model"]}
    return {"adapter_model.safetensors": adapter(step), "adapter_config.json": json.dumps(config).encode()}


print("Installed 74 packages in 4.64s", flush=True)
say("starting")
rows = fetch(CONFIG["dataset"])
if CONFIG["eval_dataset"]:
    fetch(CONFIG["eval_dataset"])
say("prepared", versions={"trl": "1.16.0"}, data={}, trainable_parameters=3712, device="cpu", processes=1)
say("planned", steps=STEPS, epochs=1.0)
if "tell" in BEHAVIOUR:
    print("token", TOKEN, os.environ.get("WANDB_API_KEY"), flush=True)
if "memory" in BEHAVIOUR:
    # What is paid for is counted in seconds.
    time.sleep(1.2)
    print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", flush=True)
    sys.exit(1)
for step in range(1, STEPS + 1):
    if "slow" in BEHAVIOUR:
        time.sleep(0.3)
    while step == 6 and "held" in Path(__file__).with_name("behaviour").read_text():
        time.sleep(0.05)
    loss = 4.0 - step
    say("step", step=step, epoch=step / STEPS, loss=None if "nan" in BEHAVIOUR else loss, grad_norm=1.0,
        learning_rate=0.01, tokens_per_second=100.0, tokens_seen=step * 50.0, memory_bytes=1000)
    if "nan" in BEHAVIOUR:
        sys.exit("FloatingPointError: the loss is not a number at step 1")
    if CONFIG["eval_dataset"] and step % CONFIG["arguments"]["eval_steps"] == 0:
        say("evaluated", step=step, epoch=step / STEPS, eval_loss=5.0 - step, runtime_s=0.1)
    if step % CONFIG["arguments"]["save_steps"] == 0:
        say("saved", step=step, path=f"checkpoint-{step}")
        if "short" not in BEHAVIOUR:
            commit(f"Training in progress, step {step}", files(step))
if "short" in BEHAVIOUR:
    sys.exit(0)
if "late" in BEHAVIOUR:
    # All steps were pushed, and what follows fails.
    sys.exit("RuntimeError: something at the very end")
summary = {"ending": "finished", "steps": STEPS, "epoch": 1.0, "train_loss": 2.0, "best": None,
           "train_runtime": time.time() % 100}
left = files(STEPS) | {"training_summary.json": json.dumps(summary).encode()}
commit(f"Step {STEPS} of {STEPS}", left)
if "after" in BEHAVIOUR:
    sys.exit("RuntimeError: something after the last push")
say("pushed", repository=REPOSITORY)
say("ended", summary=summary)
