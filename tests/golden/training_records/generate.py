"""Writes the records of a small training run beside this file, for the test of reports.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python generate.py

`trainer_state.json` is what transformers saves, `begun.tfevents` and `resumed.tfevents` are what
TensorBoard's own protocol buffers and record writer give for the same log. The run was resumed after
two steps; TensorBoard's reader must then show the later file's third step and not the first's.
"""

import json
import shutil
import tempfile
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter
from transformers.trainer_callback import EarlyStoppingCallback, TrainerState

HERE = Path(__file__).parent

# When the first entry was written; one follows another after half a second.
BEGIN = 1_790_000_000.25

BEGUN = [
    {"loss": 2.75, "grad_norm": 1.5, "learning_rate": 0.0, "tokens_per_second": 812.5, "memory_bytes": 5_368_709_120,
     "epoch": 0.25, "step": 1},
    {"loss": 2.5, "grad_norm": 1.25, "learning_rate": 0.0002, "tokens_per_second": 800.0, "memory_bytes": 5_368_709_120,
     "epoch": 0.5, "step": 2},
    {"loss": 9.0, "grad_norm": 9.0, "learning_rate": 0.0001, "epoch": 0.75, "step": 3},
]
RESUMED = [
    {"loss": 2.0, "grad_norm": 1.0, "learning_rate": 0.0001, "epoch": 0.75, "step": 3},
    {"loss": 1.5, "grad_norm": 0.1, "learning_rate": 1e-05, "epoch": 1.0, "step": 4},
    {"eval_loss": 1.625, "eval_runtime": 4.0, "eval_samples_per_second": 7.5, "epoch": 1.0, "step": 4},
    {"train_runtime": 80.0, "train_samples_per_second": 0.4, "train_steps_per_second": 0.05, "total_flos": 1.5e15,
     "train_loss": 2.1875, "epoch": 1.0, "step": 4},
]

# The tags, in the order in which they are written.
TAGS = {
    "loss": "train/loss",
    "grad_norm": "train/grad_norm",
    "learning_rate": "train/learning_rate",
    "tokens_per_second": "train/tokens_per_second",
    "memory_bytes": "train/memory_bytes",
    "eval_loss": "eval/loss",
    "eval_runtime": "eval/runtime",
    "eval_samples_per_second": "eval/samples_per_second",
    "train_runtime": "train/train_runtime",
    "train_samples_per_second": "train/train_samples_per_second",
    "train_steps_per_second": "train/train_steps_per_second",
    "total_flos": "train/total_flos",
    "train_loss": "train/train_loss",
    "epoch": "train/epoch",
}


def event_file(path, entries, begin, resumed_at=None):
    with open(path, "wb") as file:
        writer = RecordWriter(file)

        def write(**fields):
            writer.write(event_pb2.Event(**fields).SerializeToString(deterministic=True))

        write(wall_time=begin, file_version="brain.Event:2")
        if resumed_at is not None:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            write(wall_time=begin, step=resumed_at + 1, session_log=start)
        for idx, entry in enumerate(entries):
            values = [summary_pb2.Summary.Value(tag=tag, simple_value=entry[key])
                      for key, tag in TAGS.items() if key in entry]
            write(wall_time=begin + 0.5 * idx, step=entry["step"], summary=summary_pb2.Summary(value=values))


def check_reading():
    """TensorBoard reads both files of a directory as one run."""
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(HERE / "begun.tfevents", f"{directory}/events.out.tfevents.1790000000.shipworthy")
        shutil.copy(HERE / "resumed.tfevents", f"{directory}/events.out.tfevents.1790000100.shipworthy")
        accumulator = EventAccumulator(directory)
        accumulator.Reload()
        losses = [(event.step, event.value) for event in accumulator.Scalars("train/loss")]
        assert losses == [(1, 2.75), (2, 2.5), (3, 2.0), (4, 1.5)], losses
        rates = [(event.step, round(event.value, 10)) for event in accumulator.Scalars("train/learning_rate")]
        assert rates == [(1, 0.0), (2, 0.0002), (3, 0.0001), (4, 0.00001)], rates
        assert [event.value for event in accumulator.Scalars("eval/loss")] == [1.625]
        assert accumulator.Scalars("train/loss")[0].wall_time == BEGIN
        assert sorted(accumulator.Tags()["scalars"]) == sorted(TAGS.values())


def main():
    event_file(HERE / "begun.tfevents", BEGUN, BEGIN)
    event_file(HERE / "resumed.tfevents", RESUMED, BEGIN + 100, resumed_at=2)
    check_reading()

    stopping = EarlyStoppingCallback(early_stopping_patience=3)
    stopping.early_stopping_patience_counter = 1
    state = TrainerState(
        epoch=1.0,
        global_step=4,
        max_steps=12,
        logging_steps=1,
        eval_steps=4,
        save_steps=4,
        train_batch_size=1,
        num_train_epochs=3,
        num_input_tokens_seen=65_536,
        total_flos=1.5e15,
        log_history=BEGUN[:2] + RESUMED,
        best_metric=1.625,
        best_global_step=4,
        best_model_checkpoint="out/checkpoint-4",
        stateful_callbacks=[stopping],
    )
    state.save_to_json(HERE / "trainer_state.json")
    assert TrainerState.load_from_json(HERE / "trainer_state.json") == state
    lines = [json.dumps(entry, sort_keys=True) + "\n" for entry in BEGUN + RESUMED]
    (HERE / "metrics.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    main()
