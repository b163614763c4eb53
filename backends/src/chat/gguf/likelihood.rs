//! How likely a GGUF file's model finds given tokens, and what it says next.
//!
//! A thread of its own has the model and its context, which borrows it; both go when the handle goes.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use shipworthy_datasets::TokenisedExample;

use super::settings::Settings;
use super::{header, worker};
use crate::OpenError;
use crate::likelihood::{
    Likelihood, LikelihoodError, LikelihoodModel, TokenScore, finite, likeliest,
};

/// Tokens computed at once.
const BATCH: usize = 512;

/// Work for the thread that has the model.
type Job = Box<dyn for<'a> FnOnce(&mut Engine<'a>) + Send>;

/// Opens the file at `path` for examples of at most `longest` tokens.
pub(crate) fn open(
    path: &Path,
    longest: usize,
) -> Result<Box<dyn LikelihoodModel>, LikelihoodError> {
    let (jobs, inbox) = mpsc::channel::<Job>();
    let (ready, loaded) = mpsc::channel();
    let file = path.to_owned();
    let worker = thread::Builder::new()
        .name("gguf-likelihood".to_owned())
        .spawn(move || work(&file, longest, &ready, &inbox))
        .map_err(|source| OpenError::File {
            path: path.to_owned(),
            source,
        })?;
    loaded.recv().map_err(|_| died(path))??;
    Ok(Box::new(GgufLikelihood {
        path: path.to_owned(),
        jobs: Some(jobs),
        worker: Some(worker),
    }))
}

fn died(path: &Path) -> LikelihoodError {
    LikelihoodError::Open(OpenError::Format {
        path: path.to_owned(),
        detail: "its worker thread died".to_owned(),
    })
}

/// Loads the model, tells `ready` how that went, and does jobs until there are no more to come.
fn work(
    path: &Path,
    longest: usize,
    ready: &mpsc::Sender<Result<(), LikelihoodError>>,
    inbox: &mpsc::Receiver<Job>,
) {
    // Whoever opened the model may have gone; then nobody has jobs either.
    let loaded = match load(path) {
        Ok(loaded) => loaded,
        Err(error) => {
            let _ = ready.send(Err(error.into()));
            return;
        }
    };
    let (header, model, backend) = loaded;
    let context = u32::try_from(longest).unwrap_or(u32::MAX);
    let settings = Settings::new(&model, &header, Some(context), None, 1);
    let Ok(context) = model.new_context(backend, settings.to_params()) else {
        let detail = format!(
            "llama.cpp cannot set up a conversation of {longest} tokens; split the longest example"
        );
        let _ = ready.send(Err(LikelihoodError::Mismatch { detail }));
        return;
    };
    let mut engine = Engine {
        context,
        model: &model,
        vocab_size: usize::try_from(model.n_vocab()).unwrap_or(0),
        step: (settings.batch as usize).clamp(1, BATCH),
        known: Vec::new(),
    };
    if ready.send(Ok(())).is_ok() {
        for job in inbox {
            job(&mut engine);
        }
    }
}

type Loaded = (
    header::Header,
    LlamaModel,
    &'static llama_cpp_2::llama_backend::LlamaBackend,
);

fn load(path: &Path) -> Result<Loaded, OpenError> {
    // Read first: llama.cpp trusts what a file says of itself.
    let header = header::read(path)?;
    let (model, backend) = worker::load_weights(path)?;
    Ok((header, model, backend))
}

struct GgufLikelihood {
    path: PathBuf,
    /// `None` only while the model is being dropped.
    jobs: Option<mpsc::Sender<Job>>,
    worker: Option<JoinHandle<()>>,
}

impl GgufLikelihood {
    /// Lets the thread that has the model do something, and waits for it.
    fn ask<T: Send + 'static>(
        &self,
        question: impl for<'a> FnOnce(&mut Engine<'a>) -> T + Send + 'static,
    ) -> Result<T, LikelihoodError> {
        let (answer, answered) = mpsc::channel();
        let job: Job = Box::new(move |engine| {
            // Who asked waits for it.
            let _ = answer.send(question(engine));
        });
        let sent = self.jobs.as_ref().and_then(|jobs| jobs.send(job).ok());
        let found = sent.and_then(|()| answered.recv().ok());
        found.ok_or_else(|| died(&self.path))
    }
}

impl Drop for GgufLikelihood {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has told whoever asked.
            let _ = worker.join();
        }
    }
}

impl LikelihoodModel for GgufLikelihood {
    fn likelihood(&mut self, example: &TokenisedExample) -> Result<Likelihood, LikelihoodError> {
        let scores = self.token_scores(example)?;
        Ok(Likelihood {
            nll_sum: scores.iter().map(|score| score.nll).sum(),
            labelled: scores.len(),
        })
    }

