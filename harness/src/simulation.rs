//! One conversation between a persona and a model under test.

use shipworthy_backends::ChatError;
use shipworthy_personas::simulator::{self, UserTurn, llm, rule_based};
use shipworthy_schema::{
    ChatReply, ChatRequest, Conversation, ConversationId, Message, Persona, Role, Sampling,
    Termination, Turn,
};

use crate::asking::{AskError, Asking, Speaker, StopError};
use crate::turn_seed::turn_seed;

/// How often a language model that plays a persona is asked again after a fault, per turn.
pub(crate) const SIMULATOR_REPAIRS: u32 = 2;

/// What holds for every conversation of a run.
pub struct Setting {
    /// System prompt every model gets.
    pub system_prompt: Option<String>,
    /// How the models under test draw tokens; `seed` is the plan's.
    pub sampling: Sampling,
    /// Most turns of the person.
    pub max_turns: u32,
    /// Who plays the personas.
    pub simulator: Simulator,
}

/// Who plays the personas.
pub enum Simulator {
    /// The persona's own grammar.
    RuleBased,
    /// A language model.
    Llm {
        /// The model.
        speaker: Box<Speaker>,
        /// How it draws tokens.
        sampling: Sampling,
    },
}

/// Why a conversation ended before the person ended it.
struct Failure {
    termination: Termination,
    detail: String,
}

/// Holds the conversation `id` until it ends, one way or another.
///
/// Fails only when the whole run cannot go on.
pub async fn converse(
    asking: &Asking,
    setting: &Setting,
    model: &Speaker,
    persona: &Persona,
    id: ConversationId,
) -> Result<Conversation, StopError> {
    let mut turns: Vec<Turn> = Vec::new();
    let ended = hold(asking, setting, model, persona, &id, &mut turns).await?;
    model.model.end_thread(&id.to_string());
    let (termination, detail) = match ended {
        Ok(termination) => (termination, None),
        Err(failure) => (failure.termination, Some(failure.detail)),
    };
    Ok(Conversation {
        id,
        turns,
        termination,
        detail,
    })
}

async fn hold(
    asking: &Asking,
    setting: &Setting,
    model: &Speaker,
    persona: &Persona,
    id: &ConversationId,
    turns: &mut Vec<Turn>,
) -> Result<Result<Termination, Failure>, StopError> {
    // One turn more than the plan allows: the person may still end the conversation after the last
    // reply, but says nothing new.
    for turn in 1..=setting.max_turns + 1 {
        let said = match person_says(asking, setting, persona, id, turn, turns).await? {
            Ok(said) => said,
            Err(failure) => return Ok(Err(failure)),
        };
        let is_over = said.end.is_some() || turn > setting.max_turns;
        if said.end.is_some() || !is_over {
            push(turns, Role::User, said.text);
        }
        if is_over {
            return Ok(Ok(said.end.unwrap_or(Termination::TurnLimit)));
        }
        match model_says(asking, setting, model, persona, id, turn, turns).await? {
            Ok(reply) => turns.push(Turn {
                role: Role::Assistant,
                content: reply.content,
                reasoning: reply.reasoning,
                finish_reason: Some(reply.finish_reason),
            }),
            Err(Failure {
                termination: Termination::ContextLimit,
                ..
            }) => {
                return Ok(Ok(Termination::ContextLimit));
            }
            Err(failure) => return Ok(Err(failure)),
        }
    }
    unreachable!("the last turn returns")
}

fn push(turns: &mut Vec<Turn>, role: Role, content: String) {
    if !content.is_empty() {
        turns.push(Turn {
            role,
            content,
            reasoning: None,
            finish_reason: None,
        });
    }
}

async fn model_says(
    asking: &Asking,
    setting: &Setting,
    model: &Speaker,
    persona: &Persona,
    id: &ConversationId,
    turn: u32,
    turns: &[Turn],
) -> Result<Result<ChatReply, Failure>, StopError> {
    let system = setting
        .system_prompt
        .iter()
        .map(|text| Message::new(Role::System, text.clone()));
    let seed = turn_seed(
        setting.sampling.seed,
        &persona.id,
        id.repeat,
        turn,
        model.role,
    );
    let request = ChatRequest {
        thread: id.to_string(),
        messages: system.chain(messages(turns)).collect(),
        sampling: Sampling {
            seed,
            ..setting.sampling.clone()
        },
        response_schema: None,
    };
    let failed = |termination, detail: String| {
        Ok(Err(Failure {
            termination,
            detail,
        }))
    };
    match asking.ask(model, turn, 0, &request).await {
        Ok(reply) => Ok(Ok(reply)),
        Err(AskError::Stop(stop)) => Err(stop),
        Err(error @ AskError::Timeout { .. }) => failed(Termination::Timeout, error.to_string()),
        Err(AskError::Model(error @ ChatError::ContextOverflow { .. })) => {
            failed(Termination::ContextLimit, error.to_string())
        }
        Err(AskError::Model(error)) => failed(Termination::ModelError, error.to_string()),
    }
}

async fn person_says(
    asking: &Asking,
    setting: &Setting,
    persona: &Persona,
    id: &ConversationId,
    turn: u32,
    turns: &[Turn],
) -> Result<Result<UserTurn, Failure>, StopError> {
    let said: Vec<Message> = messages(turns).collect();
    let Simulator::Llm { speaker, sampling } = &setting.simulator else {
        let seed = setting.sampling.seed;
        return Ok(Ok(rule_based::next(persona, id.repeat, seed, &said)));
    };
    if said.is_empty() {
        // Every model meets the same opening.
        let text = simulator::opening(persona, id.repeat);
        return Ok(Ok(UserTurn { text, end: None }));
    }
    let failed = |termination, detail: String| {
        Ok(Err(Failure {
            termination,
            detail,
        }))
    };
    let mut fault = String::new();
    for attempt in 0..=SIMULATOR_REPAIRS {
        let seed = turn_seed(sampling.seed, &persona.id, id.repeat, turn, speaker.role);
        let request = ChatRequest {
            thread: id.to_string(),
            messages: llm::prompt(persona, &said),
            sampling: Sampling {
                seed: seed + u64::from(attempt),
                ..sampling.clone()
            },
            response_schema: None,
        };
        let reply = match asking.ask(speaker, turn, attempt, &request).await {
            Ok(reply) => reply,
            Err(AskError::Stop(stop)) => return Err(stop),
            Err(error) => {
                return failed(Termination::SimulatorError, error.to_string());
            }
        };
        match llm::read(persona, &said, &reply.content) {
            Ok(user_turn) => return Ok(Ok(user_turn)),
            Err(error) => fault = error.to_string(),
        }
    }
    failed(Termination::SimulatorError, fault)
}

fn messages(turns: &[Turn]) -> impl Iterator<Item = Message> {
    turns
        .iter()
        .map(|turn| Message::new(turn.role, turn.content.clone()))
}
