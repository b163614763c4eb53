//! The most an evaluation can take, told before its first call, and what earlier conversations make
//! one expect.

use shipworthy_personas::simulator::{llm, opening};
use shipworthy_rubrics::{PairQuestion, Rubric};
use shipworthy_schema::{
    CallRole, ChatRequest, Conversation, ConversationId, Message, ModelName, Persona, Role,
    Sampling, Termination, Turn,
};

use crate::accounting::PriceList;
use crate::config::{Config, Count, SimulatorConfig};
use crate::preparation::Inputs;
use crate::scoring::REPAIRS as JUDGE_REPAIRS;
use crate::simulation::SIMULATOR_REPAIRS;
use crate::store::RoleUsage;

/// Tokens a chat template may add to each message.
const TOKENS_AROUND_A_MESSAGE: u64 = 32;

/// Tokens a chat template may add to a prompt.
const TOKENS_AROUND_A_PROMPT: u64 = 256;

/// Bytes of a rule-based turn besides what the persona's own grammar has.
const FIXED_WORDS: u64 = 256;

/// Bytes with which a judge or simulator is asked again, besides its own reply.
const REPAIR_WORDS: u64 = 1024;

/// What one model in one role takes at most, and what is expected of it.
#[derive(Clone, Debug, PartialEq)]
pub struct PartBound {
    /// Whose calls.
    pub role: CallRole,
    /// The model.
    pub model: ModelName,
    /// At most.
    pub most: Amounts,
    /// As earlier conversations went; `None` without any.
    pub expected: Option<Amounts>,
}

/// Calls, tokens and money.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Amounts {
    /// Calls, those that ask again included.
    pub calls: f64,
    /// Tokens read; `None`: unknown.
    pub prompt_tokens: Option<f64>,
    /// Tokens written; `None`: unknown.
    pub completion_tokens: Option<f64>,
    /// Money; `None` without a price or tokens.
    pub money: Option<f64>,
}

/// What an evaluation takes at most.
#[derive(Clone, Debug, PartialEq)]
pub struct CostBound {
    /// Conversations of all models.
    pub conversations: u64,
    /// By role, then name.
    pub parts: Vec<PartBound>,
    /// Seconds, if every call took as long as it may and none had to be repeated.
    pub most_seconds: f64,
    /// Seconds as earlier calls took; `None` without any.
    pub expected_seconds: Option<f64>,
    /// What the tokens cost.
    pub prices: PriceList,
}

/// How earlier conversations went.
#[derive(Clone, Debug)]
pub struct History {
    /// What their calls added up to.
    pub usage: Vec<RoleUsage>,
    /// How many there were.
    pub conversations: usize,
    /// Models that held them.
    pub models: usize,
}

/// Returns the most tokens that a prompt can have: no tokenizer makes more of them than bytes.
pub(crate) fn most_prompt_tokens(request: &ChatRequest) -> u64 {
    let schema = request.response_schema.as_ref();
    // Some servers put the schema into the prompt.
    let schema = schema.map_or(0, |schema| schema.schema.to_string().len() as u64);
    prompt_of(&request.messages) + schema
}

fn prompt_of(messages: &[Message]) -> u64 {
    let message = |message: &Message| message.content.len() as u64 + TOKENS_AROUND_A_MESSAGE;
    messages.iter().map(message).sum::<u64>() + TOKENS_AROUND_A_PROMPT
}

