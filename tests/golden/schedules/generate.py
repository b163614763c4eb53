"""Writes the golden data of backends/native/tests/schedule.rs beside this file, by transformers.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python generate.py

The learning rate of every step, and of a few after the last.
"""

import json
from pathlib import Path

import torch
from transformers import TrainingArguments, get_scheduler

HERE = Path(__file__).parent
LEARNING_RATE = 2e-4

# Steps, and warm-up: a count from 1 on, below it a share.
CASES = [(10, 0), (10, 3), (23, 0.1), (100, 0.03), (7, 0.5), (5, 5), (3, 8), (1, 0), (1, 0.1)]
cases = []
for kind in ("cosine", "linear", "constant", "constant_with_warmup"):
    for steps, warmup in CASES:
        arguments = TrainingArguments(output_dir="unused", warmup_steps=warmup, use_cpu=True)
        warmup_steps = arguments.get_warmup_steps(steps)
        optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LEARNING_RATE)
        schedule = get_scheduler(kind, optimiser, num_warmup_steps=warmup_steps, num_training_steps=steps)
        rates = []
        for _ in range(steps + 3):
            rates.append(schedule.get_last_lr()[0])
            optimiser.step()
            schedule.step()
        cases.append({"kind": kind, "steps": steps, "warmup": warmup, "warmup_steps": warmup_steps, "rates": rates})
lines = ",\n".join(json.dumps(case) for case in cases)
(HERE / "rates.json").write_text(f"[\n{lines}\n]\n")
