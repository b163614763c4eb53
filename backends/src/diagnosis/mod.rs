//! Why scripts fail, here and at the Hub, by what they and the Hub say.

mod fault;
mod table;

pub use fault::{Fault, Where};

use self::table::{Entry, TABLE};

/// Lines of a log's end that are looked at.
pub(crate) const LINES: usize = 400;

/// Most characters of a line that are quoted.
const QUOTED: usize = 400;

/// The exit code of a shell's child that was killed.
const KILLED: i32 = 128 + 9;

impl Fault {
    /// Returns its name for JSON.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Says how to mend it; empty if nobody knows, or if what is said tells.
    pub fn mend(self, place: Where) -> &'static str {
        let entry = self.entry();
        match place {
            Where::Here => entry.here,
            Where::TrainingJob => entry.training_job,
            Where::Job => entry.job,
        }
    }

    fn entry(self) -> &'static Entry {
        let found = TABLE.iter().find(|entry| entry.fault == self);
        found.expect("every fault is in the table")
    }
}

/// Why a script failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The kind of failure.
    pub fault: Fault,
    /// The line that shows it, from elsewhere and perhaps hostile.
    pub line: String,
}

impl Diagnosis {
    /// Looks at what the Hub says of the end, if it says anything, then at the last lines of the log.
    ///
    /// The last line that names an error counts; if it is none that is known, any line of the end does, the most telling
    /// kind first: what fails last is often only what follows.
    pub fn of<S: AsRef<str>>(message: Option<&str>, log: &[S]) -> Option<Self> {
        // What the Hub says of the end is often only the exit code, which the log explains.
        let said = message.and_then(sign);
        let certain = said.clone().filter(|it| it.fault != Fault::HostMemory);
        let of_log = || {
            let last = log.len().saturating_sub(LINES);
            let log = &log[last..];
            last_error(log).and_then(sign).or_else(|| most_telling(log))
        };
        certain.or_else(of_log).or(said)
    }

    /// The same for a process of this machine, by its exit code where it left no words.
    pub fn of_process<S: AsRef<str>>(log: &[S], exit_code: Option<i32>) -> Option<Self> {
        Self::of(None, log).or_else(|| {
            (exit_code == Some(KILLED)).then(|| Self {
                fault: Fault::Killed,
                line: last_words(log),
            })
        })
    }
}

/// Returns the last line that names an error, else the last that says anything; not more than is quoted.
pub(crate) fn last_words<S: AsRef<str>>(log: &[S]) -> String {
    let texts = log.iter().rev().map(|line| line.as_ref().trim());
    let last = last_error(log).or_else(|| texts.into_iter().find(|line| !line.is_empty()));
    last.unwrap_or_default().chars().take(QUOTED).collect()
}

fn last_error<S: AsRef<str>>(log: &[S]) -> Option<&str> {
    let is_error = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
        is_name
            && line.contains(':')
            && ["Error", "Exception", "error"]
                .iter()
                .any(|end| name.ends_with(end))
            // Of several processes the launcher speaks last, and says only that one failed.
            && name != "ChildFailedError"
    };
    let mut texts = log.iter().rev().map(|line| line.as_ref().trim());
    texts.find(is_error)
}

fn most_telling<S: AsRef<str>>(log: &[S]) -> Option<Diagnosis> {
    let found: Vec<Diagnosis> = log
        .iter()
        .rev()
        .filter_map(|line| sign(line.as_ref()))
        .collect();
    let rank = |fault: Fault| TABLE.iter().position(|entry| entry.fault == fault);
    found
        .into_iter()
        .min_by_key(|diagnosis| rank(diagnosis.fault))
}

