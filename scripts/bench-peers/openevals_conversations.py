"""Holds the conversations of bench-engine.py with openevals: openevals_conversations.py URL PEOPLE TURNS CALLS_AT_A_TIME

openevals keeps nothing on the disk.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

from openai import OpenAI
from openevals.simulators import run_multiturn_simulation

url, people, turns, at_a_time = sys.argv[1], *map(int, sys.argv[2:5])
client = OpenAI(base_url=url, api_key="none")


def said(model, messages):
    reply = client.chat.completions.create(model=model, messages=messages, max_tokens=256)
    return {"role": "assistant", "content": reply.choices[0].message.content}


def converse(job):
    model, person = job
    threads = {}

    def app(message, *, thread_id, **_):
        thread = threads.setdefault(thread_id, [])
        thread.append({"role": message["role"], "content": message["content"]})
        reply = said(model, thread)
        thread.append(reply)
        return reply

    def user(trajectory, **_):
        if not trajectory:
            return {"role": "user", "content": f"I am person {person} and I cannot sleep."}
        flip = {"user": "assistant", "assistant": "user"}
        messages = [{"role": "system", "content": "You play a person who wants to sleep better."}]
        messages += [{"role": flip[turn["role"]], "content": turn["content"]} for turn in trajectory]
        return {"role": "user", "content": said("person", messages)["content"]}

    def judge(*, outputs, **_):
        text = "\n".join(f"{turn['role']}: {turn['content']}" for turn in outputs)
        messages = [{"role": "user", "content": f"Grade this conversation.\n{text}"}]
        return {"key": "grade", "score": len(said("judge", messages)["content"]) % 5, "comment": None}

    result = run_multiturn_simulation(app=app, user=user, max_turns=turns, trajectory_evaluators=[judge])
    assert len(result["trajectory"]) == 2 * turns, len(result["trajectory"])


with ThreadPoolExecutor(at_a_time) as pool:
    list(pool.map(converse, [(model, person) for person in range(people) for model in ("base", "tuned")]))
