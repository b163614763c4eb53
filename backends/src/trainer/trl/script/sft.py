from trl import SFTConfig, SFTTrainer  # noqa: E402
from trl.chat_template_utils import get_training_chat_template, has_generation_markers  # noqa: E402

ARGUMENTS, TRAINER = SFTConfig, SFTTrainer


def prepare(rows, tokenizer, name):
    """Returns token ids and labels; the loss is that of the assistant's tokens alone.

    TRL would cut what is too long, and leave out what has no label then, without a word. Here both are
    counted, and it is the configuration that says what becomes of them.
    """
    if "input_ids" not in rows.column_names:
        template = None
        if not has_generation_markers(tokenizer.chat_template):
            template = get_training_chat_template(tokenizer)

        def tokenise(row):
            # Keys that only other rows have are not this row's.
            messages = [{k: v for k, v in message.items() if v is not None} for message in row["messages"]]
            tools = json.loads(row["tools"]) if isinstance(row.get("tools"), str) else row.get("tools")
            out = tokenizer.apply_chat_template(
                messages,
                tools=tools or None,
                chat_template=template,
                tokenize=True,
                return_dict=True,
                return_assistant_tokens_mask=True,
            )
            ids, mask = out["input_ids"], out["assistant_masks"]
            return {"input_ids": ids, "labels": [i if m else -100 for i, m in zip(ids, mask, strict=True)]}

        rows = rows.map(tokenise, remove_columns=rows.column_names)
    longest = CONFIG["max_length"]
    too_long = [idx for idx, ids in enumerate(rows["input_ids"]) if len(ids) > longest]
    if too_long and CONFIG["excess_length_strategy"] == "raise":
        raise ValueError(
            f"{len(too_long)} of {len(rows)} examples of {name} have more than max_length {longest} tokens, "
            f"the first in row {too_long[0] + 1}; raise max_length, or set excess_length_strategy"
        )
    if too_long and CONFIG["excess_length_strategy"] == "drop":
        dropped = set(too_long)
        rows = rows.select([idx for idx in range(len(rows)) if idx not in dropped])
    if too_long:
        rows = rows.map(lambda row: {key: row[key][:longest] for key in ("input_ids", "labels")})
        warn(f"{len(too_long)} examples of {name} are longer than max_length and were changed or left out.")
    labelled = rows.filter(lambda row: any(label != -100 for label in row["labels"]))
    if len(labelled) < len(rows):
        warn(f"{len(rows) - len(labelled)} examples of {name} have no labelled token and were left out.")
    if len(labelled) == 0:
        raise ValueError(f"no example of {name} has a labelled token, so there is nothing to learn")
    return labelled.select_columns(["input_ids", "labels"])


def count(rows):
    tokens = sum(len(ids) for ids in rows["input_ids"])
    labels = sum(label != -100 for labels in rows["labels"] for label in labels)
    return {"examples": len(rows), "tokens": tokens, "labelled_tokens": labels}
