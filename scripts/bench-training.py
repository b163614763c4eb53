"""Takes steps of LoRA and QLoRA beside transformers, PEFT and bitsandbytes.

    bench-training.py STEP FOLDER [PART ...]

STEP is the example `step` of backends/native; FOLDER takes the checkpoints, random weights, which no program's
work depends on. PART is one of `steps`, `vocabulary`, `lengths` (default: all). Every measurement is a process of
its own with two threads; where two programs are compared they take turns, so that a slow minute of the
machine meets both. CPU seconds are those of all threads, the median of the steps after the warm-up; memory is
the most that was resident (VmHWM), the interpreter and its packages with it.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

THREADS = 2
RANK = 16
WARM_UP = 2
STEPS = 3
ROUNDS = 4
# Zero: what training uses by itself.
LOSS_CHUNK = 0
PEER_CHUNK = 256
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "dtype": "bfloat16",
}
MODELS = {
    # 134.1 million parameters.
    "llama": {
        **CONFIG,
        "vocab_size": 32000,
        "hidden_size": 768,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "num_key_value_heads": 12,
        "tie_word_embeddings": False,
    },
    # Gemma 3's vocabulary.
    "vocabulary": {
        **CONFIG,
        "vocab_size": 262144,
        "hidden_size": 640,
        "intermediate_size": 1536,
        "num_hidden_layers": 2,
        "num_attention_heads": 10,
        "num_key_value_heads": 10,
        "tie_word_embeddings": True,
    },
}


def write_checkpoint(folder):
    """Writes random weights in bf16 for the `config.json` that lies there."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.bfloat16)
    model.save_pretrained(folder)


def peer(settings):
    """Takes the steps with PEFT and prints their costs as the example does."""
    import resource
    import time

    import torch
    from peft import LoraConfig, get_peft_model
    from torch.nn import functional
    from torch.utils.checkpoint import checkpoint
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    torch.set_num_threads(THREADS)
    torch.manual_seed(7)
    options = {"dtype": torch.float32}
    if settings["nf4"]:
        options["device_map"] = "cpu"
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32,
        )
    model = AutoModelForCausalLM.from_pretrained(settings["checkpoint"], **options)
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(model, lora)
    model.config.use_cache = False
    if settings["checkpointing"]:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4)
    tokens = torch.tensor([settings["tokens"]])
    labels = tokens.clone()
    labels[0, : -settings["labelled"]] = -100

    def chunk_loss(hidden, targets):
        logits = model.get_output_embeddings()(hidden).float()
        return functional.cross_entropy(logits, targets, reduction="sum", ignore_index=-100)

    def loss():
        if settings["loss"] == "plain":
            return model(input_ids=tokens, labels=labels).loss
        hidden = model.base_model.model.model(input_ids=tokens).last_hidden_state[0, :-1]
        if settings["loss"] == "none":
            return hidden.square().mean()
        chunks = zip(hidden.split(PEER_CHUNK), labels[0, 1:].split(PEER_CHUNK))
        sums = [checkpoint(chunk_loss, *chunk, use_reentrant=False) for chunk in chunks]
        return sum(sums) / (labels[0, 1:] != -100).sum()

    def resident(field):
        lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
        return next(int(line[1]) for line in lines if line and line[0] == field)

    costs = {"cpu": [], "wall": [], "loss": [], "loaded": resident("VmRSS:")}
    for _ in range(settings["steps"]):
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        found = loss()
        found.backward()
        optimiser.step()
        optimiser.zero_grad()
        after = resource.getrusage(resource.RUSAGE_SELF)
        costs["cpu"].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        costs["wall"].append(time.perf_counter() - start)
        costs["loss"].append(found.item())
    costs["peak"] = resident("VmHWM:")
    print(json.dumps(costs))


