"""Finds what of conversations is learnt, by transformers and TRL, as golden data.

Needs no network. Run from anywhere:

    pip install -r tests/golden/training_masks/requirements.txt
    python tests/golden/training_masks/generate.py

Reads conversations.jsonl and templates/ beside it, ../chat_templates/templates and ../tokenizers. Writes
masks.json: for every pair of tokenizer and template, and every conversation that the template takes, the
token ids and for each token whether it is learnt.

- Templates with generation blocks: `mask` is what `return_assistant_tokens_mask` gives.
- Templates without: the text is first found to be what the model's official template writes, as TRL has
  it, or what a template of ours with blocks writes; `mask` is that of TRL's training template (or ours)
  for the same text, less the space that no model writes: TRL's blocks reach over the line break after the
  token that ends a turn, and in Qwen2.5's over the one before the reply, with which the prompt for it ends. `space` says how many tokens these are.
"""

import importlib.metadata
import json
import logging
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import jinja2
import trl
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

logging.disable(logging.WARNING)

HERE = Path(__file__).resolve().parent
OURS = HERE.parent / "chat_templates" / "templates"
TRL = Path(trl.__file__).parent / "chat_templates"
PACKAGES = ["jinja2", "tokenizers", "transformers", "trl"]

# Tokenizer, template, and where the template has no blocks: the official one that writes the same (where
# there is none, itself) and the one with blocks, by TRL's names or by those of ours.
PAIRS = [
    ("llama3", "llama3-training.jinja", None, None),
    ("qwen2", "chatml-training.jinja", None, None),
    ("qwen2", "qwen3-training.jinja", None, None),
    ("gemma3", "gemma3-training.jinja", None, None),
    ("llama2", "chatml-training.jinja", None, None),
    ("llama3", "training_masks/llama3.jinja", "llama3", "llama3_training"),
    ("qwen2", "chatml.jinja", "qwen2_5", "qwen2_5_training"),
    ("llama2", "chatml.jinja", "qwen2_5", "qwen2_5_training"),
    ("qwen2", "qwen3.jinja", "qwen3", "qwen3_training"),
    ("qwen2", "qwen3.jinja", "qwen3", "qwen3-training.jinja"),
    ("gemma3", "gemma3.jinja", "gemma3", "gemma3_training"),
    ("mistral_json", "mistral.jinja", "mistral.jinja", "training_masks/mistral-training.jinja"),
    ("llama2", "llama2.jinja", "llama2.jinja", "training_masks/llama2-training.jinja"),
]


def source(name):
    if name.startswith("training_masks/"):
        return (HERE / "templates" / name.removeprefix("training_masks/")).read_text(encoding="utf-8")
    folder = OURS if name.endswith(".jinja") else TRL
    return (folder / name).with_suffix(".jinja").read_text(encoding="utf-8")


def text_of(value):
    return value if value is None or isinstance(value, str) else value["content"]


def load(name):
    folder = HERE.parent / "tokenizers" / name
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    named = {key: text_of(config.get(key)) for key in ["bos_token", "eos_token"]}
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def arguments(conversation, template):
    return dict(conversation=conversation["messages"], tools=conversation.get("tools"), chat_template=template)


def write_text(tokenizer, conversation, template):
    try:
        return tokenizer.apply_chat_template(tokenize=False, **arguments(conversation, template))
    except (jinja2.exceptions.TemplateError, TypeError):
        return None


def mask_of(tokenizer, conversation, template):
    out = tokenizer.apply_chat_template(
        tokenize=True, return_dict=True, return_assistant_tokens_mask=True, **arguments(conversation, template)
    )
    return out["input_ids"], out["assistant_masks"]


def without_space(tokenizer, text, ids, mask):
    """Takes a run's last tokens of space out of a mask, and the line break that ends a prompt."""
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    mask = list(mask)
    for index in reversed(range(len(mask))):
        start, end = offsets[index]
        is_last = index + 1 == len(mask) or not mask[index + 1]
        if mask[index] and is_last and text[start:end].isspace():
            mask[index] = 0
    for index, (start, end) in enumerate(offsets):
        if mask[index] and text[start:end] == "\n" and text[:start].endswith("<|im_start|>assistant"):
            mask[index] = 0
    return mask


def main():
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    lines = (HERE / "conversations.jsonl").read_text(encoding="utf-8").splitlines()
    conversations = [json.loads(line) for line in lines]
    cases = []
    for tokenizer_name, name, official, reference in PAIRS:
        tokenizer = load(tokenizer_name)
        template = source(name)
        for conversation in conversations:
            text = write_text(tokenizer, conversation, template)
            if text is None:
                continue
            case = {"tokenizer": tokenizer_name, "template": name, "id": conversation["id"]}
            if official is None:
                ids, mask = mask_of(tokenizer, conversation, template)
                learnt = mask
            else:
                case["reference"] = reference
                same = [write_text(tokenizer, conversation, source(other)) for other in [official, reference]]
                # Qwen3's training template keeps the reasoning of earlier replies.
                if same != [text, text]:
                    print("other text:", *case.values())
                    continue
                ids, mask = mask_of(tokenizer, conversation, source(reference))
                learnt = without_space(tokenizer, text, ids, mask)
                case["space"] = sum(mask) - sum(learnt)
            case["ids"] = " ".join(str(id) for id in ids)
            case["mask"] = "".join(str(bit) for bit in learnt)
            cases.append(case)
    out = json.dumps({"versions": versions, "cases": cases}, ensure_ascii=False, indent=1)
    (HERE / "masks.json").write_text(out + "\n", encoding="utf-8")
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
