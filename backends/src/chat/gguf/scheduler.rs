//! Continuous batching: every reply under way gets its next token from the same batch.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use shipworthy_schema::{FinishReason, Sampling};
use tokio::sync::oneshot;

use super::cores::CORES;
use super::sampler::Sampler;
use super::settings::Settings;
use super::slot::{Slots, common_prefix};

/// What the worker is asked to do.
pub(super) enum Order {
    /// Make one reply.
    Generate(Job),
    /// Let a conversation's cache go.
    EndThread(String),
}

/// A reply to make.
pub(super) struct Job {
    pub(super) thread: String,
    /// At least one token, and fewer than the context holds.
    pub(super) prompt: Vec<LlamaToken>,
    pub(super) sampling: Sampling,
    /// What the reply must look like, in GBNF.
    pub(super) grammar: Option<String>,
    /// Where the reply goes; nobody wants it any more once this is closed.
    pub(super) answer: oneshot::Sender<Result<Generated, Failure>>,
}

/// A reply made.
#[derive(Debug)]
pub(super) struct Generated {
    /// The text of all tokens but special ones.
    pub(super) text: String,
    pub(super) finish_reason: FinishReason,
    /// Tokens of the prompt found in the cache.
    pub(super) n_cached: usize,
    /// Tokens drawn, the end of the turn included.
    pub(super) n_drawn: usize,
}

/// Why a reply could not be made.
#[derive(Debug)]
pub(super) enum Failure {
    /// It never can be.
    Refused(String),
    /// llama.cpp failed.
    Decode(String),
}

/// A reply under way.
struct Run {
    slot: usize,
    /// Tokens to decode before the next one can be drawn; at least one between batches.
    pending: Vec<LlamaToken>,
    sampler: Sampler,
    max_tokens: usize,
    n_cached: usize,
    n_drawn: usize,
    text: Vec<u8>,
    /// Where in the batch just decoded the next token's logits are.
    logits_at: Option<i32>,
    answer: oneshot::Sender<Result<Generated, Failure>>,
}

/// The state of the thread that owns a context.
pub(super) struct Scheduler<'model> {
    model: &'model LlamaModel,
    context: LlamaContext<'model>,
    settings: Settings,
    batch: LlamaBatch<'static>,
    slots: Slots,
    waiting: VecDeque<Job>,
    /// In the order of their slots, as the cache is read in runs of neighbouring slots.
    runs: Vec<Run>,
    /// Whose turn it is first in a batch too small for all.
    next_slot: usize,
}

impl<'model> Scheduler<'model> {
    pub(super) fn new(
        model: &'model LlamaModel,
        context: LlamaContext<'model>,
        settings: Settings,
    ) -> Self {
        Self {
            model,
            context,
            settings,
            batch: LlamaBatch::new(settings.batch as usize, 1),
            slots: Slots::new(settings.parallel as usize),
            waiting: VecDeque::new(),
            runs: Vec::new(),
            next_slot: 0,
        }
    }

    /// Makes replies until nobody can ask for one any more.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        loop {
            if self.runs.is_empty() && self.waiting.is_empty() {
                let Ok(order) = orders.recv() else { return };
                self.take(order);
            }
            loop {
                match orders.try_recv() {
                    Ok(order) => self.take(order),
                    Err(TryRecvError::Empty) => break,
                    // The model was closed: nobody waits for the replies under way.
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.forget_cancelled();
            self.admit();
            self.step();
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Generate(job) => self.waiting.push_back(job),
            Order::EndThread(thread) => self.slots.end_thread(&thread),
        }
    }

    fn forget_cancelled(&mut self) {
        self.waiting.retain(|job| !job.answer.is_closed());
        let slots = &mut self.slots;
        self.runs.retain(|run| {
            let is_wanted = !run.answer.is_closed();
            if !is_wanted {
                slots.release(run.slot);
            }
            is_wanted
        });
    }

    /// Starts waiting jobs, first come, first served, while slots are free.
    fn admit(&mut self) {
        while let Some(job) = self.waiting.front() {
            let Some(slot) = self.slots.assign(&job.thread, &job.prompt) else {
                return;
            };
            let Some(job) = self.waiting.pop_front() else {
                return;
            };
            self.start(slot, job);
        }
    }

    fn start(&mut self, slot: usize, job: Job) {
        let sampler = match Sampler::new(self.model, &job.sampling, job.grammar.as_deref()) {
            Ok(sampler) => sampler,
            Err(detail) => {
                self.slots.release(slot);
                // The caller may have gone; then nobody needs the answer.
                let _ = job.answer.send(Err(Failure::Refused(detail)));
                return;
            }
        };
        let n_cached = self.rewind(slot, &job.prompt);
        let place = self.runs.partition_point(|run| run.slot < slot);
        self.runs.insert(
            place,
            Run {
                slot,
                pending: job.prompt[n_cached..].to_vec(),
                sampler,
                max_tokens: job.sampling.max_tokens as usize,
                n_cached,
                n_drawn: 0,
                text: Vec::new(),
                logits_at: None,
                answer: job.answer,
            },
        );
    }

