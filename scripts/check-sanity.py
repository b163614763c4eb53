"""Holds `shipworthy check` to lm-eval and to llama-perplexity.

    check-sanity.py SHIPWORTHY LLAMA_PERPLEXITY WORK

Makes a tiny model of the golden data in the folder WORK, lets lm-eval and shipworthy answer the tasks of
tests/golden/lm_eval, and llama-perplexity and shipworthy foretell a text with GGUF files of the model. Accuracies and
written answers must be equal, log likelihoods within 1e-3, perplexities within 0.1 %. Runs in a Python with
tests/golden/lm_eval/requirements.txt.
"""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

SHIPWORTHY, LLAMA_PERPLEXITY, WORK = (Path(argument).resolve() for argument in sys.argv[1:])
GOLDEN = Path(__file__).resolve().parent.parent / "tests/golden"
WINDOW = 128


def run(*arguments, codes=(0,)) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=WORK)
    if done.returncode not in codes:
        sys.exit(f"{arguments}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout + done.stderr if arguments[0] == LLAMA_PERPLEXITY else done.stdout


def check(*arguments) -> list:
    # A candidate that is its base changes nothing, and random weights end no reply: both fail.
    report = json.loads(run(SHIPWORTHY, "check", *arguments, "--json", codes=(0, 13)))
    return report["checks"]


def tasks() -> None:
    spec = importlib.util.spec_from_file_location("generate", GOLDEN / "lm_eval/generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    generate.assemble(WORK / "base")
    expected = generate.evaluate(WORK / "base", GOLDEN / "lm_eval")
    files = [GOLDEN / "lm_eval" / f"{task}.yaml" for task in generate.TASKS]
    checks = check("--base", "base", "--candidate", "base", "--answers", "--tasks", *files)
    found = {one["subject"]: one["figures"] for one in checks if one["check"] == "capability"}
    assert found.keys() == expected.keys(), (found.keys(), expected.keys())
    largest = 0.0
    for task, theirs in expected.items():
        ours = found[task]
        for metric, value in theirs["metrics"].items():
            assert ours["metrics"][metric][0] == value, (task, metric, ours["metrics"], value)
        for answer, item in zip(ours["answers"], theirs["items"], strict=True):
            assert answer["base"].get("text") == item.get("text"), (answer, item)
            likelihoods = answer["base"].get("log_likelihoods", [])
            for one, other in zip(likelihoods, item.get("log_likelihoods", []), strict=True):
                largest = max(largest, abs(one - other))
        print(f"{task}: {json.dumps(theirs['metrics'])} from both")
    assert largest <= 1e-3, largest
    print(f"log likelihoods differ from lm-eval's by at most {largest:.1e}")


def perplexity() -> None:
    words = "the cat sat on a mat and then it went to sea in a boat which was green . Never again ! 345 ships".split()
    text = " ".join(words[(idx * idx + idx // 7) % len(words)] for idx in range(900))
    (WORK / "text.txt").write_text(text + "\n", encoding="utf-8")
    (WORK / "check.yaml").write_text(
        f"base: base.gguf\ntokenizer: base\ndata: text.txt\nlimits: {{text_window: {WINDOW}, prompts: 1, reply_tokens: 1}}\n"
    )
    template = GOLDEN / "training_masks/templates/llama3.jinja"
    shutil.copy(template, WORK / "base/chat_template.jinja")
    run(SHIPWORTHY, "gguf", "--model", "base", "--type", "f32", "--out", "base.gguf")
    for kind in ["f16", "q8_0"]:
        file = f"{kind}.gguf"
        run(SHIPWORTHY, "gguf", "--model", "base", "--type", kind, "--out", file)
        checks = check("-c", "check.yaml", "--candidate", file)
        figures = next(one["figures"] for one in checks if one["check"] == "perplexity")
        for name, ours in [("base.gguf", figures["base"]), (file, figures["candidate"])]:
            said = run(LLAMA_PERPLEXITY, "-m", name, "-f", "text.txt", "-c", str(WINDOW), "-t", "1")
            # After each window the perplexity so far; the last is that of all.
            windows = re.findall(r"\[\d+\]([0-9.]+),", said)
            assert len(windows) == figures["examples"], said
            theirs = float(windows[-1])
            share = abs(ours / theirs - 1)
            print(f"{name}: perplexity {ours:.4f}, llama-perplexity {theirs:.4f} ({share:.1e} apart)")
            assert share <= 1e-3, (name, ours, theirs)


def main() -> None:
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    tasks()
    perplexity()


if __name__ == "__main__":
    main()