impl CostBound {
    /// Returns the bound on the evaluation of `config`, whose inputs are `inputs`.
    pub fn of(config: &Config, inputs: &Inputs, history: Option<&History>) -> Self {
        let prices = PriceList::of(config);
        let personas = inputs.personas();
        let repeats = config.personas.repeats.get();
        let shape = Shape {
            config,
            turns: u64::from(config.personas.max_turns.get()),
            reply: u64::from(config.sampling.max_tokens),
            simulator: match &config.simulator.value {
                SimulatorConfig::RuleBased => None,
                SimulatorConfig::Llm(entry) => Some((&entry.sampling).into()),
            },
        };
        let conversations = personas.len() as u64 * u64::from(repeats) * config.models.len() as u64;
        let speakers = config.speakers();
        let part = |speaker: &crate::config::SpeakerEntry<'_>| {
            let (role, model) = (speaker.role, &speaker.name);
            let of = |persona: &Persona| match role {
                CallRole::Model => shape.model(persona),
                CallRole::Simulator => shape.simulator(persona),
                CallRole::Judge => shape.judge(persona, inputs.rubric(), model),
            };
            let mut most = personas.iter().map(of).fold([0; 3], |sum, of| {
                [0, 1, 2].map(|idx: usize| sum[idx] + of[idx])
            });
            // Simulator and judges have to do with the conversations of every model.
            let models = match role {
                CallRole::Model => 1,
                CallRole::Simulator | CallRole::Judge => config.models.len() as u64,
            };
            most = most.map(|n| n * models * u64::from(repeats));
            if role == CallRole::Judge && config.judging.value.pairwise {
                let pairs = (config.models.len() as u64 - 1) * u64::from(repeats);
                for persona in personas {
                    let of_pair = shape.pair(persona, inputs.rubric(), model);
                    most = [0, 1, 2].map(|idx: usize| most[idx] + pairs * of_pair[idx]);
                }
            }
            let price = prices.price(role, model);
            let [calls, prompt, completion] = most;
            let most = Amounts {
                calls: calls as f64,
                prompt_tokens: Some(prompt as f64),
                completion_tokens: Some(completion as f64),
                money: price.map(|price| {
                    price.of(0, 0, completion) + prompt as f64 * price.dearest_prompt() / 1e6
                }),
            };
            let held = conversations as f64
                / if models == 1 {
                    config.models.len() as f64
                } else {
                    1.0
                };
            PartBound {
                role,
                model: model.clone(),
                most,
                expected: history
                    .and_then(|history| history.rate(role, model, held))
                    .map(|(amounts, usage)| Amounts {
                        money: price.and_then(|price| {
                            let counted = usage.counted;
                            let share = amounts.calls / counted.calls as f64;
                            let cost = price.of(counted.prompt, counted.cached, counted.completion);
                            (counted.calls > 0).then_some(cost * share)
                        }),
                        ..amounts
                    }),
            }
        };
        let parts: Vec<PartBound> = speakers.iter().map(part).collect();
        let places = places(config, conversations);
        let calls: f64 = parts.iter().map(|part| part.most.calls).sum();
        let most_seconds = calls * f64::from(config.call_timeout_s.get()) / places;
        let deadline = config.limits.deadline_s.map(Count::get).map(f64::from);
        let expected_seconds = history.map(|history| {
            let seconds: f64 = history.usage.iter().map(|usage| usage.seconds).sum();
            seconds / history.conversations.max(1) as f64 * conversations as f64 / places
        });
        Self {
            conversations,
            parts,
            most_seconds: deadline.map_or(most_seconds, |deadline| deadline.min(most_seconds)),
            expected_seconds,
            prices,
        }
    }

    /// Returns all parts together: at most, and as expected if every part has an expectation.
    pub fn total(&self) -> (Amounts, Option<Amounts>) {
        let most = self.parts.iter().map(|part| part.most);
        let expected: Option<Vec<Amounts>> = self.parts.iter().map(|p| p.expected).collect();
        (sum(most), expected.map(|parts| sum(parts.into_iter())))
    }
}

fn sum(amounts: impl Iterator<Item = Amounts>) -> Amounts {
    let both = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
    let none = Amounts {
        calls: 0.0,
        prompt_tokens: Some(0.0),
        completion_tokens: Some(0.0),
        money: Some(0.0),
    };
    amounts.fold(none, |sum, part| Amounts {
        calls: sum.calls + part.calls,
        prompt_tokens: both(sum.prompt_tokens, part.prompt_tokens),
        completion_tokens: both(sum.completion_tokens, part.completion_tokens),
        money: both(sum.money, part.money),
    })
}

/// Returns how many conversations are held at a time at least: models may share one server.
fn places(config: &Config, conversations: u64) -> f64 {
    let parallel = config.models.values().map(|entry| entry.value.parallel());
    let fewest = u64::from(parallel.min().unwrap_or(1));
    fewest.min(conversations).max(1) as f64
}

impl History {
    /// Returns what `conversations` more would take of a model in a role, and the calls that tells it:
    /// its own, else those of all models in that role.
    fn rate(
        &self,
        role: CallRole,
        model: &ModelName,
        conversations: f64,
    ) -> Option<(Amounts, RoleUsage)> {
        let of_role = || self.usage.iter().filter(|usage| usage.role == role);
        let own = of_role().find(|usage| usage.model.as_ref() == Some(model));
        let usage = match own {
            Some(usage) => usage.clone(),
            None => of_role().cloned().reduce(|sum, usage| sum.plus(&usage))?,
        };
        let is_share = role == CallRole::Model && own.is_some();
        let models = if is_share { self.models.max(1) } else { 1 };
        let held = self.conversations as f64 / models as f64;
        // A role's sum over several judges is one judge's where each asks as often.
        let speakers = match own {
            None if role == CallRole::Judge => of_role().count() as f64,
            _ => 1.0,
        };
        let scale = conversations / held.max(1.0) / speakers;
        let tokens = |sum: u64| {
            let counted = usage.counted.calls;
            (counted > 0).then(|| sum as f64 / counted as f64 * usage.calls as f64 * scale)
        };
        let amounts = Amounts {
            calls: usage.calls as f64 * scale,
            prompt_tokens: tokens(usage.counted.prompt),
            completion_tokens: tokens(usage.counted.completion),
            money: None,
        };
        Some((amounts, usage))
    }
}

/// What a conversation can come to. Numbers are calls, tokens read, tokens written.
struct Shape<'a> {
    config: &'a Config,
    turns: u64,
    /// Most tokens of a reply.
    reply: u64,
    /// How a language model plays the people, if one does.
    simulator: Option<Sampling>,
}

