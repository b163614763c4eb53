"""Renders conversations with chat templates by transformers, as golden data.

Needs no network. Run from anywhere:

    pip install -r tests/golden/chat_templates/requirements.txt
    python tests/golden/chat_templates/generate.py

Reads templates/*.jinja and conversations.json beside it. Writes beside it tokenizer.json (a small
byte-level BPE tokenizer trained on the conversations) and expected/TEMPLATE.json: for every
conversation, with and without a generation prompt, the text, its token ids and, for templates with
generation blocks, the mask of the assistant's tokens; or the message of the exception. The file
sources.json says which template is chosen from which files of a checkpoint.
"""

import importlib.metadata
import json
import logging
import os
import shutil
import tempfile
from datetime import datetime
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import jinja2
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

logging.disable(logging.WARNING)

HERE = Path(__file__).resolve().parent
PACKAGES = ["jinja2", "tokenizers", "transformers"]
SPECIAL = [
    "<s>", "</s>", "<pad>",
    "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
    "<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>",
    "[INST]", "[/INST]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
    "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]",
]
NOW = datetime(2024, 7, 6, 15, 4, 9)


class Clock:
    """Stands in for `datetime` where the templates' `strftime_now` asks it."""

    @staticmethod
    def now():
        return NOW


def train(texts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return tokenizer


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)


def render(tokenizer, source, conversation, mode):
    arguments = dict(conversation.get("variables", {}))
    arguments["tools"] = conversation.get("tools")
    arguments["documents"] = conversation.get("documents")
    arguments["chat_template"] = source
    if mode == "continue":
        arguments["continue_final_message"] = conversation.get("continue", "content")
    else:
        arguments["add_generation_prompt"] = mode == "prompt"
    messages = conversation["messages"]
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, **arguments)
    except jinja2.exceptions.UndefinedError as error:
        return {"fails": str(error)}
    except jinja2.exceptions.TemplateError as error:
        return {"raises": str(error)}
    except (TypeError, ValueError) as error:
        return {"fails": str(error).split("\n")[0]}
    with_mask = "generation %}" in source and "{% raw" not in source and mode != "continue"
    out = tokenizer.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=with_mask, **arguments
    )
    case = {"text": text, "ids": " ".join(str(id) for id in out["input_ids"])}
    if with_mask:
        case["mask"] = "".join(str(bit) for bit in out["assistant_masks"])
    return case


def chosen(files):
    """What AutoTokenizer takes from a checkpoint with these files."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        shutil.copy(HERE / "tokenizer.json", folder)
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / name).write_bytes(text.encode())
        tokenizer = AutoTokenizer.from_pretrained(folder)
        out = {"templates": tokenizer.chat_template, "special_tokens": tokenizer.special_tokens_map}
        for key, tools in [("plain", None), ("tools", [])]:
            try:
                out[key] = tokenizer.get_chat_template(tools=tools)
            except ValueError:
                out[key] = None
        return out


def checkpoints():
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": None}
    named = [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}, {"name": "rag", "template": "R"}]
    added = {"content": "</s>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    file = "chat_template.jinja"
    yield "none", {"tokenizer_config.json": config}
    yield "in the configuration", {"tokenizer_config.json": config | {"chat_template": "C\r\n"}}
    yield "a list", {"tokenizer_config.json": config | {"chat_template": named}}
    yield "a list without default", {"tokenizer_config.json": config | {"chat_template": named[1:]}}
    yield "a list of one", {"tokenizer_config.json": config | {"chat_template": named[:1]}}
    yield "a file", {"tokenizer_config.json": config, file: "F\r\n"}
    yield "a file and the configuration", {"tokenizer_config.json": config | {"chat_template": "C"}, file: "F"}
    yield "a file and a list", {"tokenizer_config.json": config | {"chat_template": named}, file: "F"}
    yield "more files", {
        "tokenizer_config.json": config,
        file: "F",
        "additional_chat_templates/tool_use.jinja": "T",
        "additional_chat_templates/notes.txt": "N",
    }
    yield "more files only", {
        "tokenizer_config.json": config | {"chat_template": "C"},
        "additional_chat_templates/rag.jinja": "R",
    }
    yield "tokens as objects", {
        "tokenizer_config.json": config | {"eos_token": added | {"__type": "AddedToken"}, "boi_token": "<boi>",
                                           "extra_special_tokens": {"image_token": "<image>"}},
    }
    yield "tokens in the map", {
        "tokenizer_config.json": config,
        "special_tokens_map.json": {"bos_token": "<|begin_of_text|>", "eos_token": added},
    }
    yield "a map that is not read", {
        "tokenizer_config.json": config | {"added_tokens_decoder": {"0": added}},
        "special_tokens_map.json": {"bos_token": "<|begin_of_text|>"},
    }


def write(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main():
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    chat_template_utils.datetime = Clock
    conversations = json.loads((HERE / "conversations.json").read_text(encoding="utf-8"))
    sources = {path.stem: path.read_text(encoding="utf-8") for path in sorted((HERE / "templates").glob("*.jinja"))}
    train([*strings(conversations), *sources.values()]).save(str(HERE / "tokenizer.json"))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(HERE / "tokenizer.json"), bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    shutil.rmtree(HERE / "expected", ignore_errors=True)
    for name, source in sources.items():
        cases = {}
        for conversation in conversations:
            modes = ["plain", "prompt"]
            if "continue" in conversations[conversation]:
                modes.append("continue")
            for mode in modes:
                case = render(tokenizer, source, conversations[conversation], mode)
                cases[f"{conversation}, {mode}"] = case
        write(HERE / "expected" / f"{name}.json", {"versions": versions, "cases": cases})
    write(HERE / "sources.json", {
        "versions": versions,
        "cases": {name: {"files": files} | chosen(files) for name, files in checkpoints()},
    })


if __name__ == "__main__":
    main()
