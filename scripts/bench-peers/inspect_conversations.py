"""Holds the conversations of bench-engine.py with Inspect: inspect_conversations.py URL PEOPLE TURNS CALLS_AT_A_TIME LOG_FOLDER"""

import os
import sys

url, people, turns, at_a_time, log_folder = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
os.environ.update(BENCH_API_KEY="none", BENCH_BASE_URL=url)

from inspect_ai import Task, eval  # noqa: E402
from inspect_ai.dataset import MemoryDataset, Sample  # noqa: E402
from inspect_ai.model import (  # noqa: E402
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    ResponseSchema,
    get_model,
)
from inspect_ai.scorer import Score, mean, scorer  # noqa: E402
from inspect_ai.solver import solver  # noqa: E402
from inspect_ai.util import json_schema  # noqa: E402

CONFIG = GenerateConfig(max_connections=at_a_time, max_tokens=256)


def other_side(messages):
    flipped = [ChatMessageSystem(content="You play a person who wants to sleep better.")]
    for message in messages:
        kind = ChatMessageUser if message.role == "assistant" else ChatMessageAssistant
        flipped.append(kind(content=message.text))
    return flipped


@solver
def talk():
    person = get_model("openai-api/bench/person", config=CONFIG)

    async def solve(state, generate):
        for _ in range(turns):
            state = await generate(state)
            said = await person.generate(other_side(state.messages))
            state.messages.append(ChatMessageUser(content=said.completion))
        return state

    return solve


@scorer(metrics=[mean()])
def judged():
    schema = ResponseSchema(name="grades", json_schema=json_schema(dict[str, str]))
    judge = get_model("openai-api/bench/judge", config=CONFIG)

    async def score(state, target):
        text = "\n".join(f"{message.role}: {message.text}" for message in state.messages)
        config = GenerateConfig(response_schema=schema)
        answer = await judge.generate(f"Grade this conversation.\n{text}", config=config)
        return Score(value=len(answer.completion) % 5, explanation=answer.completion)

    return score


samples = [Sample(id=str(i), input=f"I am person {i} and I cannot sleep.") for i in range(people)]
task = Task(dataset=MemoryDataset(samples), solver=talk(), scorer=judged())
logs = eval(
    task,
    model=["openai-api/bench/base", "openai-api/bench/tuned"],
    max_connections=at_a_time,
    max_samples=at_a_time,
    max_tasks=2,
    log_dir=log_folder,
    display="none",
)
done = sum(log.results.completed_samples for log in logs)
assert done == 2 * people, [log.error for log in logs]
