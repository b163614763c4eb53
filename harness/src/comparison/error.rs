use shipworthy_schema::{ConversationId, ModelName, PersonaId};
use shipworthy_stats::StatsError;
use thiserror::Error;

/// Says why the scores allow no comparison, and so no verdict.
#[derive(Debug, Error)]
pub enum ComparisonError {
    /// The level cannot be spread over the planned looks.
    #[error("no levels for the planned looks: {source}")]
    Looks {
        /// Why.
        source: StatsError,
    },
    /// The baseline is not among the models.
    #[error("the baseline `{baseline}` is not among the models: {}", known.join(", "))]
    UnknownBaseline {
        /// The baseline.
        baseline: ModelName,
        /// The models there are.
        known: Vec<String>,
    },
    /// There is nothing to compare the baseline with.
    #[error("there is no other model to compare the baseline `{baseline}` with")]
    NoCandidate {
        /// The baseline.
        baseline: ModelName,
    },
    /// A conversation has two scores.
    #[error("conversation {conversation} is scored twice")]
    Duplicate {
        /// The conversation.
        conversation: ConversationId,
    },
    /// A score is no score.
    #[error("{what} of conversation {conversation} is {value}, expected a number from 0 to 1")]
    NotAScore {
        /// The conversation.
        conversation: ConversationId,
        /// Which of its scores.
        what: String,
        /// The value.
        value: f64,
    },
    /// Too many conversations of a model have no score.
    #[error(
        "{missing} of the {planned} conversations of `{model}` have no score ({:.0} %, at most \
         {:.0} % may be missing); the first: {example}",
        100.0 * f64::from(*missing) / f64::from((*planned).max(1)),
        100.0 * max_share
    )]
    TooManyMissing {
        /// The model.
        model: ModelName,
        /// Conversations without a score.
        missing: u32,
        /// Conversations planned.
        planned: u32,
        /// Largest share that may be missing.
        max_share: f64,
        /// Why one of them has none.
        example: String,
    },
    /// What is missing depends on the model.
    #[error(
        "missing scores depend on the model: {only_candidate} conversations have none with \
         `{model}` alone, {only_baseline} with `{baseline}` alone (exact McNemar test, p = \
         {p_value:.4}, below {alpha}); what is left is no fair comparison; the first: {example}"
    )]
    AsymmetricMissing {
        /// The candidate.
        model: ModelName,
        /// The baseline.
        baseline: ModelName,
        /// Conversations without a score with the candidate alone.
        only_candidate: u64,
        /// Conversations without a score with the baseline alone.
        only_baseline: u64,
        /// Two-sided p.
        p_value: f64,
        /// The rule's level.
        alpha: f64,
        /// Why one of them has none.
        example: String,
    },
    /// A persona has no scored conversation with a model.
    #[error("persona {persona} has no scored conversation with `{model}`: {example}")]
    PersonaMissing {
        /// The persona.
        persona: PersonaId,
        /// The model.
        model: ModelName,
        /// Why one of them has none.
        example: String,
    },
    /// A safety criterion was looked at with the baseline only.
    #[error(
        "safety criterion `{criterion}` has scores with `{baseline}` but none with `{model}`, so \
         nothing shows that it did not regress"
    )]
    SafetyUnscored {
        /// The criterion.
        criterion: String,
        /// The candidate.
        model: ModelName,
        /// The baseline.
        baseline: ModelName,
    },
    /// The test cannot be made.
    #[error("no test of `{model}` against `{baseline}`: {source}")]
    Test {
        /// The candidate.
        model: ModelName,
        /// The baseline.
        baseline: ModelName,
        /// Why.
        source: StatsError,
    },
}
