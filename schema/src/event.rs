use serde::{Deserialize, Serialize};

use crate::{ConversationId, ModelName, Outcome, Termination, Usage};

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

/// How many calls a server has at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerPlaces {
    /// Calls under way.
    pub in_use: u32,
    /// The most that it is given now.
    pub limit: u32,
}

/// Something that happened during an evaluation; the live view and the log read these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The run has a name.
    RunStarted {
        /// Its id.
        run: String,
    },
    /// Conversations begin, or go on after a look at them; all that are planned so far end from here
    /// on, the ones that ended before as stored.
    SimulationStarted {
        /// Conversations planned so far, with all models.
        conversations: u32,
    },
    /// A model answered.
    CallFinished {
        /// Whose call.
        role: CallRole,
        /// The model's name in the project.
        model: ModelName,
        /// Tokens.
        usage: Usage,
        /// Its server after the call; `None` where no call was made.
        places: Option<ServerPlaces>,
        /// Whether the reply came from the store instead of a model.
        stored: bool,
    },
    /// A call failed and will be made again.
    CallRetried {
        /// Whose call.
        role: CallRole,
        /// The model's name in the project.
        model: ModelName,
        /// What went wrong.
        error: String,
        /// Milliseconds until then; 0 where the server gets a pause of its own.
        wait_ms: u64,
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
        /// Whether it was held before, by this run or an earlier one.
        stored: bool,
    },
    /// A conversation has its scores.
    ConversationScored {
        /// Which.
        id: ConversationId,
        /// Overall score.
        overall: Outcome,
        /// Whether it had them before, from this run or an earlier one.
        stored: bool,
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
