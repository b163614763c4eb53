use serde::Serialize;
use serde_json::{Map, Value};
use shipworthy_schema::{Conversation, Message, ModelName, Persona, PersonaId, Plan, Role};

/// A conversation to learn from: OpenAI messages, and where they are from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainingRow {
    /// The system prompt, if there is one, then user and assistant in turn; a reply is last.
    pub messages: Vec<Message>,
    /// `persona/repeat`.
    pub id: String,
    /// Who speaks.
    pub persona: PersonaId,
    /// Their seed.
    pub seed: u32,
    /// Which of their conversations, from 1.
    pub repeat: u32,
    /// Who answers.
    pub teacher: ModelName,
    /// First digits of the plan's digest.
    pub plan: String,
    /// The rubric's overall score, in [0, 1].
    pub score: f64,
}

impl TrainingRow {
    /// Makes a row of a conversation; what the person says after the last reply is left out, and so is
    /// reasoning.
    pub(super) fn of(
        plan: &Plan,
        system_prompt: Option<&str>,
        persona: &Persona,
        conversation: &Conversation,
        score: f64,
    ) -> Self {
        let turns = &conversation.turns;
        let last = turns.iter().rposition(|turn| turn.role == Role::Assistant);
        let said = &turns[..last.map_or(0, |last| last + 1)];
        let system = system_prompt.map(|text| Message::new(Role::System, text));
        let said = said
            .iter()
            .map(|turn| Message::new(turn.role, turn.content.clone()));
        let id = &conversation.id;
        Self {
            messages: system.into_iter().chain(said).collect(),
            id: format!("{}/{}", id.persona, id.repeat),
            persona: id.persona.clone(),
            seed: persona.seed,
            repeat: id.repeat,
            teacher: id.model.clone(),
            plan: plan.digest().short().to_owned(),
            score,
        }
    }

    /// Returns the row as a line of JSON.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("a row is plain data") + "\n"
    }

    /// Returns the row's fields.
    pub(super) fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => unreachable!("a struct is an object"),
        }
    }
}
