use shipworthy_backends::{Adaptation, ChatError, ChatModel, ServerFacts};
use shipworthy_schema::{ChatReply, FinishReason};

use super::finding::Finding;
use super::questions::{Asked, Questions, SHORT, UNLIKELY, patiently};

/// Tokens beyond two replies that a conversation of any use has at least.
const SPARE_TOKENS: u64 = 256;

/// What a model is for.
#[derive(Clone, Copy, Debug)]
pub struct Purpose<'a> {
    /// What it is told before a conversation.
    pub system_prompt: Option<&'a str>,
    /// Most tokens of its replies.
    pub max_tokens: u32,
    /// Whether it answers by schema.
    pub needs_schema: bool,
    /// Whether to look also at what no evaluation needs.
    pub in_full: bool,
}

/// What was found, and what follows for the requests.
pub(super) struct Examined {
    pub(super) findings: Vec<Finding>,
    pub(super) adaptation: Adaptation,
}

/// Looks at one model, with six calls at most where nothing is wrong.
pub(super) async fn examine(model: &dyn ChatModel, purpose: Purpose<'_>) -> Examined {
    let mut examination = Examination {
        questions: Questions {
            model,
            system_prompt: purpose.system_prompt,
        },
        purpose,
        findings: Vec::new(),
        adaptation: Adaptation::default(),
    };
    examination.run().await;
    model.end_thread("preflight");
    Examined {
        findings: examination.findings,
        adaptation: examination.adaptation,
    }
}

struct Examination<'a> {
    questions: Questions<'a>,
    purpose: Purpose<'a>,
    findings: Vec<Finding>,
    adaptation: Adaptation,
}

