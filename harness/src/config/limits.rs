use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Count;

/// What a run may cost in repetitions and time; no part of the plan, so a resumed run may have
/// others.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Tries of one call that fails, the first included.
    pub tries: Count,
    /// Repeated calls of one conversation.
    pub conversation_retries: Count,
    /// Seconds to wait for a server that is away, or takes no calls.
    pub patience_s: Count,
    /// Seconds after which a run ends, to be resumed; none if left out.
    pub deadline_s: Option<Count>,
}

impl Default for Limits {
    fn default() -> Self {
        let count = |n| Count::new(n).expect("a default is above 0");
        Self {
            tries: count(6),
            conversation_retries: count(30),
            patience_s: count(300),
            deadline_s: None,
        }
    }
}

impl Limits {
    /// Returns how long to wait for a server that is away.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(u64::from(self.patience_s.get()))
    }
}
