"""Writes the golden data of backends/native/tests/parity.rs beside this file.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python generate.py

`sequences.json`: what all models are given: tokens, and for each whether it carries a label. Computed is in
f32 on one thread with eager attention, sequence by sequence without padding. For each case of CASES:

- `CASE/base`: a random checkpoint, bf16;
- `CASE/variants/NAME.json`: another `config.json` for the same weights; `NAME_old.json` says the same as older
  files do, `base_old.json` the same as `base/config.json`;
- `CASE/logits.safetensors`: the base's logits after every token of the first two sequences (`base.0`,
  `base.1`), and with every variant's config;
- `CASE/ADAPTER`: an adapter with random weights as PEFT saves it, and `reference.json`: its loss, the mean over
  the labelled tokens of all sequences; per trained tensor whether transformers' Trainer lets it decay; loss,
  norm of the gradient before clipping and learning rate of ten steps on all sequences. In
  `reference.safetensors`: the gradients, and logits with the adapter after every fifth token;
- in these, `nf4_loss`, `nf4_logits.0` and `nf4_gradient.NAME`: upon linear layers in NF4 with double
  quantisation by bitsandbytes;
- `CASE/full`: the same without an adapter, everything trained.

Names are those of the files that the tensors are saved in.
"""

import json
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import bitsandbytes
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    Trainer,
    TrainingArguments,
    get_cosine_schedule_with_warmup,
)
from transformers.utils.logging import disable_progress_bar

HERE = Path(__file__).parent
PACKAGES = ["accelerate", "bitsandbytes", "peft", "safetensors", "torch", "transformers"]
VOCABULARY = 64
# All but one are longer than the sliding windows.
LENGTHS = [17, 40, 6, 29]
STEPS = {"steps": 10, "warmup_steps": 2, "weight_decay": 0.1, "max_grad_norm": 1.0}

SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
# Rows that NF4's blocks divide.
WIDE = {**SIZES, "hidden_size": 64, "intermediate_size": 64}
SMALL = {**SIZES, "hidden_size": 16, "intermediate_size": 24, "head_dim": 8, "num_attention_heads": 2}
PLAIN_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
# Wavelengths of the head's 16 values are 6, 18, 53, 153, 444, …: two high, two between, four low.
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 5000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 200,
}
GEMMA = {
    "model_type": "gemma3_text",
    "rms_norm_eps": 1e-6,
    "num_key_value_heads": 1,
    "sliding_window": 8,
    "query_pre_attn_scalar": 24,
    "hidden_activation": "gelu_pytorch_tanh",
    "layer_types": ["sliding_attention", "full_attention"],
    "rope_parameters": {
        "full_attention": {"rope_type": "linear", "rope_theta": 100000.0, "factor": 4.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1000.0},
    },
    "tie_word_embeddings": True,
}
LORA = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}

CASES = {
    "llama2": {
        "config": {**WIDE, "model_type": "llama", "rope_parameters": PLAIN_ROPE, "tie_word_embeddings": False},
        "adapters": {
            "lora": LORA,
            "rslora": {
                "r": 4,
                "lora_alpha": 6,
                "use_rslora": True,
                "target_modules": ["q_proj", "v_proj", "down_proj"],
                "modules_to_save": ["lm_head"],
            },
        },
        "nf4": ["lora"],
        "trainer": ["lora", "rslora"],
    },
    "llama3": {
        "config": {
            **SIZES,
            "model_type": "llama",
            "head_dim": 16,
            "max_position_embeddings": 1600,
            "rope_parameters": LLAMA3_ROPE,
            "tie_word_embeddings": False,
        },
        "variants": {
            "linear": {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 3.0}},
            "yarn": {
                "max_position_embeddings": 64,
                "rope_parameters": {
                    "rope_type": "yarn",
                    "rope_theta": 10000.0,
                    "factor": 4.0,
                    "original_max_position_embeddings": 16,
                }
            },
        },
        "adapters": {"lora": LORA},
    },
    "mistral": {
        "config": {
            **SIZES,
            "model_type": "mistral",
            "head_dim": 16,
            "sliding_window": 8,
            "rope_parameters": PLAIN_ROPE,
            "tie_word_embeddings": False,
        },
        "adapters": {"lora": LORA},
    },
    "qwen2": {
        "config": {
            **SIZES,
            "model_type": "qwen2",
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
            "tie_word_embeddings": True,
        },
        "adapters": {
            "lora": LORA,
            "bias_all": {"r": 2, "lora_alpha": 2, "bias": "all", "target_modules": ["q_proj", "o_proj"]},
            "bias_lora_only": {
                "r": 2,
                "lora_alpha": 2,
                "bias": "lora_only",
                "target_modules": ["q_proj", "o_proj"],
            },
            # The head stays the base's embedding; what is trained is a copy.
            "embedding": {
                "r": 2,
                "lora_alpha": 2,
                "target_modules": ["q_proj"],
                "modules_to_save": ["embed_tokens"],
            },
        },
        "trainer": ["bias_all"],
    },
    "qwen3": {
        "config": {
            **SIZES,
            "model_type": "qwen3",
            "head_dim": 16,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
            "tie_word_embeddings": False,
        },
        "adapters": {"lora": LORA},
    },
    "gemma3": {
        "config": {**WIDE, **GEMMA, "head_dim": 16},
        "adapters": {"lora": LORA},
        "nf4": ["lora"],
    },
    "llama_full": {
        "config": {
            **SMALL,
            "num_key_value_heads": 1,
            "model_type": "llama",
            "rope_parameters": PLAIN_ROPE,
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": False,
        },
        "full": True,
        "trainer": ["full"],
    },
    "gemma3_full": {"config": {**SMALL, **GEMMA}, "full": True},
}


