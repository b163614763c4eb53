//! Scoring one conversation: deterministic checks, and a judge where the plan has one.

use shipworthy_rubrics::{JudgeAnswer, JudgeQuestion, JudgeResults, Rubric, read_answer};
use shipworthy_schema::{
    CallRole, ChatRequest, Conversation, ConversationScore, Outcome, Persona, Sampling,
};

use crate::asking::{AskError, Asking, Speaker, StopError};
use crate::turn_seed::turn_seed;

/// How often a judge is asked again after an answer that cannot be used.
const REPAIRS: u32 = 2;

/// Who judges, and how often.
pub struct Judge {
    /// The judging model.
    pub speaker: Speaker,
    /// Judgements of each conversation.
    pub repeats: u32,
    /// How it draws tokens; `seed` is the plan's.
    pub sampling: Sampling,
}

/// Scores a conversation that ended.
///
/// One that failed, or in which the model said nothing, is unscored with the reason; so is one for
/// which the judge gave no usable answer. Fails only when the whole run cannot go on.
pub async fn score(
    asking: &Asking,
    rubric: &Rubric,
    judge: Option<&Judge>,
    persona: &Persona,
    conversation: &Conversation,
) -> Result<ConversationScore, StopError> {
    if !conversation.termination.is_complete() {
        let detail = conversation.detail.as_deref().unwrap_or("no detail");
        let reason = format!("{}: {detail}", conversation.termination.label());
        return Ok(ConversationScore {
            conversation: conversation.id.clone(),
            overall: Outcome::Unscored { reason },
            passed: None,
            criteria: Vec::new(),
        });
    }
    let results = match judge {
        None => JudgeResults::NoJudge,
        Some(judge) => judge_all(asking, rubric, judge, persona, conversation).await?,
    };
    Ok(rubric.score(persona, conversation, &results))
}

/// Asks the judge every question, as often as planned. Each repeat has its own seed.
async fn judge_all(
    asking: &Asking,
    rubric: &Rubric,
    judge: &Judge,
    persona: &Persona,
    conversation: &Conversation,
) -> Result<JudgeResults, StopError> {
    let questions = rubric.questions(persona, conversation);
    let mut results = Vec::new();
    let mut judgement = 0;
    for _ in 0..judge.repeats {
        for question in &questions {
            judgement += 1;
            let asked = ask(asking, judge, persona, conversation, question, judgement).await?;
            results.push(match asked {
                Ok(answers) => question.answered(answers),
                Err(reason) => question.unanswered(reason),
            });
        }
    }
    judge.speaker.model.end_thread(&conversation.id.to_string());
    Ok(JudgeResults::Asked(results))
}

/// Asks one question until the answer can be used; returns the answers, or why there are none.
async fn ask(
    asking: &Asking,
    judge: &Judge,
    persona: &Persona,
    conversation: &Conversation,
    question: &JudgeQuestion,
    judgement: u32,
) -> Result<Result<Vec<JudgeAnswer>, String>, StopError> {
    let id = &conversation.id;
    let seed = turn_seed(
        judge.sampling.seed,
        &persona.id,
        id.repeat,
        judgement,
        CallRole::Judge,
    );
    let mut messages = question.messages().to_vec();
    let mut fault = String::new();
    for attempt in 0..=REPAIRS {
        let request = ChatRequest {
            thread: id.to_string(),
            messages,
            sampling: Sampling {
                seed: seed + u64::from(attempt),
                ..judge.sampling.clone()
            },
            response_schema: Some(question.schema().clone()),
        };
        let reply = match asking
            .ask(&judge.speaker, judgement, attempt, &request)
            .await
        {
            Ok(reply) => reply,
            Err(AskError::Stop(stop)) => return Err(stop),
            Err(error) => return Ok(Err(error.to_string())),
        };
        match read_answer(question, &reply.content) {
            Ok(answers) => return Ok(Ok(answers)),
            Err(error) => {
                messages = question.repair(&reply.content, &error);
                fault = error.to_string();
            }
        }
    }
    Ok(Err(fault))
}
