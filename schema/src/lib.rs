//! The nouns that cross a crate line or reach disk.
//!
//! Types here are valid by construction and carry serde; what is done with them belongs to the
//! crates above. Read the modules in this order: they follow an evaluation from the people who
//! speak to the decision that falls; `training` has the nouns of a training run.

mod digest;
pub mod finetune;
mod name;
pub mod range;
mod seed;
pub mod yaml;

mod chat;
mod message;
mod model_ref;
mod persona;
mod sampling;

mod comparison;
mod conversation;
mod cost;
mod decision;
mod evaluation;
mod event;
mod field_difference;
mod human;
mod influence;
mod judging;
mod look;
mod pairwise;
mod plan;
mod preflight_finding;
mod ranking;
mod regression;
mod run_difference;
mod safety;
mod score;
mod simulator_audit;
mod trend;

mod candidates;
mod package;
mod training;

pub use candidates::{
    CandidateEvaluation, CandidateLineage, CandidatePool, CandidateResult, CandidateSanity,
    CandidateState, CandidateStep, CandidateTable, CandidateTraining, EarlierConfirmation,
    Unconfirmed,
};
pub use chat::{ChatReply, ChatRequest, FinishReason, ResponseSchema, Usage};
pub use comparison::{
    BootstrapMethod, CandidateComparison, CategoryComparison, Comparison, CriterionComparison,
    LengthAdjusted, ModelSummary, NaiveTest, PersonaPair, PowerPoint,
};
pub use conversation::{Conversation, ConversationId, Termination, Turn};
pub use cost::{CallSums, Cost, CostPart, Currency, Tally};
pub use decision::{Decision, Reason, Verdict};
pub use digest::Digest;
pub use evaluation::Evaluation;
pub use event::{CallRole, Event, ServerPlaces};
pub use field_difference::FieldDifference;
pub use human::{
    HumanAgreement, HumanAnswer, HumanCheck, HumanConflict, HumanDifference, HumanGrade,
    HumanLabel, HumanRater, HumanValue, InvalidAnswer,
};
pub use influence::{LeaveOneOut, VerdictChange};
pub use judging::{
    Aggregate, Aggregation, Ask, CriterionAgreement, JudgeCalls, JudgeGrade, JudgeSummary,
    JudgedModel, JudgingRule, JudgingSummary, Raters,
};
pub use look::{InterimLook, InterimNumbers, LookOutcome, PoolLook};
pub use message::{Message, Role};
pub use model_ref::{ModelRef, ModelSource, ServedAdapter, ServedIdentity};
pub use name::{CriterionId, InvalidName, ModelName, PersonaId, ProjectName, RubricName, SpecName};
pub use package::{Package, PackagedAdapter};
pub use pairwise::{
    Choice, JudgedPair, LengthPreference, PairAnswer, PairJudgement, PairwiseComparison,
    PairwiseJudge, PairwiseSummary, Preference, ScoreAgreement,
};
pub use persona::{
    Cooperation, Disclosure, DisclosurePolicy, Emotion, Fact, Goal, Knowledge, Length, Manner,
    Need, Persona, Register, Risk, Situation, Style,
};
pub use plan::{
    DatasetRef, EarlyStopping, Gate, JudgePlan, MissingRule, PersonaPlan, Plan, RubricRef,
    SimulatorPlan, SpecRef,
};
pub use preflight_finding::PreflightFinding;
pub use ranking::{ModelPair, RankedModel, Ranking};
pub use regression::{CandidateRegression, NoWorse, Regression, RegressionRule};
pub use run_difference::{
    Aspect, AspectDifference, ComparedRun, Gain, ModelDifference, RunDifference, ScoreDifference,
};
pub use safety::{CleanRecord, GradedSafety, SafetyComparison, SafetyViolation, ZeroEvents};
pub use sampling::Sampling;
pub use score::{ConversationScore, CriterionScore, Outcome};
pub use seed::{EVALUATION_SEEDS_START, InvalidSeed, Split, TRAINING_SEEDS};
pub use simulator_audit::{
    AuditedModel, FlagComparison, SimulatorAudit, SimulatorAuditRule, SimulatorFlag,
    SimulatorFlagKind,
};
pub use training::{
    Artefact, BaseModel, BestStep, EarlyStoppingArgs, EarlyStoppingAttributes,
    EarlyStoppingCallback, ForecastDevice, ForecastKnob, ForecastPart, MemoryForecast, MemoryPart,
    MemoryReport, MemoryUse, StatefulCallbacks, TokenCounts, TrainerState, TrainerVersion,
    TrainingDataReport, TrainingEnding, TrainingEvent, TrainingLineage, TrainingLogEntry,
    TrainingMetrics, TrainingPlan, TrainingReport, TrainingWarning,
};
pub use trend::{InvalidMetric, ModelTrend, Trend, TrendMetric, TrendPoint, TrendSeries};
