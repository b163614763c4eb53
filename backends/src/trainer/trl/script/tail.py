

def warn(what):
    say("warned", what=what)


def local_file(source):
    """Returns a file of this machine: the one that is named, or one of a data set on the Hub."""
    if "repo" not in source:
        return source["path"]
    return hf_hub_download(
        source["repo"], source["path"], repo_type="dataset", revision=source.get("revision")
    )


def read(source, tokenizer):
    """Returns the examples of a JSON Lines file, and the file's digest."""
    path = local_file(source)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if source.get("sha256") not in (None, digest):
        raise ValueError(f"{source['path']} has changed: its SHA-256 is {digest}, not {source['sha256']}")
    rows = load_dataset("json", data_files=path, split="train")
    return prepare(rows, tokenizer, source["path"]), digest


def versions():
    names = ["torch", "transformers", "trl", "peft", "accelerate", "datasets", "bitsandbytes"]
    names += ["huggingface_hub", "deepspeed", "trackio"]
    found = {"python": sys.version.split()[0]}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def peak_memory():
    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Watch(TrainerCallback):
    """Tells what happens, and ends training when it is asked to or when the loss is no number."""

    def __init__(self, resumed_from):
        self.resumed_from = resumed_from
        self.clock = time.monotonic()
        self.tokens = 0
        self.not_finite = None
        self.interrupted = False

    def on_train_begin(self, args, state, control, **_):
        self.clock = time.monotonic()
        say("planned", steps=state.max_steps, epochs=float(state.num_train_epochs))
        if self.resumed_from:
            say("resumed", step=state.global_step, path=str(self.resumed_from))

    def on_step_end(self, args, state, control, **_):
        stop = torch.tensor(float(stop_requested), device=args.device)
        if args.world_size > 1:
            # All processes stop at the same step, or they would wait for one another for ever.
            torch.distributed.all_reduce(stop, op=torch.distributed.ReduceOp.MAX)
        if stop.item() > 0 and state.global_step < state.max_steps:
            self.interrupted = True
            control.should_save = True
            control.should_training_stop = True

    def on_log(self, args, state, control, logs=None, **_):
        logs = logs or {}
        if "loss" not in logs:
            return
        now = time.monotonic()
        tokens, seconds = logs.get("num_tokens"), now - self.clock
        rate = (tokens - self.tokens) / seconds if tokens is not None and seconds > 0 else None
        self.clock, self.tokens = now, tokens or 0
        say(
            "step",
            step=state.global_step,
            epoch=state.epoch,
            loss=logs["loss"],
            grad_norm=logs.get("grad_norm"),
            learning_rate=logs.get("learning_rate"),
            tokens_per_second=rate,
            tokens_seen=tokens,
            memory_bytes=peak_memory(),
        )
        if not math.isfinite(logs["loss"]):
            self.not_finite = state.global_step
            control.should_training_stop = True

    def on_evaluate(self, args, state, control, metrics=None, **_):
        metrics = metrics or {}
        say(
            "evaluated",
            step=state.global_step,
            epoch=state.epoch,
            eval_loss=metrics.get("eval_loss"),
            runtime_s=metrics.get("eval_runtime"),
            samples_per_second=metrics.get("eval_samples_per_second"),
        )
        self.clock = time.monotonic()

    def on_save(self, args, state, control, **_):
        say("saved", step=state.global_step, path=f"checkpoint-{state.global_step}")
        kept = {path.name for path in OUTPUT.glob("checkpoint-*")}
        say("kept", checkpoints=sorted(kept))


def dtypes():
    """Returns what weights are kept in, and what is computed in.

    A frozen base is kept in what is computed in. Weights that are trained whole are kept in 32 bits: in 16
    most of their changes would round to nothing.
    """
    has_card = torch.cuda.is_available()
    if CONFIG["device"] == "cuda" and not has_card:
        raise ValueError("the configuration says device: cuda, and there is no CUDA card here")
    computed = CONFIG["dtype"]
    if computed == "auto":
        computed = "bfloat16" if has_card else "float32"
    return ("float32" if CONFIG["lora"] is None else computed), computed


def quantisation(computed):
    if not CONFIG["quantisation"]:
        return None
    options = {**CONFIG["quantisation"], "bnb_4bit_compute_dtype": getattr(torch, computed)}
    if options.pop("is_sharded"):
        # Shards are cut from tensors of one type: codes of four bits are kept in what is computed in.
        options["bnb_4bit_quant_storage"] = getattr(torch, computed)
    return BitsAndBytesConfig(**options)


def model_and_adapter(kept, computed):
    """Returns what the trainer is to load, the low-rank change it is to add, and how it is quantised."""
    lora = CONFIG["lora"]
    if not CONFIG["init_adapter"]:
        adapter = LoraConfig(task_type="CAUSAL_LM", **lora) if lora else None
        return CONFIG["model"], adapter, quantisation(computed)
    model = AutoModelForCausalLM.from_pretrained(
        CONFIG["model"],
        revision=CONFIG["revision"],
        dtype=getattr(torch, kept),
        quantization_config=quantisation(computed),
    )
    if CONFIG["quantisation"]:
        checkpointing = CONFIG["arguments"]["activation_checkpointing"]
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=checkpointing)
    return PeftModel.from_pretrained(model, CONFIG["init_adapter"], is_trainable=True), None, None