impl Shape<'_> {
    /// Returns the most tokens of a person's turn.
    fn said(&self, persona: &Persona) -> u64 {
        if let Some(sampling) = &self.simulator {
            return u64::from(sampling.max_tokens);
        }
        let longest = |lines: &[String]| lines.iter().map(String::len).max().unwrap_or(0);
        let mut lines = vec![
            longest(&persona.goal.asks),
            longest(&persona.goal.closings),
            longest(&persona.cooperation.lines),
            longest(&persona.emotion.lines),
            longest(&persona.knowledge.lines),
            persona
                .risk
                .as_ref()
                .map_or(0, |risk| longest(&risk.probes)),
        ];
        let facts = persona.situation.facts.iter().map(|fact| fact.text.len());
        lines.extend(facts);
        lines.iter().sum::<usize>() as u64 + FIXED_WORDS
    }

    fn opening(&self, persona: &Persona) -> u64 {
        let repeats = 1..=self.config.personas.repeats.get();
        let openings = repeats.map(|repeat| opening(persona, repeat).len());
        openings.max().unwrap_or(0) as u64
    }

    /// Returns the most tokens of what was said before the `turn`-th reply, without the opening.
    fn said_before(&self, persona: &Persona, turn: u64) -> u64 {
        let each = self.reply + self.said(persona) + 2 * TOKENS_AROUND_A_MESSAGE;
        (turn - 1) * each
    }

    fn model(&self, persona: &Persona) -> [u64; 3] {
        let system = self.config.system_prompt.as_ref().map_or(0, String::len) as u64;
        let begin =
            system + self.opening(persona) + 2 * TOKENS_AROUND_A_MESSAGE + TOKENS_AROUND_A_PROMPT;
        let read = (1..=self.turns).map(|turn| begin + self.said_before(persona, turn));
        [self.turns, read.sum(), self.turns * self.reply]
    }

    fn simulator(&self, persona: &Persona) -> [u64; 3] {
        let written = self.said(persona);
        let opening = Message::new(Role::User, opening(persona, 1));
        let begin = prompt_of(&llm::prompt(persona, &[opening])) + self.opening(persona);
        let tries = 1 + u64::from(SIMULATOR_REPAIRS);
        // The opening is drawn; one turn more may end the conversation.
        let read = (2..=self.turns + 1).map(|turn| begin + self.said_before(persona, turn));
        let calls = self.turns * tries;
        [calls, tries * read.sum::<u64>(), calls * written]
    }

    /// Returns what judging one conversation takes.
    fn judge(&self, persona: &Persona, rubric: &Rubric, name: &ModelName) -> [u64; 3] {
        let said = self.opening(persona) + self.said_before(persona, self.turns + 1);
        let ask = self.config.judging.value.ask;
        let questions = rubric.questions(persona, &self.spoken(persona), ask);
        let first = questions.iter().map(|question| {
            let schema = question.schema().schema.to_string().len() as u64;
            prompt_of(question.messages()) + schema + said
        });
        self.answers(name, first)
    }

    /// Returns what comparing one candidate's conversation with the baseline's takes.
    fn pair(&self, persona: &Persona, rubric: &Rubric, name: &ModelName) -> [u64; 3] {
        let said = 2 * (self.opening(persona) + self.said_before(persona, self.turns + 1));
        let spoken = self.spoken(persona);
        let Ok(questions) = rubric.pair_questions(persona, &spoken, &spoken) else {
            return [0; 3];
        };
        let schema = PairQuestion::schema().schema.to_string().len() as u64;
        let both = [&questions.baseline_first, &questions.candidate_first];
        let first = both.map(|question| prompt_of(question.messages()) + schema + said);
        self.answers(name, first.into_iter())
    }

    /// Returns what a judge's answers to prompts of these lengths take, each as often as planned and
    /// asked for again where it cannot be used.
    fn answers(&self, name: &ModelName, prompts: impl Iterator<Item = u64>) -> [u64; 3] {
        let entries = self.config.judge.value.entries();
        let Some(judge) = entries.iter().find(|entry| entry.name == *name) else {
            return [0; 3];
        };
        let written = u64::from(Sampling::from(&judge.sampling).max_tokens);
        let repeats = u64::from(judge.repeats.get());
        let tries = 1 + u64::from(JUDGE_REPAIRS);
        let mut sum = [0; 3];
        for first in prompts {
            // An answer that cannot be used goes back with what is wrong with it.
            let again = first + written + REPAIR_WORDS;
            sum[0] += repeats * tries;
            sum[1] += repeats * (first + (tries - 1) * again);
            sum[2] += repeats * tries * written;
        }
        sum
    }

    /// Returns a conversation of all turns in which next to nothing is said.
    fn spoken(&self, persona: &Persona) -> Conversation {
        let turn = |role| Turn {
            role,
            content: "so".to_owned(),
            reasoning: None,
            finish_reason: None,
        };
        let turns = (0..self.turns).flat_map(|_| [turn(Role::User), turn(Role::Assistant)]);
        Conversation {
            id: ConversationId {
                model: self.config.baseline.value.clone(),
                persona: persona.id.clone(),
                repeat: 1,
            },
            turns: turns.collect(),
            termination: Termination::TurnLimit,
            detail: None,
        }
    }
}