    fn token_scores(
        &mut self,
        example: &TokenisedExample,
    ) -> Result<Vec<TokenScore>, LikelihoodError> {
        let example = example.clone();
        self.ask(move |engine| engine.token_scores(&example))?
    }

    fn next_token(&mut self, id: &str, tokens: &[u32]) -> Result<u32, LikelihoodError> {
        let (id, tokens) = (id.to_owned(), tokens.to_vec());
        self.ask(move |engine| engine.next_token(&id, &tokens))?
    }

    fn own_tokens(&mut self, text: &str) -> Option<Vec<u32>> {
        let text = text.to_owned();
        let tokens = self.ask(move |engine| {
            let vocab = engine.model.vocab();
            vocab.tokenize(text.as_bytes(), false, true)
        });
        let tokens = tokens.ok()?.into_iter();
        tokens.map(|token| u32::try_from(token.0).ok()).collect()
    }

    fn stops_at(&mut self, token: u32) -> Option<bool> {
        let token = LlamaToken(i32::try_from(token).ok()?);
        let asked = self.ask(move |engine| engine.model.vocab().is_eog(token));
        asked.ok()
    }
}

struct Engine<'a> {
    context: LlamaContext<'a>,
    model: &'a LlamaModel,
    vocab_size: usize,
    /// Tokens computed at once.
    step: usize,
    /// The tokens whose keys and values the context has.
    known: Vec<u32>,
}

impl Engine<'_> {
    fn token_scores(
        &mut self,
        example: &TokenisedExample,
    ) -> Result<Vec<TokenScore>, LikelihoodError> {
        let tokens = &example.tokens;
        let wanted = |position: usize| example.labelled.get(position + 1) == Some(&true);
        self.known.clear();
        let mut scores = Vec::with_capacity(example.labelled_count());
        self.decode(&example.id, tokens, wanted, |position, logits| {
            scores.push(TokenScore::of(logits, tokens[position + 1]));
        })?;
        finite(scores, &example.id)
    }

    fn next_token(&mut self, id: &str, tokens: &[u32]) -> Result<u32, LikelihoodError> {
        let last = tokens.len().saturating_sub(1);
        let mut next = None;
        let wanted = |position| position == last;
        self.decode(id, tokens, wanted, |_, logits| {
            let is_finite = logits.iter().all(|logit| logit.is_finite());
            next = is_finite.then(|| likeliest(logits));
        })?;
        next.ok_or_else(|| LikelihoodError::NotFinite { id: id.to_owned() })
    }

    /// Computes what is not known of `tokens` yet, and gives `take` the logits of wanted positions.
    fn decode(
        &mut self,
        id: &str,
        tokens: &[u32],
        wanted: impl Fn(usize) -> bool,
        mut take: impl FnMut(usize, &[f32]),
    ) -> Result<(), LikelihoodError> {
        let failed = |detail: String| LikelihoodError::Computation {
            id: id.to_owned(),
            detail,
        };
        let is_unknown = |token: &&u32| **token as usize >= self.vocab_size;
        if let Some(token) = tokens.iter().find(is_unknown) {
            let detail = format!(
                "example `{id}` has token {token}, and the file's vocabulary ends at {}: the \
                 tokenizer is another model's",
                self.vocab_size
            );
            return Err(LikelihoodError::Mismatch { detail });
        }
        let goes_on = self.known.len() < tokens.len() && tokens.starts_with(&self.known);
        if !goes_on || self.known.is_empty() {
            self.known.clear();
            self.context.clear_kv_cache();
        }
        let known = std::mem::take(&mut self.known).len();
        let mut batch = LlamaBatch::new(self.step, 1);
        for begin in (known..tokens.len()).step_by(self.step) {
            let end = (begin + self.step).min(tokens.len());
            batch.clear();
            for (position, &token) in (begin..end).zip(&tokens[begin..end]) {
                let token = LlamaToken(i32::try_from(token).unwrap_or(i32::MAX));
                let place = i32::try_from(position).unwrap_or(i32::MAX);
                batch
                    .add(token, place, &[0], wanted(position))
                    .map_err(|error| failed(error.to_string()))?;
            }
            self.context
                .decode(&mut batch)
                .map_err(|error| failed(format!("llama.cpp failed to decode: {error}")))?;
            for position in (begin..end).filter(|&position| wanted(position)) {
                let idx = i32::try_from(position - begin).unwrap_or(i32::MAX);
                take(position, self.context.get_logits_ith(idx));
            }
        }
        // Only a sequence that was computed to its end is known.
        self.known = tokens.to_vec();
        Ok(())
    }
}
