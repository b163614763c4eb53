"""Holds the conversations of a run again with Inspect, on the same llama-server and with the same adapters, and
prints the seconds that took as JSON.

Arguments: the server's base URL, the run's `transcripts.jsonl`, calls at once for each model, and tokens of a reply.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, get_model
from inspect_ai.scorer import Score, Target, accuracy, scorer
from inspect_ai.solver import TaskState, solver

url, transcripts, connections, tokens = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
SYSTEM = "You are a kind, practical coach."
held = [json.loads(line) for line in transcripts.read_text().splitlines()]


@solver
def says_again():
    """The person says what they said; the model answers each time."""

    async def solve(state: TaskState, generate):
        replies = state.metadata["replies"]
        for i, said in enumerate(state.metadata["said"]):
            state.messages.append(ChatMessageUser(content=said))
            if i < replies:
                state = await generate(state)
        return state

    return solve


@scorer(metrics=[accuracy()])
def says_e():
    async def score(state: TaskState, target: Target):
        return Score(value=1 if "e" in state.output.completion else 0)

    return score


def arm(name: str, scale: float) -> Task:
    samples = []
    for conversation in held:
        if conversation["model"] != name:
            continue
        said = [turn["content"] for turn in conversation["turns"] if turn["role"] == "user"]
        replies = sum(turn["role"] == "assistant" for turn in conversation["turns"])
        samples.append(
            Sample(
                input=[ChatMessageSystem(content=SYSTEM)],
                metadata={"said": said, "replies": replies},
            )
        )
    body = {"lora": [{"id": 0, "scale": scale}], "cache_prompt": False}
    config = GenerateConfig(
        max_tokens=tokens, temperature=1.0, seed=7, max_connections=connections, extra_body=body
    )
    model = get_model("openai/tiny", base_url=url, api_key="none", config=config, memoize=False)
    return Task(name=name, dataset=MemoryDataset(samples), solver=says_again(), scorer=says_e(), model=model)


with tempfile.TemporaryDirectory() as logs:
    start = time.monotonic()
    done = eval([arm("base", 0.0), arm("tuned", 1.0)], max_tasks=2, display="none", log_dir=logs)
    seconds = time.monotonic() - start
assert all(log.status == "success" for log in done), [log.error for log in done]
calls = sum(turn["role"] == "assistant" for conversation in held for turn in conversation["turns"])
print(json.dumps({"seconds": round(seconds, 2), "calls": calls}))
