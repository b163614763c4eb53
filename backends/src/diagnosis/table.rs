//! What is met in practice: one table for scripts here and at the Hub.

use super::fault::Fault;

/// A kind of failure: what it is called, what is found of it in a line, and how it is mended.
pub(super) struct Entry {
    pub(super) fault: Fault,
    /// Its name for JSON.
    pub(super) name: &'static str,
    /// Texts, one of which stands in a line; in small letters.
    pub(super) signs: &'static [&'static str],
    /// How to mend it where a training script runs here.
    pub(super) here: &'static str,
    /// The same where it runs as a job.
    pub(super) training_job: &'static str,
    /// The same for a job with a script of the user's.
    pub(super) job: &'static str,
}

const LICENCE: &str =
    "accept the model's terms on its page on the Hub, with the account of the token";
const TEMPLATE: &str = "the chat template must mark what the assistant says: put `{% generation %}` and \
                        `{% endgeneration %}` around it in `chat_template.jinja`";
const RATE: &str = "lower `learning_rate`, or look at the examples of that step";
const NAMES: &str = "compare the names of model, data set and revision with the Hub's; a private one needs HF_TOKEN";
const BEHIND: &str =
    "one process fell behind the others: look in the log for the one that failed first";
const TOKENS: &str = "the token may not write there: give it that permission at \
                      https://huggingface.co/settings/tokens";
const AGAIN: &str = "start it again: a site that it needs did not answer";
const FLAVOUR_MEMORY: &str =
    "take a flavour with more memory: `shipworthy jobs flavours` lists them";
const PINNED: &str = "the script pins its packages, and these do not go together on this machine any longer: write \
                      to those who make shipworthy";

