"""Trains one of the two models on chat JSONL; `--init` continues from another checkpoint.

    python train.py tokenizer --data base.jsonl train.jsonl --out tokenizer.json
    python train.py model --data base.jsonl  --tokenizer tokenizer.json --epochs 6 --out base.pt
    python train.py model --data train.jsonl --tokenizer tokenizer.json --epochs 4 --init base.pt --out tuned.pt
"""

import argparse
import json
import random
import time

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from model import Config, Llama
from muon import Muon

SPECIALS = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
VOCAB_SIZE = 1024


def read(paths):
    return [json.loads(line)["messages"] for path in paths for line in open(path, encoding="utf-8")]


def train_tokenizer(args):
    """Learns a byte-level BPE with GPT-2's splitting from the conversations alone."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=SPECIALS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = [m["role"] + "\n" + m["content"] for messages in read(args.data) for m in messages]
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(args.out)
    print(f"{args.out}: {tokenizer.get_vocab_size()} tokens")


def encode(tokenizer, messages, user_weight):
    """Returns token ids and each token's loss weight; the header before a reply carries none."""
    ids, weights = [], []
    for message in messages:
        header = tokenizer.encode(f"<|im_start|>{message['role']}\n").ids
        body = tokenizer.encode(f"{message['content']}<|im_end|>").ids
        tail = tokenizer.encode("\n").ids
        weight = {"assistant": 1.0, "user": user_weight, "system": 0.0}[message["role"]]
        ids += header + body + tail
        weights += [0.0] * len(header) + [weight] * len(body) + [0.0] * len(tail)
    return ids, weights


def batches(samples, tokens_per_batch, rng, pad):
    """Groups conversations of like length, shuffles the groups, pads within each."""
    order = sorted(range(len(samples)), key=lambda i: (len(samples[i][0]), rng.random()))
    groups, group = [], []
    for i in order:
        if group and (len(group) + 1) * len(samples[i][0]) > tokens_per_batch:
            groups.append(group)
            group = []
        group.append(i)
    groups.append(group)
    rng.shuffle(groups)
    for group in groups:
        longest = max(len(samples[i][0]) for i in group)
        ids = torch.full((len(group), longest), pad)
        weights = torch.zeros(len(group), longest)
        for row, i in enumerate(group):
            n = len(samples[i][0])
            ids[row, :n] = torch.tensor(samples[i][0])
            weights[row, :n] = torch.tensor(samples[i][1])
        yield ids, weights


def train_model(args):
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    rng = random.Random(args.seed)
    tokenizer = Tokenizer.from_file(args.tokenizer)
    pad = tokenizer.token_to_id("<|pad|>")
    samples = [encode(tokenizer, messages, args.user_weight) for messages in read(args.data)]
    longest = max(len(ids) for ids, _ in samples)
    assert longest <= Config.max_position_embeddings, f"a conversation has {longest} tokens"

    model = Llama(Config(vocab_size=tokenizer.get_vocab_size()))
    if args.init:
        model.load_state_dict(torch.load(args.init, weights_only=True))
    model.train()
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "blk" in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "blk" not in n]
    optimizers = [
        Muon(matrices, lr=args.lr),
        torch.optim.AdamW(others, lr=args.lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    plan = [list(batches(samples, args.batch_tokens, rng, pad)) for _ in range(args.epochs)]
    steps = sum(len(epoch) for epoch in plan)
    n_tokens = sum(len(ids) for ids, _ in samples)
    print(f"{len(samples)} conversations, {n_tokens} tokens, longest {longest}, {steps} steps, "
          f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)

    step, mean, cpu, wall = 0, None, time.process_time(), time.time()
    for epoch in plan:
        for ids, weights in epoch:
            rate = args.lr * min(1.0, (step + 1) / 20, 1.5 * (1 - step / steps) + 0.02)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.zero_grad(set_to_none=True)
            logits = model(ids[:, :-1])
            losses = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
            weight = weights[:, 1:].flatten()
            loss = (losses * weight).sum() / weight.sum()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(others, 1.0)
            for optimizer in optimizers:
                optimizer.step()
            replies = weight == 1.0
            reply_loss = losses.detach()[replies].mean().item()
            mean = reply_loss if mean is None else 0.95 * mean + 0.05 * reply_loss
            step += 1
            if step % 20 == 0 or step == steps:
                print(f"step {step}/{steps} reply loss {mean:.3f} "
                      f"wall {time.time() - wall:.0f} s cpu {time.process_time() - cpu:.0f} s", flush=True)
        torch.save(model.state_dict(), args.out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    tokenizer = commands.add_parser("tokenizer")
    tokenizer.set_defaults(run=train_tokenizer)
    model = commands.add_parser("model")
    model.set_defaults(run=train_model)
    for command in (tokenizer, model):
        command.add_argument("--data", nargs="+", required=True)
        command.add_argument("--out", required=True)
    model.add_argument("--tokenizer", required=True)
    model.add_argument("--init")
    model.add_argument("--epochs", type=int, required=True)
    model.add_argument("--lr", type=float, default=4e-3)
    model.add_argument("--batch-tokens", type=int, default=4096)
    model.add_argument("--user-weight", type=float, default=0.2)
    model.add_argument("--seed", type=int, default=1)
    model.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
