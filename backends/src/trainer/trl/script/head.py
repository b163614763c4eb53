import hashlib
import importlib.metadata
import json
import math
import os
import resource
import signal
import sys
import time
import uuid
from pathlib import Path

# Everything that one run has other than another.
CONFIG = json.loads(CONFIG_LITERAL)

# Set before the first library reads them: bars would end up between the lines that are read.
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
if CONFIG["device"] == "cpu":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

OUTPUT = Path(CONFIG["output_dir"])
IS_MAIN = os.environ.get("RANK", "0") == "0"
stop_requested = False


def say(event, **fields):
    """Prints one line of JSON; whoever started this reads them and takes everything else for a log."""
    if IS_MAIN:
        fields = {key: None if is_no_number(value) else value for key, value in fields.items()}
        print(json.dumps({"shipworthy": event, **fields}), flush=True)


def is_no_number(value):
    return isinstance(value, float) and not math.isfinite(value)


def request_stop(*_):
    """Asks for an end after the step under way, with a checkpoint."""
    global stop_requested
    stop_requested = True


def launch_processes():
    """Becomes accelerate's launcher, which starts this file once for every process."""
    if os.environ.get("SHIPWORTHY_LAUNCHED"):
        raise RuntimeError("accelerate's launcher started this script without saying which process it is")
    os.environ["SHIPWORTHY_LAUNCHED"] = "1"
    OUTPUT.mkdir(parents=True, exist_ok=True)
    config_file = OUTPUT / "accelerate_config.json"
    config_file.write_text(json.dumps(CONFIG["accelerate"], indent=2) + "\n")
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config_file)]
    os.execv(sys.executable, [*launcher, os.path.abspath(__file__)])


if CONFIG["accelerate"] and "LOCAL_RANK" not in os.environ:
    launch_processes()
signal.signal(signal.SIGINT, request_stop)
signal.signal(signal.SIGTERM, request_stop)
say("starting")

import torch  # noqa: E402
from accelerate import DistributedType, PartialState  # noqa: E402
from datasets import load_dataset  # noqa: E402
from huggingface_hub import hf_hub_download  # noqa: E402
from peft import LoraConfig, PeftModel, prepare_model_for_kbit_training  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    EarlyStoppingCallback,
    PrinterCallback,
    TrainerCallback,
)
from transformers.trainer_utils import get_last_checkpoint  # noqa: E402
