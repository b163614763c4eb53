use serde::{Deserialize, Serialize};

use crate::{ConversationId, Outcome, Termination, Usage};

/// Whose call it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallRole {
    /// The model under test.
    Model,
    /// The user simulator.
    Simulator,
    /// The judge.
    Judge,
}

/// Something that happened during an evaluation; the progress bar and the log read these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// Conversations begin.
    SimulationStarted {
        /// Conversations planned.
        conversations: u32,
        /// Of these, finished in an earlier process.
        already_done: u32,
    },
    /// A model answered.
    CallFinished {
        /// Whose call.
        role: CallRole,
        /// Tokens.
        usage: Usage,
        /// Whether the reply came from the store instead of a model.
        stored: bool,
    },
    /// A call failed and will be made again.
    CallRetried {
        /// Whose call.
        role: CallRole,
        /// What went wrong.
        error: String,
    },
    /// A server answers nobody any more; the run waits for it.
    ServerAway {
        /// Its base URL, or the name of the model that runs in this process.
        server: String,
        /// What went wrong.
        error: String,
    },
    /// A server that was away answers again.
    ServerBack {
        /// Its base URL, or the name of the model that runs in this process.
        server: String,
    },
    /// A conversation ended.
    ConversationFinished {
        /// Which.
        id: ConversationId,
        /// Why.
        termination: Termination,
    },
    /// A conversation has its scores.
    ConversationScored {
        /// Which.
        id: ConversationId,
        /// Overall score.
        overall: Outcome,
    },
    /// Pairs of whole conversations are judged from now on.
    PairsStarted {
        /// Pairs to judge.
        pairs: u32,
    },
    /// A pair of whole conversations was judged.
    PairJudged {
        /// The candidate's conversation.
        id: ConversationId,
    },
}