def arguments(kept, computed):
    """Returns the trainer's arguments; a tracked run gets a name that no other has."""
    chosen = dict(CONFIG["arguments"])
    if chosen["report_to"] != "none":
        now = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        chosen["run_name"] = f"{chosen['run_name']}-{now}-{uuid.uuid4().hex[:6]}"
    if not CONFIG["init_adapter"]:
        # Without a dtype TRL would load 32 bits, whatever the checkpoint has.
        chosen["model_init_kwargs"] = {"revision": CONFIG["revision"], "dtype": getattr(torch, kept)}
    return ARGUMENTS(
        output_dir=str(OUTPUT),
        use_cpu=not torch.cuda.is_available(),
        bf16=computed == "bfloat16",
        **chosen,
    )


def checkpoint():
    """Returns the checkpoint to go on from, if there is one."""
    asked = CONFIG["resume_from_checkpoint"]
    if asked != "latest":
        return asked
    found = get_last_checkpoint(str(OUTPUT)) if OUTPUT.is_dir() else None
    if found is None:
        raise ValueError(f"there is no checkpoint in {OUTPUT} to go on from")
    return found


def main():
    kept, computed = dtypes()
    args = arguments(kept, computed)
    if os.environ.get("ACCELERATE_USE_FSDP") == "true" and not torch.cuda.is_available():
        # accelerate shares weights out among cards alone, and would leave processors without a word.
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    tokenizer = AutoTokenizer.from_pretrained(CONFIG["model"], revision=CONFIG["revision"])
    data, digest = read(CONFIG["dataset"], tokenizer)
    held_out, held_out_digest = None, None
    if CONFIG["eval_dataset"]:
        held_out, held_out_digest = read(CONFIG["eval_dataset"], tokenizer)
    counts = {"train": {**count(data), "sha256": digest}}
    if held_out is not None:
        counts["eval"] = {**count(held_out), "sha256": held_out_digest}

    resumed_from = checkpoint()
    watch = Watch(resumed_from)
    callbacks = [watch]
    if CONFIG["early_stopping_patience"]:
        callbacks.append(EarlyStoppingCallback(CONFIG["early_stopping_patience"]))
    model, adapter, quantised = model_and_adapter(kept, computed)
    trainer = TRAINER(
        model=model,
        args=args,
        train_dataset=data,
        eval_dataset=held_out,
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=callbacks,
        quantization_config=quantised,
    )
    trainer.remove_callback(PrinterCallback)
    trained = [p.numel() for p in trainer.model.parameters() if p.requires_grad]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    say(
        "prepared",
        versions=versions(),
        data=counts,
        trainable_parameters=sum(trained),
        device=device,
        processes=args.world_size,
    )
    outcome = trainer.train(resume_from_checkpoint=resumed_from)
    if watch.not_finite is not None:
        raise FloatingPointError(f"the loss is not a number at step {watch.not_finite}")

    state = trainer.state
    ending = "finished"
    if watch.interrupted:
        ending = "interrupted"
    elif state.global_step < state.max_steps:
        ending = "early_stopping"
    logged = [entry["loss"] for entry in state.log_history if "loss" in entry]
    evaluated = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
    best = None
    if state.best_model_checkpoint:
        best = {"checkpoint": Path(state.best_model_checkpoint).name, "eval_loss": state.best_metric}
    summary = {
        "format": 1,
        "objective": CONFIG["objective"],
        "ending": ending,
        "steps": state.global_step,
        "max_steps": state.max_steps,
        "epoch": state.epoch,
        "train_loss": outcome.training_loss,
        "last_loss": logged[-1] if logged else None,
        "eval_loss": evaluated[-1] if evaluated else None,
        "best": best,
        "train_runtime": outcome.metrics.get("train_runtime"),
        "train_samples_per_second": outcome.metrics.get("train_samples_per_second"),
        "train_steps_per_second": outcome.metrics.get("train_steps_per_second"),
        "total_flos": outcome.metrics.get("total_flos"),
        "processes": args.world_size,
        "device": device,
        "versions": versions(),
        "data": counts,
    }
    # Weights and summary are on disk before anything is sent: a push that fails loses neither.
    if ending != "interrupted":
        trainer.save_model(str(OUTPUT), _internal_call=True)
    if trainer.is_world_process_zero():
        tokenizer.save_pretrained(str(OUTPUT))
        (OUTPUT / "training_summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    trainer.accelerator.wait_for_everyone()
    if args.push_to_hub and ending != "interrupted":
        trainer.push_to_hub(commit_message=f"Step {state.global_step} of {state.max_steps}", blocking=True)
        say("pushed", repository=args.hub_model_id)
    say("ended", summary=summary)


if __name__ == "__main__":
    main()
