//! Why a training script failed, told from what it wrote.

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScriptFailureKind {
    /// The card or the machine has too little memory.
    OutOfMemory,
    /// The model's licence has not been accepted, or the token may not read it.
    Gated,
    /// The token is missing, or may not write.
    NoPermission,
    /// The Hub has nothing of that name.
    NotFound,
    /// A package is missing.
    MissingModule,
    /// A package is of another version than the script is written for.
    OtherVersion,
    /// `uv` is missing.
    NoUv,
    /// The chat template does not say what the assistant's tokens are.
    Template,
    /// The data is wrong for the model.
    Data,
    /// A loss is not a number.
    NotFinite,
    /// There is no card, or not such a one.
    NoCard,
    /// The disk is full.
    DiskFull,
    /// The Hub, or a package index, cannot be reached.
    Network,
    /// A process of several waited for another too long.
    ProcessTimeout,
    /// Somebody ended it.
    Killed,
    /// Anything else.
    Other,
}

/// Why a training script failed, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScriptFailure {
    /// What kind of failure it was.
    pub(super) kind: ScriptFailureKind,
    /// What the script said last.
    pub(super) said: String,
    /// How to mend it; empty if nobody knows.
    pub(super) mend: &'static str,
}

struct Known {
    kind: ScriptFailureKind,
    /// Texts, one of which stands in the log; in small letters.
    marks: &'static [&'static str],
    mend: &'static str,
}

/// From the most telling to the least: a line that one knows is not looked at for the next.
const KNOWN: [Known; 15] = [
    Known {
        kind: ScriptFailureKind::OutOfMemory,
        marks: &[
            "outofmemoryerror",
            "cuda out of memory",
            "cublas_status_alloc_failed",
            "can't allocate memory",
            "memoryerror",
        ],
        mend: "lower `max_length` or `per_device_train_batch_size`, take `method: qlora`, or a larger card: \
               `shipworthy plan training` shows what each takes",
    },
    Known {
        kind: ScriptFailureKind::Gated,
        marks: &[
            "gatedrepoerror",
            "is gated",
            "awaiting a review",
            "access to model",
        ],
        mend: "accept the model's licence on its page on the Hub, with the account of the token",
    },
    Known {
        kind: ScriptFailureKind::NoPermission,
        marks: &[
            "401 client error",
            "403 forbidden",
            "403 client error",
            "invalid username or password",
            "you don't have the rights",
            "localtokennotfounderror",
        ],
        mend: "give HF_TOKEN a token that may read the model, and write the repository that is pushed to",
    },
    Known {
        kind: ScriptFailureKind::NotFound,
        marks: &[
            "repositorynotfounderror",
            "entrynotfounderror",
            "revisionnotfounderror",
            "404 client error",
        ],
        mend: "compare the names of model, data set and revision with the Hub's; a private one needs HF_TOKEN",
    },
    Known {
        kind: ScriptFailureKind::NoUv,
        marks: &["uv: not found", "uv: command not found"],
        mend: "install uv, or name a Python that has the script's packages in `python`",
    },
    Known {
        kind: ScriptFailureKind::MissingModule,
        marks: &["modulenotfounderror", "no module named"],
        mend: "install the packages that the script's first lines list, with those versions, or leave \
               `python` out: `uv run` brings them",
    },
    Known {
        kind: ScriptFailureKind::OtherVersion,
        marks: &[
            "importerror: cannot import name",
            "got an unexpected keyword argument",
            "no solution found when resolving",
        ],
        mend: "a package has another version than the script is written for: install those of its first lines, \
               or leave `python` out",
    },
    Known {
        kind: ScriptFailureKind::Template,
        marks: &[
            "not training-compatible",
            "chat_template is not set",
            "generation %}",
        ],
        mend: "the chat template must mark what the assistant says: put `{% generation %}` and \
               `{% endgeneration %}` around it in `chat_template.jinja`",
    },
    Known {
        kind: ScriptFailureKind::NotFinite,
        marks: &["the loss is not a number"],
        mend: "lower `learning_rate`, or look at the examples of that step",
    },
    Known {
        kind: ScriptFailureKind::Data,
        marks: &[
            "more than max_length",
            "has a labelled token",
            "has changed: its sha-256",
        ],
        mend: "",
    },
    Known {
        kind: ScriptFailureKind::NoCard,
        marks: &[
            "there is no cuda card",
            "found no nvidia driver",
            "no kernel image is available",
            "nvidia driver on your system is too old",
        ],
        mend: "leave `device` out to train on the processor, or mend the driver: `nvidia-smi` shows the cards",
    },
    Known {
        kind: ScriptFailureKind::DiskFull,
        marks: &["no space left on device", "disk quota exceeded"],
        mend: "make room, or keep fewer checkpoints with `save_total_limit`; `shipworthy train --resume` goes on",
    },
    Known {
        kind: ScriptFailureKind::ProcessTimeout,
        marks: &[
            "watchdog caught collective operation timeout",
            "timed out waiting",
        ],
        mend: "one process fell behind the others: look in the log for the one that failed first",
    },
    Known {
        kind: ScriptFailureKind::Network,
        marks: &[
            "connectionerror",
            "connecttimeout",
            "readtimeout",
            "max retries exceeded",
            "name resolution",
            "failed to fetch",
        ],
        mend: "look whether the Hub and the package index can be reached from here, and try again",
    },
    Known {
        kind: ScriptFailureKind::Killed,
        marks: &["sigkill", "signal 9"],
        mend: "somebody ended it, perhaps the system for want of memory; `shipworthy train --resume` goes on",
    },
];

