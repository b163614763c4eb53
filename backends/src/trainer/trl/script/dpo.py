from trl import DPOConfig, DPOTrainer  # noqa: E402

ARGUMENTS, TRAINER = DPOConfig, DPOTrainer


def as_text(tokenizer, prompt, reply):
    """Returns token ids of a prompt and its reply, rendered as the trainer does."""
    if isinstance(prompt, str):
        return tokenizer(prompt + reply)["input_ids"]
    return tokenizer.apply_chat_template(prompt + reply, tokenize=True, return_dict=True)["input_ids"]


def prepare(rows, tokenizer, name):
    """Returns prompts with a chosen and a rejected reply.

    TRL would cut what is too long without a word. Here it is counted, and it is the configuration that says
    what becomes of it.
    """
    rows = rows.select_columns(["prompt", "chosen", "rejected"])

    def clean(row):
        # Keys that only other rows have are not this row's.
        def strip(value):
            if isinstance(value, str):
                return value
            return [{k: v for k, v in message.items() if v is not None} for message in value]

        return {key: strip(row[key]) for key in ("prompt", "chosen", "rejected")}

    longest = CONFIG["max_length"]
    too_long = []
    for idx, row in enumerate(rows):
        row = clean(row)
        sides = (as_text(tokenizer, row["prompt"], row[side]) for side in ("chosen", "rejected"))
        if max(len(ids) for ids in sides) > longest:
            too_long.append(idx)
    if too_long and CONFIG["excess_length_strategy"] == "raise":
        raise ValueError(
            f"{len(too_long)} of {len(rows)} pairs of {name} have more than max_length {longest} tokens, "
            f"the first in row {too_long[0] + 1}; raise max_length, or set excess_length_strategy"
        )
    if too_long and CONFIG["excess_length_strategy"] == "drop":
        dropped = set(too_long)
        rows = rows.select([idx for idx in range(len(rows)) if idx not in dropped])
    if too_long:
        warn(f"{len(too_long)} pairs of {name} are longer than max_length and were cut or left out.")
    if len(rows) == 0:
        raise ValueError(f"no pair of {name} is left, so there is nothing to learn")
    return rows


def count(rows):
    return {"examples": len(rows), "tokens": None, "labelled_tokens": None}
