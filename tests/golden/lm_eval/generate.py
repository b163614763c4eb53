"""Writes the golden data of tests/sanity.rs beside this file.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python generate.py

`expected.json`: what lm-eval makes of the tasks beside this file, with the tiny Llama of `../lora/tiny/base`
and the tokenizer of `../tokenizers/llama3`, in 32-bit floats: each task's metrics, and of every question the
log likelihoods of its choices, rounded, or the text that was written.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

os.environ.update(HF_DATASETS_OFFLINE="1", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import datasets  # noqa: E402
import lm_eval  # noqa: E402
import torch  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent
TASKS = ["animals", "pieces", "names"]


def assemble(model: Path) -> None:
    """Puts the tiny model and its tokenizer into one directory."""
    shutil.copytree(GOLDEN / "lora/tiny/base", model)
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(GOLDEN / "tokenizers/llama3" / name, model)


def evaluate(model: Path, tasks: Path) -> dict:
    """Returns what lm-eval makes of the tasks in a directory."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache:
        datasets.config.HF_DATASETS_CACHE = Path(cache)
        before = os.getcwd()
        # It takes data files from where it is called.
        os.chdir(tasks)
        try:
            lm = HFLM(pretrained=str(model), dtype="float32", device="cpu", batch_size=1)
            found = lm_eval.simple_evaluate(
                lm,
                tasks=TASKS,
                task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
                log_samples=True,
                bootstrap_iters=0,
            )
        finally:
            os.chdir(before)
    result = {}
    for task in TASKS:
        metrics = {
            name.removesuffix(",none"): value
            for name, value in found["results"][task].items()
            if name.endswith(",none") and "stderr" not in name
        }
        samples = sorted(found["samples"][task], key=lambda sample: sample["doc_id"])
        items = []
        for sample in samples:
            if task == "names":
                items.append({"text": sample["filtered_resps"][0]})
            else:
                items.append({"log_likelihoods": [ll for ll, _ in sample["filtered_resps"]]})
        result[task] = {"metrics": dict(sorted(metrics.items())), "items": items}
    return result


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        model = Path(work) / "model"
        assemble(model)
        result = evaluate(model, HERE)
    for task in result.values():
        for item in task["items"]:
            if "log_likelihoods" in item:
                item["log_likelihoods"] = [round(ll, 4) for ll in item["log_likelihoods"]]
    text = json.dumps(result, indent=1, ensure_ascii=False)
    (HERE / "expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
