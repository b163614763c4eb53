use shipworthy_backends::{Adaptation, ChatError, ChatModel, Parameter, ServerFacts};
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

type Answer = Result<ChatReply, ChatError>;

/// What a model says to everything that is asked at once.
struct Answers {
    first: Answer,
    /// To the same question.
    second: Answer,
    /// One token in a conversation's second turn.
    turns: Answer,
    /// Where it is told a system prompt otherwise.
    without_system: Option<Answer>,
    /// Where it will be asked by schema.
    schema: Option<Answer>,
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
        let mut answers = self.answers_without_refused().await;
        if let Err(ChatError::Refused { detail, .. } | ChatError::Template { detail, .. }) =
            &answers.first
            && self.purpose.system_prompt.is_some()
        {
            answers = self.answers_folded(&detail.clone()).await;
        }
        let Some(first) = self.reply(answers.first).await else {
            return;
        };
        self.note(seed(&first, answers.second));
        self.findings.extend(turns(answers.turns));
        let without_system = answers.without_system;
        if let Some((finding, is_passed_over)) =
            without_system.map(|without| system_prompt(&first, without))
        {
            self.adaptation.fold_system |= is_passed_over;
            self.note(finding);
        }
        if let Some((finding, is_refused)) = answers.schema.map(schema) {
            self.adaptation.omit_schema |= is_refused;
            self.note(finding);
        }
        model.adapt(self.adaptation.clone());
        // Nothing else is asked meanwhile: vLLM on a processor, with an adapter, can end by that.
        self.findings.extend(self.prompt_log_probs().await);
    }

    /// Asks everything that hangs on no answer, at the same time, as a run does too.
    async fn answers(&self) -> Answers {
        let Purpose {
            system_prompt,
            needs_schema,
            ..
        } = self.purpose;
        let ask = |asked: Asked| self.questions.ask(asked);
        let if_asked = async |is_asked: bool, asked: Asked| {
            if is_asked {
                Some(ask(asked).await)
            } else {
                None
            }
        };
        let greeting = Asked::greeting(SHORT);
        let in_second_turn = Asked {
            second_turn: true,
            ..Asked::greeting(1)
        };
        let without_system = Asked {
            with_system: false,
            ..Asked::greeting(1)
        };
        let with_schema = Asked {
            with_schema: true,
            with_system: false,
            ..Asked::greeting(64)
        };
        let tells_system = system_prompt.is_some() && !self.adaptation.fold_system;
        let (first, second, turns, without_system, schema) = futures::join!(
            ask(greeting),
            ask(greeting),
            ask(in_second_turn),
            if_asked(tells_system, without_system),
            if_asked(needs_schema, with_schema),
        );
        Answers {
            first,
            second,
            turns,
            without_system,
            schema,
        }
    }

    /// Asks everything, again without each parameter that the server refuses by its name.
    async fn answers_without_refused(&mut self) -> Answers {
        let mut answers = self.answers().await;
        let mut refused = Vec::new();
        while let Err(ChatError::Refused { detail, .. }) = &answers.first
            && let Some(parameter) = Parameter::named_in(detail, &self.adaptation.omit)
        {
            refused.push((parameter, detail.clone()));
            self.adaptation.omit.insert(parameter);
            self.questions.model.adapt(self.adaptation.clone());
            answers = self.answers().await;
        }
        for (parameter, detail) in refused {
            let instead = match parameter {
                Parameter::MaxTokens => "`max_completion_tokens` is sent instead",
                Parameter::Seed => "it is not sent, and no reply can be drawn again",
                _ => "it is not sent, and the server's own value counts",
            };
            let detail = format!("refused ({detail}), so {instead}");
            self.note(Finding::worked_around(parameter.name(), detail));
        }
        answers
    }

    /// Asks again with the system prompt at the head of the person's first message, where that is
    /// refused (`detail`) at its own place.
    async fn answers_folded(&mut self, detail: &str) -> Answers {
        self.adaptation.fold_system = true;
        self.questions.model.adapt(self.adaptation.clone());
        let folded = self.answers().await;
        if folded.first.is_ok() {
            self.note(Finding::worked_around(
                "system prompt",
                format!(
                    "refused ({detail}), so every model gets it at the head of the person's first \
                     message"
                ),
            ));
        } else {
            self.adaptation.fold_system = false;
            self.questions.model.adapt(self.adaptation.clone());
        }
        folded
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

    /// Notes how it replied; `None` where the model cannot be used.
    async fn reply(&mut self, reply: Answer) -> Option<ChatReply> {
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

/// Looks whether the same seed gave the same reply.
fn seed(first: &ChatReply, second: Answer) -> Finding {
    let check = "seed";
    match second {
        Err(error) => unavailable(check, &error),
        Ok(second) if second.content == first.content => {
            Finding::passed(check, "the same seed gave the same reply twice")
        }
        Ok(_) => Finding::doubtful(
            check,
            "the same seed gave two replies: the run can be resumed and reported again, but not \
             repeated",
        ),
    }
}

/// Looks at one token in a conversation's second turn.
fn turns(reply: Answer) -> Vec<Finding> {
    let reply = match reply {
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
                    "one asked for; it gave {tokens} and says `finish_reason` `{}`, so \
                     cut-off replies may not show",
                    reason.name()
                ),
            )
        }
    };
    vec![Finding::passed("second turn", "taken"), cut_off]
}

/// Looks whether the chat template passes the system prompt over in silence, which is the other value.
fn system_prompt(with: &ChatReply, without: Answer) -> (Finding, bool) {
    let check = "system prompt";
    let without = match without {
        Ok(without) => without,
        Err(error) => return (unavailable(check, &error), false),
    };
    match (with.usage.prompt_tokens, without.usage.prompt_tokens) {
        (Some(with), Some(without)) if with > without => (Finding::passed(check, "taken"), false),
        (Some(_), Some(_)) => {
            let detail = "the chat template passes it over in silence, so every model gets it at the \
                          head of the person's first message";
            (Finding::worked_around(check, detail), true)
        }
        _ => (
            Finding::passed(check, "not refused; the server does not count tokens"),
            false,
        ),
    }
}

/// Looks whether answers keep to a schema; the other value is whether the server refuses any.
fn schema(reply: Answer) -> (Finding, bool) {
    let check = "json schema";
    let reply = match reply {
        Err(ChatError::Refused { detail, .. }) => {
            let detail = format!(
                "refused ({detail}), so the prompt alone asks for JSON, and answers are checked here"
            );
            return (Finding::worked_around(check, detail), true);
        }
        Err(error) => return (unavailable(check, &error), false),
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
            "passed over in silence: answers are checked here, and asked for again where they are \
             no use",
        )
    };
    (finding, false)
}

/// Returns that the model did not answer.
fn unavailable(check: &str, error: &ChatError) -> Finding {
    let finding = Finding::refused(check, error.to_string());
    match error {
        ChatError::Auth { .. } => finding.mend("set the variable named by `api_key_env`"),
        ChatError::Unpaid { .. } => finding.mend("add credit to the account of the key"),
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
