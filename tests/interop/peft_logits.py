"""Prints, as JSON, the logits after every token of some sequences: a list of rows for each.

    peft_logits.py SEQUENCES BASE [ADAPTER]

SEQUENCES is a file like `tests/golden/training/sequences.json`; BASE a checkpoint, ADAPTER a PEFT adapter.
"""

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar


def main() -> None:
    disable_progress_bar()
    torch.set_num_threads(1)
    sequences = json.loads(Path(sys.argv[1]).read_text())
    model = AutoModelForCausalLM.from_pretrained(sys.argv[2], dtype=torch.float32, attn_implementation="eager")
    if len(sys.argv) > 3:
        model = PeftModel.from_pretrained(model, sys.argv[3])
    model.eval()
    with torch.no_grad():
        rows = [model(input_ids=torch.tensor([sequence["tokens"]])).logits[0] for sequence in sequences]
    print(json.dumps([row.tolist() for row in rows]))


main()