/// The exit code of a shell's child that was killed.
const KILLED: i32 = 128 + 9;

impl ScriptFailure {
    /// Tells from the last lines of a log, and the exit code where it is known, why the script failed.
    pub(super) fn of_log<S: AsRef<str>>(lines: &[S], exit_code: Option<i32>) -> Self {
        let said = said(lines);
        let small: Vec<String> = lines
            .iter()
            .map(|line| line.as_ref().to_lowercase())
            .collect();
        let is_in = |known: &&Known| {
            let is_in = |line: &String| known.marks.iter().any(|mark| line.contains(mark));
            small.iter().any(is_in)
        };
        let known = KNOWN.iter().find(is_in);
        let killed = KNOWN.last().filter(|_| exit_code == Some(KILLED));
        match known.or(killed) {
            Some(known) => Self {
                kind: known.kind,
                said,
                mend: known.mend,
            },
            None => Self {
                kind: ScriptFailureKind::Other,
                said,
                mend: "",
            },
        }
    }
}

/// Returns the last line that names an error, else the last that says anything.
fn said<S: AsRef<str>>(lines: &[S]) -> String {
    let is_error = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
        is_name
            && line.contains(':')
            && ["Error", "Exception", "error"]
                .iter()
                .any(|end| name.ends_with(end))
            && name != "ChildFailedError"
    };
    let texts = || lines.iter().map(|line| line.as_ref().trim());
    let last = texts().rev().find(is_error);
    let last = last.or_else(|| texts().rev().find(|line| !line.is_empty()));
    last.unwrap_or_default().chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    // Lines as the programs of today write them.
    #[test_case("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 8.59 GiB. GPU 0 has a total capacity of 23.68 GiB", ScriptFailureKind::OutOfMemory; "memory of a card")]
    #[test_case("huggingface_hub.errors.GatedRepoError: 403 Client Error. Cannot access gated repo for url", ScriptFailureKind::Gated; "gated")]
    #[test_case("huggingface_hub.errors.HfHubHTTPError: 403 Forbidden: you must use a write token to upload to a repository", ScriptFailureKind::NoPermission; "a token that may not write")]
    #[test_case("huggingface_hub.errors.RepositoryNotFoundError: 404 Client Error.", ScriptFailureKind::NotFound; "no such model")]
    #[test_case("ModuleNotFoundError: No module named 'trl'", ScriptFailureKind::MissingModule; "module")]
    #[test_case("TypeError: SFTConfig.__init__() got an unexpected keyword argument 'max_seq_length'", ScriptFailureKind::OtherVersion; "argument")]
    #[test_case("shipworthy-trainer: 5: uv: not found", ScriptFailureKind::NoUv; "uv")]
    #[test_case("ValueError: The chat template is not training-compatible (missing prefix-preservation or `{% generation %}` markers) and patching is not supported for this template.", ScriptFailureKind::Template; "template")]
    #[test_case("OSError: [Errno 28] No space left on device", ScriptFailureKind::DiskFull; "disk")]
    #[test_case("FloatingPointError: the loss is not a number at step 7", ScriptFailureKind::NotFinite; "loss")]
    #[test_case("ValueError: 3 of 9 examples of t.jsonl have more than max_length 20 tokens, the first in row 2; raise", ScriptFailureKind::Data; "length")]
    #[test_case("KeyError: 'frobnicate'", ScriptFailureKind::Other; "anything")]
    fn failures_are_told_apart(line: &str, kind: ScriptFailureKind) {
        let log = [
            "Traceback (most recent call last):",
            "  File \"train.py\", line 3, in <module>",
            line,
            "",
        ];
        let failure = ScriptFailure::of_log(&log, Some(1));
        assert_eq!((failure.kind, failure.said.as_str()), (kind, line));
        let has_mend = !matches!(kind, ScriptFailureKind::Other | ScriptFailureKind::Data);
        assert_eq!(has_mend, !failure.mend.is_empty());
    }

    #[test]
    fn a_killed_script_leaves_no_words() {
        let failure = ScriptFailure::of_log(&["{\"shipworthy\": \"step\"}"], Some(137));
        assert_eq!(failure.kind, ScriptFailureKind::Killed);
        let nothing = ScriptFailure::of_log::<&str>(&[], None);
        assert_eq!(
            (nothing.kind, nothing.said.as_str()),
            (ScriptFailureKind::Other, "")
        );
    }

    #[test]
    fn the_first_process_that_failed_speaks() {
        let log = [
            "[rank1]: ValueError: the configuration says device: cuda, and there is no CUDA card here",
            "ValueError: the configuration says device: cuda, and there is no CUDA card here",
            "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:",
            "============================================================",
            "train.py FAILED",
        ];
        let failure = ScriptFailure::of_log(&log, Some(1));
        assert_eq!(failure.kind, ScriptFailureKind::NoCard);
        assert!(
            failure.said.starts_with("ValueError: the configuration"),
            "{}",
            failure.said
        );
    }
}
