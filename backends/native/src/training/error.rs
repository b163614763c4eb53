use std::fmt;
use std::path::{Path, PathBuf};

use shipworthy_models::ModelError;
use thiserror::Error;

use super::checkpoint::{CheckpointFault, Difference};
use super::options::MemoryKnob;
use crate::error::NativeError;
use crate::named_tensors::WriteFault;

/// How many examples a message names.
const NAMED: usize = 8;

/// Says why a model was not trained.
#[derive(Debug, Error)]
pub enum TrainingError {
    /// A setting nothing can be trained with.
    #[error("`{field}` is {found}, must be {expected}")]
    Option {
        /// Its name.
        field: &'static str,
        /// Its value.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// A part of the data has no example.
    #[error("the {split} data has no example")]
    EmptyData {
        /// Which: `training` or `evaluation`.
        split: &'static str,
    },
    /// A setting asks for held-out examples, and there are none.
    #[error("`{field}` needs evaluation data; give `eval_dataset` or leave `{field}` out")]
    NoEvaluationData {
        /// The setting's name.
        field: &'static str,
    },
    /// Training is to end when the held-out loss gets no better, and nobody looks at it.
    #[error("`early_stopping_patience` counts evaluations, and `eval_steps` is not set; set it")]
    NeverEvaluated,
    /// A batch would teach nothing.
    #[error("no token of a batch carries a label: {}; remove these examples, or let more of them be learnt", Named(.ids))]
    NoLabels {
        /// The batch's examples.
        ids: Vec<String>,
    },
    /// An example has another number of labels than of tokens.
    #[error("example `{id}` has {tokens} tokens and {labels} labels")]
    Ragged {
        /// The example.
        id: String,
        /// Its tokens.
        tokens: usize,
        /// Its labels.
        labels: usize,
    },
    /// A token the model does not know: the tokenizer is another model's.
    #[error(
        "example `{id}` has token {token}, and the model's vocabulary ends at {vocab_size}: the tokenizer does not fit the model"
    )]
    Vocabulary {
        /// The example.
        id: String,
        /// The token.
        token: u32,
        /// How many tokens the model knows.
        vocab_size: usize,
    },
    /// The output directory cannot be written to.
    #[error("failed to write to `{}`", path.display())]
    Output {
        /// The directory, or a file in it.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The output directory holds what an earlier run wrote.
    #[error("`{}` holds `{found}` of an earlier run; resume from its latest checkpoint or choose another directory", path.display())]
    OutputInUse {
        /// The directory.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// A file of a checkpoint cannot be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is nothing to go on from.
    #[error("`{}` has no checkpoint to resume from{}", path.display(), Skipped(.skipped))]
    NoCheckpoint {
        /// The directory.
        path: PathBuf,
        /// Checkpoints that are not whole.
        skipped: Vec<CheckpointFault>,
    },
    /// A checkpoint is not whole.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointFault),
    /// A checkpoint of another run.
    #[error("checkpoint `{}` is another run's: {}; resume with what it was made with, or begin anew elsewhere", path.display(), List(.differences))]
    Differs {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        differences: Vec<Difference>,
    },
    /// The loss or a gradient is no finite number.
    #[error("{what} is not finite at step {step}: {}; no weight was changed by this step. Look at these examples, or lower `learning_rate`", Named(.ids))]
    NotFinite {
        /// What: `the loss`, `the gradient` or `the evaluation loss`.
        what: &'static str,
        /// The step, from 1.
        step: usize,
        /// The examples that make it so.
        ids: Vec<String>,
    },
    /// The device has too little memory.
    #[error("out of memory {during}, with {tokens} tokens in {sequences} sequences{}", Knobs(.knobs))]
    OutOfMemory {
        /// When: `while the longest batch was tried`, say.
        during: &'static str,
        /// Tokens of the batch.
        tokens: usize,
        /// Sequences of the batch.
        sequences: usize,
        /// Settings that take less.
        knobs: Vec<MemoryKnob>,
        /// What the device says.
        source: NativeError,
    },
    /// A file of the base is wrong.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Computing failed.
    #[error(transparent)]
    Native(#[from] NativeError),
}

impl TrainingError {
    /// Returns what turns a failure to write `path` into an error.
    pub(crate) fn output(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Output { path, source }
    }

    /// Turns a failure to write tensors to `path` into an error.
    pub(crate) fn writing(path: &Path, fault: WriteFault) -> Self {
        match fault {
            WriteFault::Io(source) => Self::output(path)(source),
            WriteFault::Tensor(error) => error.into(),
        }
    }

    /// Returns what turns a failure to read `path` into an error.
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }
}

/// The first of some examples, and how many more there are.
struct Named<'a>(&'a [String]);

impl fmt::Display for Named<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, id) in self.0.iter().take(NAMED).enumerate() {
            write!(formatter, "{}`{id}`", if idx > 0 { ", " } else { "" })?;
        }
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(formatter, " and {more} more"),
        }
    }
}

/// Things one after another.
struct List<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, item) in self.0.iter().enumerate() {
            write!(formatter, "{}{item}", if idx > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

struct Skipped<'a>(&'a [CheckpointFault]);

impl fmt::Display for Skipped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|fault| write!(formatter, "; {fault}"))
    }
}

struct Knobs<'a>(&'a [MemoryKnob]);

impl fmt::Display for Knobs<'_> {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, knob) in self.0.iter().enumerate() {
            let before = if idx == 0 { "; " } else { ", " };
            let gibibytes = knob.saved_bytes as f64 / f64::from(1 << 30);
            write!(
                formatter,
                "{before}`{}` saves {gibibytes:.1} GiB",
                knob.setting
            )?;
        }
        Ok(())
    }
}
