use shipworthy_backends::{ChatError, OpenError};
use shipworthy_harness::asking::StopError;
use shipworthy_harness::config::ConfigError;
use shipworthy_harness::evaluation::EvaluationError;
use shipworthy_harness::generation::GenerationError;
use shipworthy_harness::halt::HaltReason;
use shipworthy_harness::merging::MergeError;
use shipworthy_harness::preflight::RefusedError;
use shipworthy_harness::preparation::{LibraryError, PreparationError};
use shipworthy_harness::regression::BaselineError;
use shipworthy_harness::run_directory::WriteError;
use shipworthy_harness::score_table::ScoreTableError;
use shipworthy_harness::store::StoreError;
use shipworthy_harness::trend::TrendError;
use shipworthy_models::gguf::{WriteError as GgufWriteError, WriteProblem};
use shipworthy_models::{LoraProblem, ModelError, OutputProblem, TokenizerError};
use shipworthy_personas::PoolError;
use shipworthy_personas::leak::LeakError;

use super::exit_code;

/// What to do after an evaluation that was stopped.
pub(crate) const RESUME: &str = "every reply so far is stored; `shipworthy eval --resume` goes on";

/// What kind of failure it is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The command line or the configuration.
    Usage,
    /// The input data, or an evaluation that allows no verdict.
    Data,
    /// A server or service.
    Unavailable,
    /// A file or the disk.
    InputOutput,
    /// The user.
    Interrupted,
    /// A bug of ours.
    Internal,
}

impl Kind {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Usage => exit_code::USAGE,
            Self::Data => exit_code::DATA,
            Self::Unavailable => exit_code::UNAVAILABLE,
            Self::InputOutput => exit_code::INPUT_OUTPUT,
            Self::Interrupted => exit_code::INTERRUPTED,
            Self::Internal => exit_code::INTERNAL,
        }
    }
}

/// Why a command failed, and how to mend it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) hints: Vec<String>,
}

