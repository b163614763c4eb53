//! What a model answers to an examination.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use shipworthy_backends::likelihood::{
    LikelihoodError, LikelihoodModel, LikelihoodSource, TokenScore, open_likelihood,
};
use shipworthy_datasets::TextTokenizer;
use shipworthy_models::{ModelError, TensorProblem};
use shipworthy_schema::finetune::DeviceChoice;

use super::error::SanityError;
use super::examination::Examination;
use super::outcome::SanityStatus;
use super::request::{Form, SanityRequest};
use super::run::SanityProgress;
use super::tasks::{GenerationRules, Prepared, PreparedTask};

/// What a model is asked of an examination.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    /// Held-out conversations and tasks.
    pub(super) measures: bool,
    /// Every token of the probes.
    pub(super) probes: bool,
    /// Replies to the probes.
    pub(super) replies: bool,
}

/// What a model answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    /// Each held-out conversation's labelled tokens.
    pub(super) held_out: Vec<Vec<TokenScore>>,
    /// Each task's questions.
    pub(super) tasks: Vec<TaskAnswers>,
    /// Each probe's tokens but the first.
    pub(super) probes: Vec<Vec<TokenScore>>,
    /// How many probes the model's own tokenizer reads as other tokens; `None` where it has none.
    pub(super) read_otherwise: Option<usize>,
    /// What it says to each probe.
    pub(super) replies: Vec<Reply>,
}

/// What a model answered to a task's questions.
#[derive(Clone, Debug)]
pub(super) enum TaskAnswers {
    /// The log likelihood of each choice, in nats.
    Choice(Vec<Vec<f64>>),
    /// What it writes.
    Generation(Vec<String>),
}

/// What a model says to a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// Tokens, without the one that ends it.
    pub(super) tokens: usize,
    /// Whether it ends by itself.
    pub(super) has_ended: bool,
}

/// Why a model gave no answers: how that stands, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unasked {
    pub(super) status: SanityStatus,
    pub(super) reason: String,
}

/// Whoever follows the checks.
pub(super) struct Follower<'a> {
    pub(super) tell: &'a mut dyn FnMut(&SanityProgress) -> ControlFlow<()>,
}

impl Follower<'_> {
    /// Tells how far it is; errors if it is to end here.
    pub(super) fn step(&mut self, what: &str, done: u64, total: u64) -> Result<(), SanityError> {
        let told = SanityProgress {
            what: what.to_owned(),
            done,
            total,
        };
        match (self.tell)(&told) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(SanityError::Interrupted),
        }
    }
}

/// Opens a form of the candidate, or the base, and asks it.
///
/// A model whose numbers are not finite and one that this build cannot compute with are no errors.
pub(super) fn ask(
    form: &Form<'_>,
    request: &SanityRequest,
    examination: &Examination,
    wanted: Wanted,
    follower: &mut Follower<'_>,
) -> Result<Result<Answers, Unasked>, SanityError> {
    let name = form.name();
    follower.step(&format!("opening {name}"), 0, 0)?;
    let mut opened = open_likelihood(&source(form, request, examination.longest));
    let asked = match &mut opened {
        Ok(model) => {
            let mut session = Session {
                model: model.as_mut(),
                examination,
                follower,
                what: format!("asking {name}"),
                done: 0,
                total: 0,
            };
            session.answers(request, wanted)
        }
        Err(_) => Ok(Answers::default()),
    };
    let asked = match opened {
        Ok(_) => asked,
        Err(error) => Err(error.into()),
    };
    match asked {
        Ok(answers) => Ok(Ok(answers)),
        Err(SanityError::Likelihood(error)) if is_not_finite(&error) => Ok(Err(Unasked {
            status: SanityStatus::Failed,
            reason: format!("`{name}`: {error}"),
        })),
        Err(SanityError::Likelihood(error @ LikelihoodError::NotBuilt { .. })) => {
            Ok(Err(Unasked {
                status: SanityStatus::NotDone,
                reason: error.to_string(),
            }))
        }
        Err(error) => Err(error),
    }
}

/// Tells whether a model's weights, or what it computes, are no numbers.
fn is_not_finite(error: &LikelihoodError) -> bool {
    match error {
        LikelihoodError::NotFinite { .. } => true,
        LikelihoodError::Model(ModelError::Tensor { problem, .. }) => {
            matches!(problem, TensorProblem::NotFinite)
        }
        _ => false,
    }
}

fn source(form: &Form<'_>, request: &SanityRequest, longest: usize) -> LikelihoodSource {
    let checkpoint = |directory: &std::path::Path, adapter: Option<&std::path::Path>| {
        // A merged checkpoint is computed as it will be served.
        let is_base = directory == request.base;
        LikelihoodSource::Checkpoint {
            directory: directory.to_owned(),
            adapter: adapter.map(std::path::Path::to_owned),
            load_in_4bit: request.load_in_4bit && is_base,
            device: DeviceChoice::Auto,
        }
    };
    match form {
        Form::Gguf(path) => LikelihoodSource::Gguf {
            path: (*path).to_owned(),
            longest,
        },
        Form::Checkpoint(path) => checkpoint(path, None),
        Form::Adapter(path) => checkpoint(&request.base, Some(path)),
    }
}

