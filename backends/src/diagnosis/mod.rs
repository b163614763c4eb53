//! Why jobs fail, by what they and the Hub say; a table of what is met in practice.

/// Lines of a log's end that are looked at.
const LINES: usize = 400;

/// A kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The card has too little memory.
    CardMemory,
    /// The machine has too little memory.
    HostMemory,
    /// The disk is full.
    Disk,
    /// The time limit was reached.
    Timeout,
    /// The model must be asked for.
    GatedModel,
    /// There is no token, or it is not valid.
    Token,
    /// The token may not write.
    Permission,
    /// A repository is not there.
    Repository,
    /// A Python package is missing.
    Module,
    /// The packages do not go together.
    Packages,
    /// An argument or setting is not known.
    Argument,
    /// The machine has no card.
    NoCard,
    /// A site did not answer.
    Network,
}

impl Fault {
    /// Returns its name for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::CardMemory => "card_memory",
            Self::HostMemory => "host_memory",
            Self::Disk => "disk",
            Self::Timeout => "timeout",
            Self::GatedModel => "gated_model",
            Self::Token => "token",
            Self::Permission => "permission",
            Self::Repository => "repository",
            Self::Module => "module",
            Self::Packages => "packages",
            Self::Argument => "argument",
            Self::NoCard => "no_card",
            Self::Network => "network",
        }
    }

    /// Says how to mend it.
    pub fn mend(self) -> &'static str {
        match self {
            Self::CardMemory => {
                "ask for a larger card with `--memory`, or halve `per_device_train_batch_size` and double \
                 `gradient_accumulation_steps`, or lower `max_length`"
            }
            Self::HostMemory => {
                "take a flavour with more memory: `shipworthy jobs flavours` lists them"
            }
            Self::Disk => {
                "keep fewer checkpoints (`save_total_limit`), or take a flavour with a larger disk"
            }
            Self::Timeout => {
                "give it more time with `--timeout`; what was pushed before is in the repository"
            }
            Self::GatedModel => {
                "accept the model's terms on its page with the account of the token, and pass the token with \
                 `--secret HF_TOKEN`"
            }
            Self::Token => "pass a valid token with `--secret HF_TOKEN`: a job has none of its own",
            Self::Permission => {
                "the job's token may not write there: give it that permission at \
                 https://huggingface.co/settings/tokens"
            }
            Self::Repository => {
                "look at the repository's name; one that is private needs a token that may see it, passed \
                 with `--secret HF_TOKEN`"
            }
            Self::Module => "name the package among the `dependencies` in the script's header",
            Self::Packages => {
                "the versions in the script's header do not go together: pin ones that do"
            }
            Self::Argument => {
                "the installed version knows no such argument: pin the version that the script was written for"
            }
            Self::NoCard => "take a flavour with a card: `shipworthy jobs flavours` lists them",
            Self::Network => "start the job again: a site that it needs did not answer",
        }
    }
}