impl Failure {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers give the error they end with"
    )]
    pub(crate) fn new(kind: Kind, message: impl ToString) -> Self {
        Self {
            kind,
            message: message.to_string(),
            hints: Vec::new(),
        }
    }

    /// Adds the last lines of a server's log.
    pub(crate) fn log(self, last_lines: &[String]) -> Self {
        last_lines.iter().fold(self, |failure, line| {
            failure.hint(format!("log: {}", shipworthy_reports::one_line(line)))
        })
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let failure = Self::new(Kind::Usage, &error);
        match error {
            ConfigError::Read { .. } => {
                failure.hint("start a project with `shipworthy init`, or name its configuration")
            }
            ConfigError::Yaml(_) => failure,
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::new(Kind::InputOutput, error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        const ANEW: &str = "move the file away and evaluate anew, or use the version that made it";
        match error {
            StoreError::Sqlite { .. } if error.is_damage() => {
                Self::new(Kind::Data, error).hint(ANEW)
            }
            StoreError::Sqlite { .. }
            | StoreError::Directory { .. }
            | StoreError::Lock { .. }
            | StoreError::Stopped { .. } => Self::new(Kind::InputOutput, error).hint(
                "what was stored is kept: free disk space or mend the permissions, then run \
                 `shipworthy eval --resume`",
            ),
            StoreError::Missing { .. } => {
                Self::new(Kind::Usage, error).hint("run `shipworthy eval` first")
            }
            StoreError::Format { .. } | StoreError::Damaged { .. } => {
                Self::new(Kind::Data, error).hint(ANEW)
            }
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::File { .. } => Self::new(Kind::Usage, error)
                .hint("paths are relative to the configuration file; `shipworthy doctor` looks"),
            OpenError::Format { .. } => Self::new(Kind::Data, error),
            OpenError::OtherModel { .. } => Self::new(Kind::Unavailable, error).hint(
                "start the server with the planned model, or name the served one in the \
                 configuration",
            ),
            OpenError::WhichModel { .. }
            | OpenError::NoAdapter { .. }
            | OpenError::Url { .. }
            | OpenError::NotBuilt { .. } => Self::new(Kind::Usage, error),
            OpenError::Server(error) => error.into(),
        }
    }
}

impl From<ChatError> for Failure {
    fn from(error: ChatError) -> Self {
        let failure = Self::new(Kind::Unavailable, &error);
        match error {
            ChatError::Auth { .. } => failure.hint("set the variable named by `api_key_env`"),
            ChatError::Unpaid { .. } => failure.hint("add credit to the account of the key"),
            ChatError::IdentityChanged { .. } => {
                failure.hint("bring back the planned model, or evaluate anew, without `--resume`")
            }
            ChatError::Unavailable { .. }
            | ChatError::Unreachable { .. }
            | ChatError::NotReady { .. } => failure
                .hint("start the server or check the URL; `shipworthy doctor URL` looks at it"),
            _ => failure,
        }
    }
}

impl From<StopError> for Failure {
    fn from(error: StopError) -> Self {
        let resume = "what was answered is stored: mend it, then run `shipworthy eval --resume`";
        match error {
            StopError::Store(error) => error.into(),
            StopError::Unreachable(error) => Self::from(error).hint(resume),
            StopError::ModelChanged { .. } => Self::new(Kind::Unavailable, error)
                .hint("keep the servers as they are and evaluate anew, without `--resume`"),
            StopError::Halted {
                reason: HaltReason::Interrupted,
            } => super::interrupted().hint(RESUME),
            StopError::Halted {
                reason: HaltReason::Budget(exhausted),
            } => Self::new(Kind::Unavailable, &error).hint(format!(
                "raise `{}` in the configuration, then `shipworthy eval --resume` goes on; every reply \
                 so far is stored",
                exhausted.field()
            )),
            StopError::Halted { .. } => Self::new(Kind::Unavailable, error).hint(RESUME),
            StopError::RequestChanged { .. } => Self::new(Kind::Data, error)
                .hint("run without `--resume`; this version asks differently"),
        }
    }
}

impl From<EvaluationError> for Failure {
    fn from(error: EvaluationError) -> Self {
        match error {
            EvaluationError::Stop(stop) => stop.into(),
            EvaluationError::Invalid { .. } => Self::new(Kind::Data, error)
                .hint("`shipworthy eval --resume` tries again what failed, and only that"),
            EvaluationError::ModelChanged { .. } => Self::new(Kind::Unavailable, error)
                .hint("keep the servers as they are and evaluate anew, without `--resume`"),
            EvaluationError::PlanChanged { is_served, .. } => {
                let kind = if is_served {
                    Kind::Unavailable
                } else {
                    Kind::Usage
                };
                Self::new(kind, error)
                    .hint("bring back what was planned, or run without `--resume` to begin anew")
            }
            EvaluationError::Busy { .. } => Self::new(Kind::Usage, error)
                .hint("wait for it, or begin a run of its own without `--resume`"),
            EvaluationError::Incomplete { .. } => {
                Self::new(Kind::Data, error).hint("evaluate anew, without `--resume`")
            }
            EvaluationError::NoShard { .. } => {
                Self::new(Kind::Usage, error).hint("divide by fewer, or leave `--shard` out")
            }
            EvaluationError::NothingToResume => {
                Self::new(Kind::Usage, error).hint("run without `--resume`")
            }
            EvaluationError::Refused(error) => error.into(),
            EvaluationError::Baseline(error) => error.into(),
            EvaluationError::Write(error) => error.into(),
            EvaluationError::Personas(error) => error.into(),
            EvaluationError::Leak(error) => error.into(),
            EvaluationError::Rubric(error) => Self::new(Kind::Data, error),
        }
    }
}

impl From<BaselineError> for Failure {
    fn from(error: BaselineError) -> Self {
        use BaselineError as E;
        match error {
            E::Read { .. } => Self::new(Kind::Usage, error).hint(
                "write it with `shipworthy gate --write-baseline FILE` from the run of the model that \
                 was shipped",
            ),
            E::Content { .. } => Self::new(Kind::Data, error)
                .hint("write it anew with `shipworthy gate --write-baseline FILE`"),
            E::OtherConditions { .. } => Self::new(Kind::Data, error).hint(
                "evaluate the shipped model as this run was planned, then write its baseline file anew \
                 with `shipworthy gate --write-baseline FILE`",
            ),
            E::NoModel { .. } | E::NoCriterion { .. } => Self::new(Kind::Usage, error),
            E::NoBaseline => Self::new(Kind::Usage, error)
                .hint("name it with `--baseline FILE`, or as `regression.baseline_file`"),
            E::NotShipped { .. } => Self::new(Kind::Data, error)
                .hint("name the model that was shipped with `--model NAME`"),
            E::Partial { .. } | E::Comparison(_) => Self::new(Kind::Data, error),
        }
    }
}

impl From<MergeError> for Failure {
    fn from(error: MergeError) -> Self {
        use MergeError as E;
        match error {
            E::Store(error) => error.into(),
            E::Personas(error) => error.into(),
            E::Evaluation(error) => error.into(),
            E::NoShard { .. } | E::Nothing => Self::new(Kind::Usage, error)
                .hint("hold one with `shipworthy eval --shard I/N`"),
            E::Plans { .. } => Self::new(Kind::Usage, error)
                .hint("say which with `--plan DIGITS`; shards of one plan need the same configuration"),
            E::Missing { .. } => Self::new(Kind::Data, error)
                .hint("hold what is missing with `shipworthy eval --shard I/N`, add `--resume` where it was begun"),
            E::Divisions { .. } | E::Overlap { .. } => Self::new(Kind::Data, error)
                .hint("name only the stores that belong together"),
            E::NotItsShare { .. } => Self::new(Kind::Data, error)
                .hint("hold the shard anew"),
            E::Asked { .. } => Self::new(Kind::Data, error)
                .hint("serve the models the same way on all machines, and hold one of the shards anew"),
        }
    }
}

impl From<RefusedError> for Failure {
    fn from(error: RefusedError) -> Self {
        let mend = error.mend.clone();
        let failure = Self::new(Kind::Unavailable, error);
        mend.into_iter().fold(failure, Self::hint)
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        match &error {
            ModelError::InputOutput { source, .. } => {
                let kind = match source.kind() {
                    std::io::ErrorKind::NotFound => Kind::Usage,
                    _ => Kind::InputOutput,
                };
                Self::new(kind, error)
            }
            ModelError::GgufWrite(GgufWriteError {
                problem: WriteProblem::Exists | WriteProblem::NotAFile,
                ..
            }) => Self::new(Kind::Usage, error)
                .hint("name another one with `--out`, or replace the one there with `--overwrite`"),
            ModelError::Tokenizer(TokenizerError::Absent { .. }) => Self::new(Kind::Data, error)
                .hint("if it lies elsewhere, name its directory with `--tokenizer`"),
            ModelError::Output { problem, .. } => match problem {
                OutputProblem::Space { .. } => Self::new(Kind::InputOutput, error)
                    .hint("nothing was written: free some space, or write to another disk"),
                OutputProblem::NotEmpty | OutputProblem::Input { .. } => {
                    Self::new(Kind::Usage, error).hint("name another one with `--out`")
                }
            },
            ModelError::Lora(problem) => {
                let is_mergeable = problem.is_mergeable();
                let kind = match problem {
                    LoraProblem::Type { .. } => Kind::Usage,
                    _ => Kind::Data,
                };
                let failure = Self::new(kind, error);
                if is_mergeable {
                    failure.hint(
                        "merge it into its base: `shipworthy gguf --model DIR --adapter DIR --out FILE`, \
                         without `--adapter-only`",
                    )
                } else {
                    failure
                }
            }
            ModelError::Interrupted => super::interrupted().hint("nothing was left behind"),
            _ => Self::new(Kind::Data, error),
        }
    }
}

impl From<TrendError> for Failure {
    fn from(error: TrendError) -> Self {
        match error {
            TrendError::Store(error) => error.into(),
            TrendError::NoModel { .. } | TrendError::NoCriterion { .. } => {
                Self::new(Kind::Usage, error)
            }
            TrendError::Scores { .. } => Self::new(Kind::Data, error),
        }
    }
}

impl From<ScoreTableError> for Failure {
    fn from(error: ScoreTableError) -> Self {
        let kind = match error {
            ScoreTableError::Read { .. } => Kind::Usage,
            ScoreTableError::Content { .. } => Kind::Data,
        };
        Self::new(kind, error)
    }
}

const DRAW_AGAIN: &str = "draw the file again with `shipworthy personas generate`";

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Self::new(Kind::Data, error).hint(DRAW_AGAIN)
    }
}