    /// Takes back what a slot's cache holds beyond its common beginning with `prompt`; returns that
    /// beginning's length. At least one token stays to be decoded, for its logits.
    fn rewind(&mut self, slot: usize, prompt: &[LlamaToken]) -> usize {
        let cached = &mut self.slots.slot(slot).cached;
        let keep = if self.settings.can_rewind {
            common_prefix(cached, prompt).min(prompt.len().saturating_sub(1))
        } else {
            0
        };
        cached.truncate(keep);
        let first_removed = u32::try_from(keep).ok();
        if self
            .context
            .kv_cache_seq_rm(sequence(slot), first_removed, None)
            .is_ok()
        {
            return keep;
        }
        self.clear(slot);
        0
    }

    fn clear(&mut self, slot: usize) {
        self.slots.slot(slot).cached.clear();
        // Removing a whole sequence cannot fail (llama.h, llama_memory_seq_rm).
        let _ = self.context.kv_cache_seq_rm(sequence(slot), None, None);
    }

    /// Decodes one batch and draws a token for each reply that is ready for one.
    fn step(&mut self) {
        self.fill_batch();
        if self.batch.n_tokens() == 0 {
            return;
        }
        let decoded = {
            let _cores = CORES.borrow(self.settings.threads);
            let decoded = self.context.decode(&mut self.batch);
            if decoded.is_ok() {
                self.draw();
            }
            decoded
        };
        if let Err(error) = decoded {
            for run in std::mem::take(&mut self.runs) {
                self.clear(run.slot);
                self.slots.release(run.slot);
                // The caller may have gone; then nobody needs the answer.
                let _ = run.answer.send(Err(Failure::Decode(error.to_string())));
            }
        }
    }

    /// Puts the next token of every reply into the batch, then as much of the prompts as fits.
    fn fill_batch(&mut self) {
        self.batch.clear();
        let shares = self.shares();
        for (run, share) in self.runs.iter_mut().zip(shares) {
            let cached = &mut self.slots.slot(run.slot).cached;
            let is_all = share == run.pending.len();
            run.logits_at = None;
            for (i, token) in run.pending.drain(..share).enumerate() {
                let wants_logits = is_all && i + 1 == share;
                if wants_logits {
                    run.logits_at = Some(self.batch.n_tokens());
                }
                let position = i32::try_from(cached.len()).expect("a context has few tokens");
                self.batch
                    .add(token, position, &[sequence(run.slot)], wants_logits)
                    .expect("the shares add up to no more than the batch holds");
                cached.push(token);
            }
        }
    }

    /// Divides the batch between the runs: a token for each, in turns where the batch is too small,
    /// and the rest to prompts.
    fn shares(&mut self) -> Vec<usize> {
        let n_runs = self.runs.len();
        let mut left = self.settings.batch as usize;
        let mut shares = vec![0; n_runs];
        let first = self.runs.partition_point(|run| run.slot < self.next_slot);
        for i in (first..n_runs).chain(0..first) {
            if left == 0 {
                self.next_slot = self.runs[i].slot;
                return shares;
            }
            shares[i] = 1;
            left -= 1;
        }
        for (run, share) in self.runs.iter().zip(&mut shares) {
            let more = (run.pending.len() - *share).min(left);
            *share += more;
            left -= more;
        }
        shares
    }

    fn draw(&mut self) {
        let context_size = self.settings.context as usize;
        for mut run in std::mem::take(&mut self.runs) {
            let Some(index) = run.logits_at.take() else {
                self.runs.push(run);
                continue;
            };
            let token = match run.sampler.draw(&self.context, index) {
                Ok(token) => token,
                Err(detail) => {
                    self.slots.release(run.slot);
                    // The caller may have gone; then nobody needs the answer.
                    let _ = run.answer.send(Err(Failure::Refused(detail)));
                    continue;
                }
            };
            let vocab = self.model.vocab();
            run.n_drawn += 1;
            let finish_reason = if vocab.is_eog(token) {
                Some(FinishReason::Stop)
            } else {
                vocab.token_to_piece_into(token, &mut run.text, false, None);
                // The token itself needs a cell before another can follow it.
                let is_full = self.slots.slot(run.slot).cached.len() + 1 >= context_size;
                (run.n_drawn >= run.max_tokens || is_full).then_some(FinishReason::Length)
            };
            match finish_reason {
                None => {
                    run.pending.push(token);
                    self.runs.push(run);
                }
                Some(finish_reason) => {
                    self.slots.release(run.slot);
                    let generated = Generated {
                        text: String::from_utf8_lossy(&run.text).into_owned(),
                        finish_reason,
                        n_cached: run.n_cached,
                        n_drawn: run.n_drawn,
                    };
                    // The caller may have gone; then nobody needs the answer.
                    let _ = run.answer.send(Ok(generated));
                }
            }
        }
    }
}

fn sequence(slot: usize) -> i32 {
    i32::try_from(slot).expect("there are at most 256 slots")
}