def write(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def sequences() -> list[dict]:
    """Random tokens, two runs of them with labels."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for length in LENGTHS:
        tokens = torch.randint(3, VOCABULARY, (length,), generator=generator).tolist()
        labelled = [length // 4 <= i < length // 2 or i >= 2 * length // 3 for i in range(length)]
        made.append({"tokens": tokens, "labelled": labelled})
    # A first token with a label is nothing to be learnt.
    made[2]["labelled"] = [True] * LENGTHS[2]
    return made


SEQUENCES = sequences()
LABELLED = sum(sum(sequence["labelled"][1:]) for sequence in SEQUENCES)


def load(folder: Path, **options):
    options = {"dtype": torch.float32, "attn_implementation": "eager", **options}
    return AutoModelForCausalLM.from_pretrained(folder, **options)


def logits(model, sequence: dict) -> torch.Tensor:
    return model(input_ids=torch.tensor([sequence["tokens"]]), use_cache=False).logits[0]


def all_logits(model) -> list[torch.Tensor]:
    # With gradients: without, bitsandbytes repacks weights in place.
    return [logits(model, sequence).detach() for sequence in SEQUENCES]


def backward(model) -> float:
    """Adds up the gradients of the mean over labelled tokens, and returns it."""
    total = 0.0
    for sequence in SEQUENCES:
        labels = torch.tensor(sequence["tokens"])
        labels[~torch.tensor(sequence["labelled"])] = -100
        found = logits(model, sequence)[:-1].float()
        loss = functional.cross_entropy(found, labels[1:], reduction="sum", ignore_index=-100) / LABELLED
        loss.backward()
        total += loss.item()
    return total


def trained(model) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def gradients(model) -> tuple[float, dict[str, torch.Tensor]]:
    model.train()
    model.zero_grad()
    loss = backward(model)
    found = {name: parameter.grad.clone() for name, parameter in trained(model)}
    assert all(gradient.abs().max() > 0 for gradient in found.values())
    model.zero_grad()
    return loss, found


def decaying(model) -> set[str]:
    """The names that transformers' Trainer lets decay."""
    return set(Trainer.get_decay_parameter_names(None, model))


def train(model, rate: float) -> list[dict]:
    """Takes ten steps as transformers' Trainer does, and returns what it would log."""
    decay = decaying(model)
    groups = [
        {"params": [value for name, value in trained(model) if name in decay], "weight_decay": STEPS["weight_decay"]},
        {"params": [value for name, value in trained(model) if name not in decay], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.999), eps=1e-8)
    schedule = get_cosine_schedule_with_warmup(optimiser, STEPS["warmup_steps"], STEPS["steps"])
    log = []
    model.train()
    for _ in range(STEPS["steps"]):
        model.zero_grad()
        loss = backward(model)
        values = [value for _, value in trained(model)]
        norm = torch.nn.utils.clip_grad_norm_(values, STEPS["max_grad_norm"]).item()
        log.append({"loss": loss, "grad_norm": norm, "learning_rate": schedule.get_last_lr()[0]})
        optimiser.step()
        schedule.step()
    model.zero_grad()
    return log


def compare_with_trainer(model, rate: float, log: list[dict]) -> None:
    """Fails unless the Trainer itself, with padded rows, logs the same."""

    def collate(rows):
        longest = max(len(row["tokens"]) for row in rows)
        tokens = torch.zeros(len(rows), longest, dtype=torch.long)
        labels = torch.full((len(rows), longest), -100)
        mask = torch.zeros(len(rows), longest, dtype=torch.long)
        for i, row in enumerate(rows):
            found = torch.tensor(row["tokens"])
            tokens[i, : len(found)] = found
            mask[i, : len(found)] = 1
            labels[i, : len(found)] = torch.where(torch.tensor(row["labelled"]), found, -100)
        return {"input_ids": tokens, "labels": labels, "attention_mask": mask}

    place = tempfile.TemporaryDirectory()
    arguments = TrainingArguments(
        output_dir=place.name,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        max_steps=STEPS["steps"],
        warmup_steps=STEPS["warmup_steps"],
        lr_scheduler_type="cosine",
        learning_rate=rate,
        weight_decay=STEPS["weight_decay"],
        max_grad_norm=STEPS["max_grad_norm"],
        optim="adamw_torch",
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        remove_unused_columns=False,
        disable_tqdm=True,
        bf16=False,
    )
    model.train()
    trainer = Trainer(model, arguments, train_dataset=SEQUENCES, data_collator=collate)
    trainer.train()
    found = [entry for entry in trainer.state.log_history if "grad_norm" in entry]
    assert len(found) == len(log)
    for one, other in zip(found, log):
        for name, value in other.items():
            assert abs(float(one[name]) - value) <= 2e-4 * max(1.0, abs(value)), (name, one, other)


def randomise(model, gemma: bool) -> None:
    """Gives every weight a value that nothing can be wrong about unnoticed."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape)
        if name.endswith("norm.weight"):
            noise = 0.3 * noise + (0 if gemma else 1)
        elif name.endswith("bias"):
            noise = 0.3 * noise
        elif "embed_tokens" in name:
            # Gemma multiplies them by the root of their number; a tied head has them, too.
            noise = noise * (0.2 if model.config.tie_word_embeddings else 0.7)
        else:
            sharp = 1.6 if "q_proj" in name or "k_proj" in name else 1.0
            noise = sharp * noise / parameter.shape[-1] ** 0.5
        parameter.data = noise.to(torch.bfloat16)


def old_spelling(config: dict) -> dict:
    """Returns the same config in the words of older files."""
    old = dict(config)
    old["torch_dtype"] = old.pop("dtype")
    rope = old.pop("rope_parameters")
    if "full_attention" in rope:
        old["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
        old["sliding_window_pattern"] = 2
        del old["layer_types"]
    scaling = dict(rope)
    old["rope_theta"] = scaling.pop("rope_theta")
    kind = scaling.pop("rope_type")
    # Files older still, of Llama, say `type`.
    word = "type" if kind == "linear" and config["model_type"] == "llama" else "rope_type"
    old["rope_scaling"] = None if kind == "default" else {word: kind, **scaling}
    return old


def saved_names(model) -> dict[str, str]:
    """Names in the adapter's file of what is trained, by the names in the model: what has the same values."""
    saved = get_peft_model_state_dict(model)
    names = {}
    for name, parameter in trained(model):
        same = [key for key, value in saved.items() if value.data_ptr() == parameter.data_ptr()]
        assert len(same) <= 1, (name, same)
        names[name] = same[0] if same else name
        if not same:
            print(f"PEFT does not save {name}")
    return names


def tidy_adapter(folder: Path, case: str) -> None:
    (folder / "README.md").unlink()
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = f"{case}/base"
    # A set in PEFT, in another order every time.
    config["target_modules"] = sorted(config["target_modules"])
    write(path, config)


def nf4(case: str, adapter: Path) -> tuple[float, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Loss, logits and gradients upon quantised linear layers; they are those upon the values these stand for."""
    options = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    base = HERE / case / "base"

    def adapted(model):
        return PeftModel.from_pretrained(model, adapter, is_trainable=True)

    model = load(base, quantization_config=options, device_map="cpu")
    # A second copy is dequantised: one that computes may be repacked.
    dense = load(base)
    weights = {}
    for name, module in load(base, quantization_config=options, device_map="cpu").named_modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            weight = bitsandbytes.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
            weights[f"{name}.weight"] = weight.to(torch.float32)
    assert len(weights) == 7 * dense.config.num_hidden_layers
    assert not dense.load_state_dict(weights, strict=False).unexpected_keys
    model, dense = adapted(model), adapted(dense)
    loss, found = gradients(model)
    dense_loss, expected = gradients(dense)
    assert abs(loss - dense_loss) <= 1e-6, (loss, dense_loss)
    for name, gradient in found.items():
        assert (gradient - expected[name]).norm() <= 1e-5 * expected[name].norm(), name
    rows = {f"nf4_logits.{i}": rows[::5].clone() for i, rows in enumerate(all_logits(dense))}
    return loss, rows, found


def reference(model, folder: Path, names: dict[str, str], rate: float, quantised, compare: bool) -> None:
    """Writes what is computed with a model whose trained weights are named."""
    loss, found = gradients(model)
    values = {f"gradient.{names[name]}": gradient for name, gradient in found.items()}
    values |= {f"logits.{i}": rows[::5].clone() for i, rows in enumerate(all_logits(model))}
    decay = decaying(model)
    written = {"versions": {package: version(package) for package in PACKAGES}, "loss": loss}
    if quantised is not None:
        written["nf4_loss"], rows, found = quantised
        values |= rows | {f"nf4_gradient.{names[name]}": gradient for name, gradient in found.items()}
    written["decays"] = {names[name]: name in decay for name, _ in trained(model)}
    before = {name: parameter.data.clone() for name, parameter in trained(model)}
    log = train(model, rate)
    written |= {"learning_rate": rate, **STEPS, "log": log}
    if compare:
        for name, parameter in trained(model):
            parameter.data = before[name].clone()
        compare_with_trainer(model, rate, log)
    write(folder / "reference.json", written)
    save_file(values, folder / "reference.safetensors")


def make(case: str, given: dict) -> None:
    folder = HERE / case
    shutil.rmtree(folder, ignore_errors=True)
    base = folder / "base"
    sizes = dict(given["config"])
    config = AutoConfig.for_model(sizes.pop("model_type"), **sizes)
    gemma = config.model_type == "gemma3_text"
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    randomise(model, gemma)
    model.save_pretrained(base)
    (base / "generation_config.json").unlink(missing_ok=True)
    written = json.loads((base / "config.json").read_text())

    variants = folder / "variants"
    variants.mkdir()
    rows = {f"base.{i}": rows for i, rows in enumerate(all_logits(load(base))[:2])}
    configs = {name: {**written, **change} for name, change in given.get("variants", {}).items()}
    for name, config in configs.items():
        write(variants / f"{name}.json", config)
        found = all_logits(load(base, config=AutoConfig.for_model(**config)))[:2]
        rows |= {f"{name}.{i}": found for i, found in enumerate(found)}
    for name, config in {"base": written, **configs}.items():
        old = old_spelling(config)
        write(variants / f"{name}_old.json", old)
        found = all_logits(load(base, config=AutoConfig.for_model(**old)))[:2]
        assert all(torch.equal(one, rows[f"{name}.{i}"]) for i, one in enumerate(found)), name
    save_file(rows, folder / "logits.safetensors")

    compared = given.get("trainer", [])
    for name, options in given.get("adapters", {}).items():
        model = get_peft_model(load(base), LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **options))
        for key, parameter in trained(model):
            noise = torch.randn(parameter.shape)
            if "lora_A" in key:
                parameter.data = noise / parameter.shape[-1] ** 0.5
            elif "lora_B" in key:
                parameter.data = noise * 0.15
            else:
                parameter.data = parameter.data + noise * 0.05
        model.save_pretrained(folder / name, save_embedding_layers=False)
        tidy_adapter(folder / name, case)
        names = saved_names(model)
        # What is named is what lies in the file.
        stored = load_file(folder / name / "adapter_model.safetensors")
        for key, parameter in trained(model):
            if names[key] != key:
                assert torch.equal(stored[names[key]], parameter), key
        quantised = nf4(case, folder / name) if name in given.get("nf4", []) else None
        reference(model, folder / name, names, 1e-2, quantised, name in compared)
    if given.get("full"):
        model = load(base)
        (folder / "full").mkdir()
        names = {name: name for name, _ in trained(model)}
        reference(model, folder / "full", names, 5e-3, None, "full" in compared)


def main() -> None:
    disable_progress_bar()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    write(HERE / "sequences.json", SEQUENCES)
    for seed, (case, given) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        make(case, given)


main()
