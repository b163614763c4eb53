use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{FinishReason, Message, ModelName, PersonaId, Role};

/// Names a conversation by its content: which model, which persona, which repeat.
///
/// As text `model/persona/repeat`: only the model may hold `/`, so the last two are the separators
/// and no two conversations share a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConversationId {
    /// The model spoken with.
    pub model: ModelName,
    /// The persona who speaks.
    pub persona: PersonaId,
    /// Which of the persona's conversations, from 1.
    pub repeat: u32,
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.model, self.persona, self.repeat)
    }
}

/// A finished conversation: what was said and why it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// Which conversation this is.
    pub id: ConversationId,
    /// What was said, the person first; the system prompt is the plan's.
    pub turns: Vec<Turn>,
    /// Why it ended.
    pub termination: Termination,
    /// What went wrong, for the terminations that are failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Conversation {
    /// Returns what the assistant said, in order.
    pub fn replies(&self) -> impl Iterator<Item = &str> {
        self.turns
            .iter()
            .filter(|t| t.role == Role::Assistant)
            .map(|t| t.content.as_str())
    }

    /// Returns the turns as chat messages.
    pub fn messages(&self) -> Vec<Message> {
        self.turns
            .iter()
            .map(|t| Message::new(t.role, t.content.clone()))
            .collect()
    }
}

/// One thing said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Who spoke: the user or the assistant.
    pub role: Role,
    /// What was said.
    pub content: String,
    /// The assistant's reasoning, where it was told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Why the assistant's reply ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
}

/// Why a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Termination {
    /// The person's success test was met.
    UserSatisfied,
    /// The person's give-up test was met.
    UserGaveUp,
    /// The plan's number of turns was reached.
    TurnLimit,
    /// The model's context was full.
    ContextLimit,
    /// The model under test failed.
    ModelError,
    /// The user simulator failed.
    SimulatorError,
    /// A call took longer than the plan allows.
    Timeout,
}

impl Termination {
    /// All of them, in the order reports list them.
    pub const ALL: [Self; 7] = [
        Self::UserSatisfied,
        Self::UserGaveUp,
        Self::TurnLimit,
        Self::ContextLimit,
        Self::ModelError,
        Self::SimulatorError,
        Self::Timeout,
    ];

    /// Tells whether the conversation says something of the model; if not, it counts as missing.
    pub fn is_complete(self) -> bool {
        !matches!(
            self,
            Self::ModelError | Self::SimulatorError | Self::Timeout
        )
    }

    /// Returns the words for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::UserSatisfied => "user satisfied",
            Self::UserGaveUp => "user gave up",
            Self::TurnLimit => "turn limit",
            Self::ContextLimit => "context limit",
            Self::ModelError => "model error",
            Self::SimulatorError => "simulator error",
            Self::Timeout => "timeout",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ConversationId;
    use crate::{ModelName, PersonaId};

    #[test]
    fn the_text_of_an_id_is_read_from_its_end() {
        let id = ConversationId {
            model: ModelName::new("lab/model/1").unwrap(),
            persona: PersonaId::new("anna 2").unwrap(),
            repeat: 3,
        };
        let text = id.to_string();
        let parts: Vec<&str> = text.rsplitn(3, '/').collect();
        assert_eq!(parts, ["3", "anna 2", "lab/model/1"]);
    }
}
