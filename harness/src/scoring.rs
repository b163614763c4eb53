//! Scoring one conversation: what the simulated person did, deterministic checks, and judges where the
//! plan has any.

use futures::future::try_join_all;
use shipworthy_personas::simulator::audit::audit;
use shipworthy_rubrics::{
    JudgeAnswer, JudgeAnswers, JudgeQuestion, JudgeResults, Rubric, read_answer,
};
use shipworthy_schema::{
    CallRole, ChatRequest, Conversation, ConversationScore, JudgeCalls, JudgePlan, JudgingRule,
    ModelName, ModelRef, Outcome, Persona, Plan, Sampling, SimulatorFlagKind, Usage,
};

use crate::asking::{AskError, Asking, Speaker, StopError};
use crate::simulator_audit::reason_to_exclude;
use crate::turn_seed::turn_seed;

/// How often a judge is asked again after an answer that cannot be used.
pub(crate) const REPAIRS: u32 = 2;

/// What scoring rests on besides the rubric.
pub struct Scoring {
    /// Kinds of flags of the simulated person that leave a conversation without a score.
    pub exclude: Vec<SimulatorFlagKind>,
    /// How judges are asked, and how their answers become one score.
    pub rule: JudgingRule,
    /// The judges, in the plan's order; nobody: deterministic checks alone.
    pub judges: Vec<Judge>,
}

/// One judge, and how often it is asked.
pub struct Judge {
    /// The judge's name in the plan.
    pub name: ModelName,
    /// The judging model.
    pub speaker: Speaker,
    /// Judgements of each conversation.
    pub repeats: u32,
    /// How it draws tokens; `seed` is the plan's.
    pub sampling: Sampling,
}

impl Scoring {
    /// Returns what `plan` says, with those of its judges that have a speaker.
    pub(crate) fn of(plan: &Plan, speaker: impl Fn(&ModelRef) -> Option<Speaker>) -> Self {
        let judge = |planned: &JudgePlan| {
            Some(Judge {
                name: planned.model.name.clone(),
                speaker: speaker(&planned.model)?,
                repeats: planned.repeats,
                sampling: planned.sampling.clone(),
            })
        };
        Self {
            exclude: plan.simulator_audit.exclude.clone(),
            rule: plan.judging,
            judges: plan.judges.iter().filter_map(judge).collect(),
        }
    }
}

/// Scores a conversation that ended.
///
/// One that failed, or in which the model said nothing, is unscored with the reason; so is one that
/// the plan leaves out for what the simulated person did, and one for which too few judges gave a
/// usable answer. Fails only when the whole run cannot go on.
pub async fn score(
    asking: &Asking,
    rubric: &Rubric,
    scoring: &Scoring,
    persona: &Persona,
    conversation: &Conversation,
) -> Result<ConversationScore, StopError> {
    let unscored = |reason, simulator_flags| ConversationScore {
        conversation: conversation.id.clone(),
        overall: Outcome::Unscored { reason },
        passed: None,
        criteria: Vec::new(),
        judge_calls: Vec::new(),
        simulator_flags,
    };
    if !conversation.termination.is_complete() {
        let detail = conversation.detail.as_deref().unwrap_or("no detail");
        let reason = format!("{}: {detail}", conversation.termination.label());
        return Ok(unscored(reason, Vec::new()));
    }
    let simulator_flags = audit(persona, conversation);
    if let Some(reason) = reason_to_exclude(&scoring.exclude, &simulator_flags) {
        return Ok(unscored(reason, simulator_flags));
    }
    if scoring.judges.is_empty() {
        return Ok(ConversationScore {
            simulator_flags,
            ..rubric.score(persona, conversation, &JudgeResults::NoJudge)
        });
    }
    let subject = Subject {
        asking,
        persona,
        conversation,
        questions: rubric.questions(persona, conversation, scoring.rule.ask),
    };
    // Calls are named by their number within the conversation: each judge begins where the one
    // before it ends, so that judges can be asked at the same time.
    let mut before = 0;
    let asked = scoring.judges.iter().map(|judge| {
        let first = before;
        let questions = u32::try_from(subject.questions.len()).unwrap_or(u32::MAX);
        before += judge.repeats.saturating_mul(questions);
        subject.judged_by(judge, first)
    });
    let (judges, judge_calls) = try_join_all(asked).await?.into_iter().unzip();
    let results = JudgeResults::Asked {
        aggregate: scoring.rule.aggregate,
        judges,
    };
    Ok(ConversationScore {
        judge_calls,
        simulator_flags,
        ..rubric.score(persona, conversation, &results)
    })
}

/// A conversation to be judged, with what is asked of it.
struct Subject<'a> {
    asking: &'a Asking,
    persona: &'a Persona,
    conversation: &'a Conversation,
    questions: Vec<JudgeQuestion>,
}

impl Subject<'_> {
    /// Asks `judge` every question, as often as planned. Each judgement has its own seed; they are
    /// numbered from `before` + 1. One judge's questions follow one another, so that a server that
    /// keeps the transcript's prompt cache reads it once.
    async fn judged_by(
        &self,
        judge: &Judge,
        before: u32,
    ) -> Result<(JudgeAnswers, JudgeCalls), StopError> {
        let mut results = Vec::new();
        let mut calls = JudgeCalls {
            judge: judge.name.clone(),
            calls: 0,
            prompt_tokens: Some(0),
            completion_tokens: Some(0),
        };
        let mut judgement = before;
        for repeat in 1..=judge.repeats {
            for question in &self.questions {
                judgement += 1;
                let asked = self.ask(judge, question, judgement, &mut calls).await?;
                results.push(match asked {
                    Ok(answers) => question.answered(repeat, answers),
                    Err(reason) => question.unanswered(repeat, reason),
                });
            }
        }
        judge
            .speaker
            .model
            .end_thread(&self.conversation.id.to_string());
        let judge = judge.name.clone();
        Ok((JudgeAnswers { judge, results }, calls))
    }

    /// Asks one question until the answer can be used; returns the answers, or why there are none.
    async fn ask(
        &self,
        judge: &Judge,
        question: &JudgeQuestion,
        judgement: u32,
        calls: &mut JudgeCalls,
    ) -> Result<Result<Vec<JudgeAnswer>, String>, StopError> {
        let id = &self.conversation.id;
        let (person, role) = (&self.persona.id, CallRole::Judge);
        let seed = turn_seed(judge.sampling.seed, person, id.repeat, judgement, role);
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
                response_schema: Some(question.schema()),
            };
            let asked = self
                .asking
                .ask(&judge.speaker, judgement, attempt, &request)
                .await;
            let reply = match asked {
                Ok(reply) => reply,
                Err(AskError::Stop(stop)) => return Err(stop),
                Err(error) => return Ok(Err(error.to_string())),
            };
            count_calls(calls, reply.usage);
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
}

/// Adds a reply to what the judge took. A sum over some replies only would pass for the whole.
pub(crate) fn count_calls(calls: &mut JudgeCalls, usage: Usage) {
    let sum = |so_far: Option<u64>, more: Option<u64>| Some(so_far?.saturating_add(more?));
    calls.calls += 1;
    calls.prompt_tokens = sum(calls.prompt_tokens, usage.prompt_tokens);
    calls.completion_tokens = sum(calls.completion_tokens, usage.completion_tokens);
}