impl Examination<'_> {
    async fn run(&mut self) {
        let model = self.questions.model;
        match patiently(|| model.server_facts()).await {
            Ok(facts) => self.facts(&facts),
            Err(error) => return self.note(unavailable("server", &error)),
        }
        let Some(first) = self.reply().await else {
            return;
        };
        // None of these hangs on another, and a run asks many things at the same time too.
        let (seed, turns, system_prompt, schema, log_probs) = futures::join!(
            self.seed(&first),
            self.turns(),
            self.system_prompt(&first),
            self.schema(),
            self.prompt_log_probs(),
        );
        self.note(seed);
        self.findings.extend(turns);
        if let Some((finding, is_passed_over)) = system_prompt {
            self.adaptation.fold_system |= is_passed_over;
            self.note(finding);
        }
        if let Some((finding, is_refused)) = schema {
            self.adaptation.omit_schema |= is_refused;
            self.note(finding);
        }
        self.findings.extend(log_probs);
        model.adapt(self.adaptation);
    }

    fn note(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn facts(&mut self, facts: &ServerFacts) {
        let adapters = match facts.adapters.len() {
            0 => None,
            _ => Some(format!("adapters {}", facts.adapters.join(", "))),
        };
        let slots = facts.slots.map(|n| format!("{n} requests at once"));
        let parts = [facts.software.clone(), slots, adapters];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if !parts.is_empty() {
            self.note(Finding::passed("server", parts.join(", ")));
        }
        let Some(context) = facts.context else {
            return;
        };
        let most = u64::from(self.purpose.max_tokens);
        let detail = format!("{context} tokens for a conversation, {most} at most for a reply");
        let larger = "give the server a larger context, or lower `max_tokens`";
        self.note(if context <= most {
            Finding::refused("context", detail + ": there is no room for a prompt").mend(larger)
        } else if context < 2 * most + SPARE_TOKENS {
            Finding::doubtful("context", detail + ": few conversations will fit").mend(larger)
        } else {
            Finding::passed("context", detail)
        });
    }

    /// Asks for a reply; `None` where the model cannot be used.
    async fn reply(&mut self) -> Option<ChatReply> {
        let greeting = Asked::greeting(SHORT);
        let reply = match self.questions.ask(greeting).await {
            Err(ChatError::Refused { detail, .. } | ChatError::Template { detail, .. })
                if self.purpose.system_prompt.is_some() =>
            {
                self.adaptation.fold_system = true;
                self.questions.model.adapt(self.adaptation);
                let folded = self.questions.ask(greeting).await;
                if folded.is_ok() {
                    self.note(Finding::worked_around(
                        "system prompt",
                        format!(
                            "refused ({detail}), so every model gets it at the head of the \
                             person's first message"
                        ),
                    ));
                } else {
                    self.adaptation.fold_system = false;
                    self.questions.model.adapt(self.adaptation);
                }
                folded
            }
            reply => reply,
        };
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                self.note(unavailable("reply", &error));
                return None;
            }
        };
        if reply.reasoning.is_some() {
            self.reasoning(&reply).await;
        } else if reply.content.trim().is_empty() {
            let detail = "the reply is empty";
            let mend = "check the chat template and the end-of-turn token";
            self.note(Finding::doubtful("reply", detail).mend(mend));
        } else {
            let start: String = reply.content.chars().take(60).collect();
            self.note(Finding::passed("reply", format!("says “{}”", start.trim())));
        }
        Some(reply)
    }

    /// Looks whether a model that reasons comes to an answer within the tokens it will have.
    async fn reasoning(&mut self, short: &ChatReply) {
        let check = "reasoning";
        let most = self.purpose.max_tokens;
        let answer = if short.content.trim().is_empty() {
            self.questions.ask(Asked::greeting(most)).await
        } else {
            Ok(short.clone())
        };
        self.note(match answer {
            Err(error) => unavailable(check, &error),
            Ok(reply) if reply.content.trim().is_empty() => Finding::refused(
                check,
                format!("it spent all {most} tokens on reasoning and answered nothing"),
            )
            .mend("raise `max_tokens`, or turn thinking off at the server"),
            Ok(_) => Finding::passed(
                check,
                "it reasons before it answers; the reasoning is set apart and costs tokens",
            ),
        });
    }

    async fn seed(&self, first: &ChatReply) -> Finding {
        let check = "seed";
        match self.questions.ask(Asked::greeting(SHORT)).await {
            Err(error) => unavailable(check, &error),
            Ok(second) if second.content == first.content => {
                Finding::passed(check, "the same seed gave the same reply twice")
            }
            Ok(_) => Finding::doubtful(
                check,
                "the same seed gave two replies: the run can be resumed and reported again, but \
                 not repeated",
            ),
        }
    }

    /// Asks for one token in a conversation's second turn.
    async fn turns(&self) -> Vec<Finding> {
        let asked = Asked {
            second_turn: true,
            ..Asked::greeting(1)
        };
        let reply = match self.questions.ask(asked).await {
            Ok(reply) => reply,
            Err(error) => {
                let mend = "check the chat template: it must take several turns";
                return vec![unavailable("second turn", &error).mend(mend)];
            }
        };
        let cut_off = match (reply.finish_reason, reply.usage.completion_tokens) {
            (FinishReason::Length, Some(1) | None) => {
                Finding::passed("max_tokens", "one asked for, cut off as it should be")
            }
            // A model may well have nothing more to say.
            (FinishReason::Stop, Some(0 | 1)) => Finding::passed("max_tokens", "one asked for"),
            (reason, tokens) => {
                let tokens = tokens.map_or("an unknown number of".to_owned(), |n| n.to_string());
                Finding::doubtful(
                    "max_tokens",
                    format!(
                        "one asked for; it gave {tokens} and says `finish_reason` {reason:?}, so \
                         cut-off replies may not show"
                    ),
                )
            }
        };
        vec![Finding::passed("second turn", "taken"), cut_off]
    }

    /// Looks whether the chat template passes the system prompt over in silence, which is the other
    /// value.
    async fn system_prompt(&self, with: &ChatReply) -> Option<(Finding, bool)> {
        let check = "system prompt";
        if self.purpose.system_prompt.is_none() || self.adaptation.fold_system {
            return None;
        }
        let asked = Asked {
            with_system: false,
            ..Asked::greeting(1)
        };
        let without = match self.questions.ask(asked).await {
            Ok(without) => without,
            Err(error) => return Some((unavailable(check, &error), false)),
        };
        Some(
            match (with.usage.prompt_tokens, without.usage.prompt_tokens) {
                (Some(with), Some(without)) if with > without => {
                    (Finding::passed(check, "taken"), false)
                }
                (Some(_), Some(_)) => (
                    Finding::worked_around(
                        check,
                        "the chat template passes it over in silence, so every model gets it at the \
                     head of the person's first message",
                    ),
                    true,
                ),
                _ => (
                    Finding::passed(check, "not refused; the server does not count tokens"),
                    false,
                ),
            },
        )
    }

    /// Looks whether answers keep to a schema; the other value is whether the server refuses any.
    async fn schema(&self) -> Option<(Finding, bool)> {
        let check = "json schema";
        if !self.purpose.needs_schema {
            return None;
        }
        let asked = Asked {
            with_schema: true,
            with_system: false,
            ..Asked::greeting(64)
        };
        let reply = match self.questions.ask(asked).await {
            Err(ChatError::Refused { detail, .. }) => {
                let detail = format!(
                    "refused ({detail}), so the prompt alone asks for JSON, and answers are \
                     checked here"
                );
                return Some((Finding::worked_around(check, detail), true));
            }
            Err(error) => return Some((unavailable(check, &error), false)),
            Ok(reply) => reply,
        };
        let value: Option<serde_json::Value> = serde_json::from_str(reply.content.trim()).ok();
        let animal = value
            .as_ref()
            .and_then(|value| value.get("animal")?.as_str());
        let finding = if animal == Some(UNLIKELY) {
            Finding::passed(check, "kept")
        } else {
            Finding::worked_around(
                check,
                "passed over in silence: answers are checked here, and asked for again where they \
                 are no use",
            )
        };
        Some((finding, false))
    }

    async fn prompt_log_probs(&self) -> Option<Finding> {
        let check = "log probabilities";
        if !self.purpose.in_full {
            return None;
        }
        let model = self.questions.model;
        Some(match patiently(|| model.has_prompt_log_probs()).await {
            Ok(None) => return None,
            Ok(Some(true)) => Finding::passed(check, "given for a prompt's tokens"),
            Ok(Some(false)) => Finding::passed(
                check,
                "not given for a prompt's tokens; no evaluation needs them, and `shipworthy \
                 perplexity` computes them from files",
            ),
            Err(error) => Finding::doubtful(check, error.to_string()),
        })
    }
}

/// Returns that the model did not answer.
fn unavailable(check: &str, error: &ChatError) -> Finding {
    let finding = Finding::refused(check, error.to_string());
    match error {
        ChatError::Auth { .. } => finding.mend("set the variable named by `api_key_env`"),
        ChatError::Unreachable { .. }
        | ChatError::NotReady { .. }
        | ChatError::Unavailable { .. }
        | ChatError::RateLimited { .. } => {
            finding.mend("start the server, or wait until it has less to do")
        }
        ChatError::IdentityChanged { .. } => finding.mend("keep the server as it is"),
        ChatError::ContextOverflow { .. } => finding.mend("give the server a larger context"),
        ChatError::Malformed { .. } | ChatError::Template { .. } | ChatError::Refused { .. } => {
            finding.mend("check the server's log and its chat template")
        }
    }
}