struct Session<'a, 'b> {
    model: &'a mut dyn LikelihoodModel,
    examination: &'a Examination,
    follower: &'a mut Follower<'b>,
    what: String,
    done: u64,
    total: u64,
}

impl Session<'_, '_> {
    fn answers(&mut self, request: &SanityRequest, wanted: Wanted) -> Result<Answers, SanityError> {
        let examination = self.examination;
        let probes: &[_] = examination.probes.as_deref().unwrap_or_default();
        let of_tasks = examination
            .tasks
            .iter()
            .map(PreparedTask::requests)
            .sum::<usize>();
        let measures = if wanted.measures {
            examination.held_out.len() + of_tasks
        } else {
            0
        };
        let rounds = usize::from(wanted.probes) + usize::from(wanted.replies);
        self.total = (measures + probes.len() * rounds) as u64;
        let mut answers = Answers::default();
        if wanted.measures {
            for example in &examination.held_out {
                self.step()?;
                answers.held_out.push(self.model.token_scores(example)?);
            }
            for task in &examination.tasks {
                answers.tasks.push(self.task(task)?);
            }
        }
        if wanted.probes {
            for probe in probes {
                self.step()?;
                answers
                    .probes
                    .push(self.model.token_scores(&probe.example)?);
            }
            let mut otherwise = None;
            for probe in probes {
                if let Some(own) = self.model.own_tokens(&probe.text) {
                    let differs = usize::from(own != probe.example.tokens);
                    otherwise = Some(otherwise.unwrap_or(0) + differs);
                }
            }
            answers.read_otherwise = otherwise;
        }
        if wanted.replies {
            for probe in probes {
                self.step()?;
                let id = &probe.example.id;
                let (tokens, has_ended) =
                    self.write(id, &probe.prompt, request.limits.reply_tokens, |_| {
                        Ok(false)
                    })?;
                answers.replies.push(Reply {
                    tokens: tokens.len(),
                    has_ended,
                });
            }
        }
        Ok(answers)
    }

    fn step(&mut self) -> Result<(), SanityError> {
        self.follower.step(&self.what, self.done, self.total)?;
        self.done += 1;
        Ok(())
    }

    fn task(&mut self, task: &PreparedTask) -> Result<TaskAnswers, SanityError> {
        match &task.prepared {
            Prepared::Choice(items) => {
                let mut found = Vec::with_capacity(items.len());
                for item in items {
                    let mut likelihoods = Vec::with_capacity(item.len());
                    for example in item {
                        self.step()?;
                        likelihoods.push(-self.model.likelihood(example)?.nll_sum);
                    }
                    found.push(likelihoods);
                }
                Ok(TaskAnswers::Choice(found))
            }
            Prepared::Generation(prompts, rules) => {
                let mut found = Vec::with_capacity(prompts.len());
                for (id, prompt) in prompts {
                    self.step()?;
                    found.push(self.answer(id, prompt, rules)?);
                }
                Ok(TaskAnswers::Generation(found))
            }
        }
    }

    /// Lets the model answer in its own words, up to a text that ends answers.
    fn answer(
        &mut self,
        id: &str,
        prompt: &[u32],
        rules: &GenerationRules,
    ) -> Result<String, SanityError> {
        let examination = self.examination;
        let eos = examination.tokenizer.eos().unwrap_or_default();
        let ends: Vec<&str> = (rules.until.iter().map(String::as_str))
            .chain([eos])
            .filter(|end| !end.is_empty())
            .collect();
        let text = |tokens: &[u32]| decoded(&examination.tokenizer, id, tokens);
        let (tokens, _) = self.write(id, prompt, rules.max_tokens, |tokens| {
            let said = text(tokens)?;
            Ok(ends.iter().any(|end| said.contains(end)))
        })?;
        let mut said = text(&tokens)?;
        for end in ends {
            if let Some(at) = said.find(end) {
                said.truncate(at);
            }
        }
        Ok(said)
    }

    /// Appends the likeliest token until the model stops, `is_over` says so, or there are `most`; tells
    /// whether the model stopped.
    fn write(
        &mut self,
        id: &str,
        prompt: &[u32],
        most: usize,
        mut is_over: impl FnMut(&[u32]) -> Result<bool, SanityError>,
    ) -> Result<(Vec<u32>, bool), SanityError> {
        let stops: &BTreeSet<u32> = self.examination.tokenizer.stops();
        let mut tokens = prompt.to_vec();
        for _ in 0..most {
            let next = self.model.next_token(id, &tokens)?;
            if stops.contains(&next) || self.model.stops_at(next) == Some(true) {
                return Ok((tokens.split_off(prompt.len()), true));
            }
            tokens.push(next);
            if is_over(&tokens[prompt.len()..])? {
                break;
            }
        }
        Ok((tokens.split_off(prompt.len()), false))
    }
}

fn decoded(tokenizer: &TextTokenizer, id: &str, tokens: &[u32]) -> Result<String, SanityError> {
    tokenizer
        .decode(tokens)
        .map_err(|error| SanityError::Request {
            detail: format!("{id}: {error}"),
        })
}