/// From the most telling to the least.
pub(super) const TABLE: [Entry; 19] = [
    Entry {
        fault: Fault::CardMemory,
        name: "card_memory",
        signs: &[
            "outofmemoryerror",
            "cuda out of memory",
            "cuda error: out of memory",
            "cublas_status_alloc_failed",
        ],
        here: "lower `max_length` or `per_device_train_batch_size`, take `method: qlora`, or a larger card: \
               `shipworthy plan training` shows what each takes",
        training_job: "name a `flavour` with a larger card, or lower `max_length` or `per_device_train_batch_size`: \
                       `shipworthy plan training` shows what each takes",
        job: "ask for a larger card with `--memory`, or halve `per_device_train_batch_size` and double \
              `gradient_accumulation_steps`, or lower `max_length`",
    },
    Entry {
        fault: Fault::GatedModel,
        name: "gated_model",
        signs: &[
            "gatedrepoerror",
            "gated repo",
            "is gated",
            "awaiting a review",
            "access to model",
            "is restricted and you are not in the authorized list",
        ],
        here: LICENCE,
        training_job: LICENCE,
        job: "accept the model's terms on its page with the account of the token, and pass the token with \
              `--secret HF_TOKEN`",
    },
    Entry {
        fault: Fault::Permission,
        name: "permission",
        signs: &[
            "403 forbidden",
            "403 client error",
            "must use a write token",
            "don't have the rights",
        ],
        here: "give HF_TOKEN a token that may read the model, and write the repository that is pushed to",
        training_job: TOKENS,
        job: TOKENS,
    },
    Entry {
        fault: Fault::Repository,
        name: "repository",
        signs: &[
            "repositorynotfounderror",
            "repository not found",
            "datasetnotfounderror",
            "entrynotfounderror",
            "revisionnotfounderror",
            "404 client error",
        ],
        here: NAMES,
        training_job: NAMES,
        job: "look at the repository's name; one that is private needs a token that may see it, passed with \
              `--secret HF_TOKEN`",
    },
    Entry {
        fault: Fault::Token,
        name: "token",
        signs: &[
            "localtokennotfounderror",
            "401 client error",
            "invalid username or password",
            "invalid user token",
        ],
        here: "set HF_TOKEN to a valid token, or log in with `hf auth login`",
        training_job: "the token is not valid any more: make another one at https://huggingface.co/settings/tokens",
        job: "pass a valid token with `--secret HF_TOKEN`: a job has none of its own",
    },
    Entry {
        fault: Fault::NoUv,
        name: "no_uv",
        signs: &["uv: not found", "uv: command not found"],
        here: "install uv, or name a Python that has the script's packages in `python`",
        training_job: "the job's image has no uv: start the job again",
        job: "take an image that has uv, or leave `--image` out",
    },
    Entry {
        fault: Fault::Module,
        name: "module",
        signs: &["modulenotfounderror", "no module named"],
        here: "install the packages that the script's first lines list, with those versions, or leave `python` out: \
               `uv run` brings them",
        training_job: PINNED,
        job: "name the package among the `dependencies` in the script's header",
    },
    Entry {
        fault: Fault::Packages,
        name: "packages",
        signs: &[
            "importerror: cannot import name",
            "no solution found when resolving",
            "requires-python",
        ],
        here: "a package has another version than the script is written for: install those of its first lines, or \
               leave `python` out",
        training_job: PINNED,
        job: "the versions in the script's header do not go together: pin ones that do",
    },
    Entry {
        fault: Fault::Argument,
        name: "argument",
        signs: &[
            "unexpected keyword argument",
            "unrecognized arguments",
            "invalid choice:",
        ],
        here: "a package has another version than the script is written for: install those of its first lines, or \
               leave `python` out",
        training_job: PINNED,
        job: "the installed version knows no such argument: pin the version that the script was written for",
    },
    Entry {
        fault: Fault::Template,
        name: "template",
        signs: &[
            "not training-compatible",
            "chat_template is not set",
            "generation %}",
        ],
        here: TEMPLATE,
        training_job: TEMPLATE,
        job: TEMPLATE,
    },
    Entry {
        fault: Fault::NotFinite,
        name: "not_finite",
        signs: &["the loss is not a number"],
        here: RATE,
        training_job: RATE,
        job: RATE,
    },
    Entry {
        fault: Fault::Data,
        name: "data",
        signs: &[
            "more than max_length",
            "has a labelled token",
            "has changed: its sha-256",
        ],
        // What is said tells how.
        here: "",
        training_job: "",
        job: "",
    },
    Entry {
        fault: Fault::NoCard,
        name: "no_card",
        signs: &[
            "there is no cuda card",
            "no cuda gpus are available",
            "found no nvidia driver",
            "torch not compiled with cuda",
            "no kernel image is available",
            "nvidia driver on your system is too old",
        ],
        here: "leave `device` out to train on the processor, or mend the driver: `nvidia-smi` shows the cards",
        training_job: "name a `flavour` with a card: `shipworthy jobs flavours` lists them",
        job: "take a flavour with a card: `shipworthy jobs flavours` lists them",
    },
    Entry {
        fault: Fault::Disk,
        name: "disk",
        signs: &["no space left on device", "disk quota exceeded"],
        here: "make room, or keep fewer checkpoints with `save_total_limit`; `shipworthy train --resume` goes on",
        training_job: "keep fewer checkpoints with `save_total_limit`, or name a `flavour` with a larger disk",
        job: "keep fewer checkpoints (`save_total_limit`), or take a flavour with a larger disk",
    },
    Entry {
        fault: Fault::HostMemory,
        name: "host_memory",
        signs: &[
            "oomkilled",
            "exit code: 137",
            "exit code 137",
            "can't allocate memory",
            "memoryerror",
        ],
        here: "the machine has too little memory: close what else runs, or lower `max_length`; `shipworthy plan \
               training` shows what it takes",
        training_job: FLAVOUR_MEMORY,
        job: FLAVOUR_MEMORY,
    },
    Entry {
        fault: Fault::Timeout,
        name: "timeout",
        signs: &[
            "job timeout",
            "timed out waiting for job",
            "exceeded the timeout",
        ],
        here: "",
        training_job: "give it more `timeout`; what was pushed before is in the repository",
        job: "give it more time with `--timeout`; what was pushed before is in the repository",
    },
    Entry {
        fault: Fault::ProcessTimeout,
        name: "process_timeout",
        signs: &[
            "watchdog caught collective operation timeout",
            "timed out waiting",
        ],
        here: BEHIND,
        training_job: BEHIND,
        job: BEHIND,
    },
    Entry {
        fault: Fault::Network,
        name: "network",
        signs: &[
            "connectionerror",
            "connecttimeout",
            "readtimeout",
            "read timed out",
            "max retries exceeded",
            "name resolution",
            "failed to fetch",
            "503 server error",
        ],
        here: "look whether the Hub and the package index can be reached from here, and try again",
        training_job: AGAIN,
        job: AGAIN,
    },
    Entry {
        fault: Fault::Killed,
        name: "killed",
        signs: &["sigkill", "signal 9"],
        here: "somebody ended it, perhaps the system for want of memory; `shipworthy train --resume` goes on",
        training_job: FLAVOUR_MEMORY,
        job: FLAVOUR_MEMORY,
    },
];