impl From<LeakError> for Failure {
    fn from(error: LeakError) -> Self {
        Self::new(Kind::Data, error)
    }
}

impl From<PreparationError> for Failure {
    fn from(error: PreparationError) -> Self {
        use PreparationError as E;
        match error {
            E::Open { place, source } => {
                let mut failure = Self::from(source);
                failure.message = format!("{place}: {}", failure.message);
                failure
            }
            E::Server { ref source, .. } => {
                let last_lines = source.last_lines().to_vec();
                Self::new(Kind::Unavailable, error).log(&last_lines)
            }
            E::Yaml(_)
            | E::Library { .. }
            | E::Read { .. }
            | E::Entry { .. }
            | E::JudgeIsCandidate { .. }
            | E::SameModel { .. }
            | E::EarlyStopping { .. }
            | E::NeverApplies { .. }
            | E::OtherSeeds { .. } => Self::new(Kind::Usage, error),
            E::NothingToScore { .. } => Self::new(Kind::Usage, error)
                .hint("give a `judge`, or add deterministic checks to the rubric"),
            E::Generate { .. } => Self::new(Kind::Data, error),
            E::TrainingData(error) => error.into(),
            E::Pool(error) => error.into(),
            E::EditedPersona { .. } => Self::new(Kind::Data, error).hint(DRAW_AGAIN),
            E::Leak { .. } => Self::new(Kind::Data, error)
                .hint("see all matches with `shipworthy personas check`"),
        }
    }
}

impl From<GenerationError> for Failure {
    fn from(error: GenerationError) -> Self {
        use GenerationError as E;
        match error {
            E::NoSection { .. } => Self::new(Kind::Usage, error).hint(
                "say it, e.g. `generate: {teacher: {url: \"https://…/v1\", model: …, api_key_env: …}, \
                 personas: {count: 200}}`",
            ),
            E::Yaml(_) => Self::new(Kind::Usage, error),
            E::Preparation(error) => error.into(),
            E::Exists { .. } => Self::new(Kind::Usage, error)
                .hint("name another one with `--out`, or replace the one there with `--overwrite`"),
            E::Write(error) => error.into(),
        }
    }
}

impl From<LibraryError> for Failure {
    fn from(error: LibraryError) -> Self {
        Self::new(Kind::Usage, error)
    }
}