/// What is found in a lower-case line, and what it means. The first fit counts.
const SIGNS: [(Fault, &[&str]); 13] = [
    (
        Fault::CardMemory,
        &[
            "cuda out of memory",
            "outofmemoryerror",
            "cublas_status_alloc_failed",
            "cuda error: out of memory",
        ],
    ),
    (
        Fault::GatedModel,
        &[
            "gatedrepoerror",
            "gated repo",
            "is restricted and you are not in the authorized list",
        ],
    ),
    (
        Fault::Permission,
        &[
            "403 forbidden",
            "403 client error",
            "must use a write token",
            "don't have the rights",
        ],
    ),
    (
        Fault::Repository,
        &[
            "repositorynotfounderror",
            "repository not found",
            "datasetnotfounderror",
        ],
    ),
    (
        Fault::Token,
        &[
            "localtokennotfounderror",
            "401 client error",
            "invalid username or password",
            "invalid user token",
        ],
    ),
    (Fault::Module, &["no module named"]),
    (
        Fault::Packages,
        &["no solution found when resolving", "requires-python"],
    ),
    (
        Fault::Argument,
        &[
            "unexpected keyword argument",
            "unrecognized arguments",
            "invalid choice:",
        ],
    ),
    (
        Fault::NoCard,
        &[
            "no cuda gpus are available",
            "found no nvidia driver",
            "torch not compiled with cuda",
        ],
    ),
    (Fault::Disk, &["no space left on device"]),
    (
        Fault::HostMemory,
        &[
            "oomkilled",
            "exit code: 137",
            "exit code 137",
            "defaultcpuallocator: can't allocate",
        ],
    ),
    (
        Fault::Timeout,
        &[
            "job timeout",
            "timed out waiting for job",
            "exceeded the timeout",
        ],
    ),
    (
        Fault::Network,
        &[
            "connectionerror",
            "temporary failure in name resolution",
            "read timed out",
            "503 server error",
        ],
    ),
];

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The kind of failure.
    pub fault: Fault,
    /// The line that shows it, from elsewhere and perhaps hostile.
    pub line: String,
}

impl Diagnosis {
    /// Looks at what the Hub says, then at the end of the log, the latest line first.
    pub fn of(message: Option<&str>, log: &[String]) -> Option<Self> {
        let lines = log.iter().rev().take(LINES).map(String::as_str);
        // What the Hub says of the end is often only the exit code, which the log explains.
        let said = message.and_then(sign);
        let certain = said.clone().filter(|it| it.fault != Fault::HostMemory);
        certain
            .or_else(|| lines.into_iter().find_map(sign))
            .or(said)
    }
}

fn sign(line: &str) -> Option<Diagnosis> {
    let lower = line.to_ascii_lowercase();
    let found = SIGNS
        .iter()
        .find(|(_, signs)| signs.iter().any(|sign| lower.contains(sign)));
    found.map(|(fault, _)| Diagnosis {
        fault: *fault,
        line: line.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", Fault::CardMemory; "card")]
    #[test_case("huggingface_hub.errors.GatedRepoError: 403 Client Error.", Fault::GatedModel; "gated")]
    #[test_case("ModuleNotFoundError: No module named 'bitsandbytes'", Fault::Module; "module")]
    #[test_case("TypeError: SFTConfig.__init__() got an unexpected keyword argument 'max_seq_length'", Fault::Argument; "argument")]
    #[test_case("train.py: error: unrecognized arguments: --fast", Fault::Argument; "flag")]
    #[test_case("huggingface_hub.errors.HfHubHTTPError: 403 Forbidden: you must use a write token", Fault::Permission; "permission")]
    #[test_case("RepositoryNotFoundError: 401 Client Error.", Fault::Repository; "repository")]
    #[test_case("RuntimeError: No CUDA GPUs are available", Fault::NoCard; "no card")]
    #[test_case("OSError: [Errno 28] No space left on device", Fault::Disk; "disk")]
    #[test_case("  x No solution found when resolving script dependencies:", Fault::Packages; "packages")]
    fn failures_are_told_by_their_lines(line: &str, fault: Fault) {
        let log = ["begun".to_owned(), line.to_owned(), "    raise".to_owned()];
        assert_eq!(Diagnosis::of(None, &log).unwrap().fault, fault);
        let exit = Some("Job failed with exit code: 1");
        assert_eq!(Diagnosis::of(exit, &log).unwrap().line, line);
    }

    #[test]
    fn what_the_hub_says_of_the_end_counts() {
        let log = ["ConnectionError: retrying".to_owned()];
        let fault = |message: &str, log: &[String]| {
            Diagnosis::of(Some(message), log).map(|diagnosis| diagnosis.fault)
        };
        assert_eq!(fault("Job timeout", &log), Some(Fault::Timeout));
        assert_eq!(
            fault("Job failed with exit code: 137", &[]),
            Some(Fault::HostMemory)
        );
        assert_eq!(fault("Job failed with exit code: 1", &[]), None);
    }
}