def run(command):
    threads = {name: str(THREADS) for name in ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"]}
    # Else threads that wait burn CPU seconds.
    environment = {**os.environ, **threads, "OMP_WAIT_POLICY": "PASSIVE", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{command[0]} failed:\n{result.stderr[-2000:]}")
    return result.stdout


class Bench:
    def __init__(self, step, folder):
        self.step = Path(step).resolve()
        self.folder = Path(folder)

    def checkpoint(self, name):
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        config = json.dumps(MODELS[name])
        done = folder / "done.json"
        if not done.exists() or done.read_text() != config:
            (folder / "config.json").write_text(config)
            run([sys.executable, __file__, "write", folder])
            done.write_text(config)
        return folder

    def settings(self, model, length, **more):
        # The same tokens for both, of the whole vocabulary.
        vocabulary = MODELS[model]["vocab_size"]
        tokens = [3 + i * 7919 % (vocabulary - 3) for i in range(length)]
        settings = {"checkpoint": str(self.checkpoint(model)), "tokens": tokens, "labelled": length - 1}
        return {**settings, "nf4": False, "checkpointing": False, "steps": WARM_UP + STEPS, **more}

    def ours(self, *arguments, **more):
        settings = {"rank": RANK, "loss_chunk": LOSS_CHUNK, **self.settings(*arguments, **more)}
        return Costs.printed(run([self.step, json.dumps(settings)]))

    def theirs(self, *arguments, loss="plain", **more):
        settings = {"loss": loss, **self.settings(*arguments, **more)}
        return Costs.printed(run([sys.executable, __file__, "peer", json.dumps(settings)]))

    def steps(self):
        print(f"134.1 M Llama, 512 tokens, rank {RANK} on all linear layers, {THREADS} threads; a step")
        print(f"  {'':<40}{'CPU':>10}{'wall':>10}{'tokens/s':>10}{'memory':>11}")
        ours, theirs = {}, {}
        for nf4 in (False, True):
            for checkpointing in (False, True):
                mode = (nf4, checkpointing)
                options = {"nf4": nf4, "checkpointing": checkpointing}
                name = ("NF4" if nf4 else "f32") + (", checkpointing" if checkpointing else "")
                rounds = [
                    (self.theirs("llama", 512, **options), self.ours("llama", 512, **options))
                    for _ in range(ROUNDS)
                ]
                theirs[mode], ours[mode] = (Costs.of_all(costs) for costs in zip(*rounds))
                theirs[mode].row(f"PEFT, {name}", 512)
                ours[mode].row(f"shipworthy, {name}", 512)
                time = ours[mode].cpu / theirs[mode].cpu
                memory = ours[mode].peak / theirs[mode].peak
                apart = abs(ours[mode].loss - theirs[mode].loss)
                print(f"  {'':<40}{time:>9.2f}x{'':>20}{memory:>10.2f}x   losses differ by {apart:.1e}")
        f32 = theirs[False, False].cpu
        print(f"  CPU: f32 is {ours[False, False].cpu / f32:.2f}x PEFT's f32 (aim 1.0)")
        print(f"  CPU: NF4 is {ours[True, False].cpu / ours[False, False].cpu:.2f}x our own f32 (aim 1.15)")
        memory = ours[True, True].peak / theirs[True, True].peak
        print(f"  memory: NF4 with checkpointing is {memory:.2f}x PEFT's (aim 0.4)")

    def vocabulary(self):
        print("cross-entropy, vocabulary 262,144, 2,048 tokens: memory added by it (two layers below, a step)")
        options = {"checkpointing": True, "steps": 1}
        without = self.theirs("vocabulary", 2048, loss="none", **options)
        for loss, name in [("plain", "transformers, plain"), ("chunked", f"chunks of {PEER_CHUNK}, recomputed")]:
            costs = self.theirs("vocabulary", 2048, loss=loss, **options)
            print(f"  {name:<40}{(costs.peak - without.peak) / 1e3:>8.0f} MB   loss {costs.loss:.4f}")
        without = self.ours("vocabulary", 2048, **{**options, "labelled": 1})
        costs = self.ours("vocabulary", 2048, **options)
        print(f"  {'shipworthy':<40}{(costs.peak - without.peak) / 1e3:>8.0f} MB   loss {costs.loss:.4f}")
        print(f"  {'':<40}{(costs.peak - costs.loaded) / 1e3:>8.0f} MB above what is resident when loaded")

    def lengths(self):
        print("134.1 M Llama, NF4, checkpointing: a step by the sequence's length")
        print(f"  {'':<40}{'CPU':>10}{'wall':>10}{'tokens/s':>10}{'memory':>11}")
        first = None
        for length in (512, 1024, 2048, 4096):
            costs = self.ours("llama", length, nf4=True, checkpointing=True, steps=WARM_UP + 1)
            costs.row(f"shipworthy, {length} tokens", length)
            first = first or costs
            slower = costs.cpu / first.cpu / (length / 512)
            more = (costs.peak - costs.loaded) / (first.peak - first.loaded)
            print(f"  {'':<40}{slower:>9.2f}x a token{'':>13}{more:>9.2f}x beside the weights")


class Costs:
    def __init__(self, cpu, wall, loss, peak, loaded):
        self.steps = list(zip(cpu, wall))
        self.cpu = statistics.median(cpu)
        self.wall = statistics.median(wall)
        self.loss = loss
        self.peak = peak
        self.loaded = loaded

    @classmethod
    def printed(cls, text):
        costs = json.loads(text.strip().splitlines()[-1])
        after = slice(WARM_UP, None) if len(costs["cpu"]) > WARM_UP else slice(None)
        cpu, wall = costs["cpu"][after], costs["wall"][after]
        return cls(cpu, wall, costs["loss"][0], costs["peak"] * 1.024, costs["loaded"] * 1.024)

    @classmethod
    def of_all(cls, runs):
        cpu, wall = zip(*(step for run in runs for step in run.steps))
        return cls(cpu, wall, runs[0].loss, max(run.peak for run in runs), max(run.loaded for run in runs))

    def row(self, name, tokens):
        """Prints seconds, throughput and megabytes."""
        print(f"  {name:<40}{self.cpu:>8.2f} s{self.wall:>8.2f} s{tokens / self.wall:>10.0f}{self.peak / 1e3:>8.0f} MB")


def main():
    if sys.argv[1] == "write":
        return write_checkpoint(sys.argv[2])
    if sys.argv[1] == "peer":
        return peer(json.loads(sys.argv[2]))
    bench = Bench(*sys.argv[1:3])
    for part in sys.argv[3:] or ["steps", "vocabulary", "lengths"]:
        getattr(bench, part)()
        print()


main()
