"""Compares greedy replies of a checkpoint in PyTorch with those of a llama-server that serves its GGUF.

    llama-server -m base-q8_0.gguf --port 8099 --host 127.0.0.1 &
    python compare.py --checkpoint base.pt --tokenizer tokenizer.json --url http://127.0.0.1:8099

Q8_0 rounds the weights, so a late token may differ where two were all but equally likely.
"""

import argparse
import json
import urllib.request

import torch
from tokenizers import Tokenizer

from model import Config, Llama

SYSTEM = "You are a kind, practical coach."
PROMPTS = [
    [(SYSTEM, "I go to bed way too late and I am tired all day.")],
    [(SYSTEM, "My phone eats up my evenings. It drives me mad.")],
    [(None, "I want to learn the guitar but I hardly practise.")],
    [(SYSTEM, "Some days I don't see the point of anything anymore.")],
    [(SYSTEM, "HELLO!! 123, what's up? \u00e9\u00df")],
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("checkpoint", "tokenizer", "url"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(args.tokenizer)
    model = Llama(Config(vocab_size=tokenizer.get_vocab_size()))
    model.load_state_dict(torch.load(args.checkpoint, weights_only=True))
    end = tokenizer.token_to_id("<|im_end|>")
    n_same = 0
    for ((system, user),) in PROMPTS:
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": user})
        text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
        ids = tokenizer.encode(text + "<|im_start|>assistant\n").ids
        n_prompt = len(ids)
        with torch.no_grad():
            while len(ids) < n_prompt + 96:
                token = model(torch.tensor([ids]))[0, -1].argmax().item()
                if token == end:
                    break
                ids.append(token)
        ours = tokenizer.decode(ids[n_prompt:])
        body = {"messages": messages, "temperature": 0, "max_tokens": 96, "cache_prompt": False}
        request = urllib.request.Request(
            f"{args.url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        answer = json.load(urllib.request.urlopen(request))
        theirs = answer["choices"][0]["message"]["content"]
        same = ours.strip() == theirs.strip() and answer["usage"]["prompt_tokens"] == n_prompt
        n_same += same
        print(f"{'same' if same else 'DIFFERENT'}: {n_prompt} / {answer['usage']['prompt_tokens']} prompt tokens")
        print(f"  torch:     {ours}\n  llama.cpp: {theirs}")
    print(f"{n_same} of {len(PROMPTS)} the same")


if __name__ == "__main__":
    main()