fn sign(line: &str) -> Option<Diagnosis> {
    let lower = line.to_ascii_lowercase();
    let shows = |entry: &&Entry| entry.signs.iter().any(|sign| lower.contains(sign));
    TABLE.iter().find(shows).map(|entry| Diagnosis {
        fault: entry.fault,
        line: line.chars().take(QUOTED).collect(),
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    // Lines as the programs of today write them.
    #[test_case("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 8.59 GiB. GPU 0 has a total capacity of 23.68 GiB", Fault::CardMemory; "card")]
    #[test_case("huggingface_hub.errors.GatedRepoError: 403 Client Error. Cannot access gated repo for url", Fault::GatedModel; "gated")]
    #[test_case("huggingface_hub.errors.HfHubHTTPError: 403 Forbidden: you must use a write token to upload to a repository", Fault::Permission; "permission")]
    #[test_case("RepositoryNotFoundError: 401 Client Error.", Fault::Repository; "repository")]
    #[test_case("huggingface_hub.errors.RepositoryNotFoundError: 404 Client Error.", Fault::Repository; "no such model")]
    #[test_case("ModuleNotFoundError: No module named 'bitsandbytes'", Fault::Module; "module")]
    #[test_case("  x No solution found when resolving script dependencies:", Fault::Packages; "packages")]
    #[test_case("TypeError: SFTConfig.__init__() got an unexpected keyword argument 'max_seq_length'", Fault::Argument; "argument")]
    #[test_case("train.py: error: unrecognized arguments: --fast", Fault::Argument; "flag")]
    #[test_case("shipworthy-trainer: 5: uv: not found", Fault::NoUv; "uv")]
    #[test_case("ValueError: The chat template is not training-compatible (missing prefix-preservation or `{% generation %}` markers) and patching is not supported for this template.", Fault::Template; "template")]
    #[test_case("FloatingPointError: the loss is not a number at step 7", Fault::NotFinite; "loss")]
    #[test_case("ValueError: 3 of 9 examples of t.jsonl have more than max_length 20 tokens, the first in row 2; raise", Fault::Data; "length")]
    #[test_case("RuntimeError: No CUDA GPUs are available", Fault::NoCard; "no card")]
    #[test_case("OSError: [Errno 28] No space left on device", Fault::Disk; "disk")]
    #[test_case("RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried", Fault::HostMemory; "memory of the machine")]
    fn failures_are_told_by_their_lines(line: &str, fault: Fault) {
        let log = [
            "begun",
            "  File \"train.py\", line 3",
            line,
            "    raise",
            "",
        ];
        let told = Diagnosis::of(None, &log).unwrap();
        assert_eq!((told.fault, told.line.as_str()), (fault, line));
        let exit = Some("Job failed with exit code: 1");
        assert_eq!(Diagnosis::of(exit, &log), Some(told.clone()));
        assert_eq!(Diagnosis::of_process(&log, Some(1)), Some(told));
        for place in [Where::Here, Where::TrainingJob, Where::Job] {
            assert_eq!(fault.mend(place).is_empty(), fault == Fault::Data);
        }
    }

    #[test]
    fn what_the_hub_says_of_the_end_counts() {
        let log = ["ConnectionError: retrying"];
        let fault = |message: &str, log: &[&str]| {
            Diagnosis::of(Some(message), log).map(|diagnosis| diagnosis.fault)
        };
        assert_eq!(fault("Job timeout", &log), Some(Fault::Timeout));
        assert_eq!(
            fault("Job failed with exit code: 137", &[]),
            Some(Fault::HostMemory)
        );
        assert_eq!(fault("Job failed with exit code: 1", &[]), None);
    }

    #[test]
    fn what_fails_last_is_told_and_not_what_was_passed_over() {
        let passed_over = [
            "ImportWarning: No module named 'flash_attn', going on without",
            "OSError: [Errno 28] No space left on device",
        ];
        assert_eq!(
            Diagnosis::of(None, &passed_over).unwrap().fault,
            Fault::Disk
        );
        // An error that nobody knows says nothing; what is known of the end does.
        let unknown = [
            "torch.OutOfMemoryError: CUDA out of memory.",
            "During handling of the above exception, another exception occurred:",
            "KeyError: 'frobnicate'",
        ];
        assert_eq!(
            Diagnosis::of(None, &unknown).unwrap().fault,
            Fault::CardMemory
        );
        assert_eq!(Diagnosis::of(None, &["KeyError: 'frobnicate'"]), None);
    }

    #[test]
    fn a_killed_script_leaves_no_words() {
        let told = Diagnosis::of_process(&["{\"shipworthy\": \"step\"}"], Some(137));
        assert_eq!(told.unwrap().fault, Fault::Killed);
        assert_eq!(Diagnosis::of_process::<&str>(&[], None), None);
        assert_eq!(last_words::<&str>(&[]), "");
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
        assert_eq!(
            Diagnosis::of_process(&log, Some(1)).unwrap().fault,
            Fault::NoCard
        );
        assert!(last_words(&log).starts_with("ValueError: the configuration"));
    }
}
