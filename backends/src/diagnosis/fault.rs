/// A kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The card has too little memory.
    CardMemory,
    /// The model must be asked for.
    GatedModel,
    /// The token may not write.
    Permission,
    /// A repository, file or revision is not there.
    Repository,
    /// There is no token, or it is not valid.
    Token,
    /// `uv` is missing.
    NoUv,
    /// A Python package is missing.
    Module,
    /// The packages do not go together.
    Packages,
    /// An argument or setting is not known.
    Argument,
    /// The chat template does not say what the assistant's tokens are.
    Template,
    /// A loss is not a number.
    NotFinite,
    /// The data is wrong for the model.
    Data,
    /// The machine has no card, or not such a one.
    NoCard,
    /// The disk is full.
    Disk,
    /// The machine has too little memory.
    HostMemory,
    /// The time limit was reached.
    Timeout,
    /// A process of several waited for another too long.
    ProcessTimeout,
    /// A site did not answer.
    Network,
    /// Somebody ended it.
    Killed,
}

/// Where a script failed, which decides how it is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// A training script of ours, on this machine.
    Here,
    /// A training script of ours, as a job.
    TrainingJob,
    /// A script of the user's, as a job.
    Job,
}
