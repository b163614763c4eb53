use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value};
use shipworthy_datasets::TokenisedExample;

use super::checkpoint::{
    LoadedCheckpoint, Saved, checkpoints, differences, directory_name, discard, save, settings,
};
use super::error::TrainingError;
use super::evaluation::evaluate;
use super::event::{
    Ending, Evaluation, LogLine, StepRecord, TrainingEvent, TrainingOutcome, TrainingPlan,
    TrainingWarning,
};
use super::job::{TrainingJob, Watch};
use super::learning_rate::learning_rate;
use super::log_history::LogEntry;
use super::not_finite::offenders;
use super::options::{Optim, TrainingOptions};
use super::order::{dropout_seed, example_key};
use super::out_of_memory::{Attempt, explain};
use super::output;
use super::progress::{Best, Progress};
use super::step_plan::{OrderCache, StepPlan};
use crate::adapter::weights_file;
use crate::batch::Batch;
use crate::decoder::{Decoder, Pass};
use crate::error::NativeError;
use crate::optimiser::{Optimiser, OptimiserKind, clip_gradients};
use crate::parameters::Gradients;

/// β₁ and β₂ of `AdamW`, which transformers takes for granted.
const BETAS: (f64, f64) = (0.9, 0.999);
/// ε of `AdamW`, which transformers takes for granted.
const EPSILON: f64 = 1e-8;

/// Trains a model and writes it, with checkpoints on the way.
///
/// The decoder ends with the weights that were written: the best held-out ones where there was an
/// evaluation, else the last. A run that is resumed from any checkpoint of its own leaves the same bytes
/// as one that is not interrupted. Whatever is wrong with options, data, output or checkpoint is an error
/// before anything is computed.
pub fn train(
    decoder: &mut Decoder,
    job: &TrainingJob<'_>,
    watch: &mut Watch<'_>,
) -> Result<TrainingOutcome, TrainingError> {
    let mut run = Run::begin(decoder, job, watch)?;
    let ending = run.go()?;
    let outcome = run.finish(ending)?;
    run.tell(TrainingEvent::Finished(outcome.clone()));
    Ok(outcome)
}

/// A training run under way.
struct Run<'a, 'w> {
    decoder: &'a mut Decoder,
    job: &'a TrainingJob<'a>,
    watch: &'a mut Watch<'w>,
    plan: StepPlan,
    orders: OrderCache,
    optimiser: Optimiser,
    settings: Map<String, Value>,
    progress: Progress,
    /// Whether the checkpoint of this step is on disk, with all that is known by now.
    is_saved: bool,
    begun: Duration,
    /// How long the steps took that no line of the log has told of yet.
    unlogged: Duration,
}

impl<'a, 'w> Run<'a, 'w> {
    /// Checks everything, takes up a checkpoint if there is one, and tries the longest batch.
    fn begin(
        decoder: &'a mut Decoder,
        job: &'a TrainingJob<'a>,
        watch: &'a mut Watch<'w>,
    ) -> Result<Self, TrainingError> {
        let (options, data) = (job.options, job.data);
        options.check()?;
        data.check(decoder.hyper_parameters().vocab_size as usize)?;
        check_evaluation(options, &data.eval)?;
        let lengths: Vec<usize> = data.train.iter().map(|one| one.tokens.len()).collect();
        let plan = StepPlan::new(&lengths, options);
        check_labels(&plan, &data.train)?;
        let [train, eval] = data.digests();
        let settings =
            settings(options, job.model, [&train, &eval]).expect("numbers and strings are JSON");
        let kind = match options.optim {
            Optim::AdamwTorch => OptimiserKind::AdamW,
            Optim::Adamw8bit => OptimiserKind::AdamW8bit,
        };
        let decay = options.weight_decay;
        let mut optimiser = Optimiser::new(kind, BETAS, EPSILON, decay, decoder.parameters());
        let mut progress = Progress::default();
        if let Some(path) = job.resume {
            let checkpoint = LoadedCheckpoint::open(path)?;
            let differences = differences(&checkpoint.settings, &settings);
            if !differences.is_empty() {
                let path = path.to_owned();
                return Err(TrainingError::Differs { path, differences });
            }
            checkpoint.load_optimiser(&mut optimiser)?;
            let weights = weights_file(&job.model.form);
            checkpoint.load_weights(weights, decoder.parameters_mut())?;
            progress = checkpoint.progress;
        }
        output::prepare(job.output, job.model, job.resume.is_some())?;
        let begun = (watch.clock)();
        let mut run = Self {
            decoder,
            job,
            watch,
            plan,
            orders: OrderCache::default(),
            optimiser,
            settings,
            progress,
            is_saved: job.resume.is_some(),
            begun,
            unlogged: Duration::ZERO,
        };
        run.tell_plan(&lengths);
        run.try_longest_batch(&lengths)?;
        Ok(run)
    }

    /// Takes all steps that are left.
    fn go(&mut self) -> Result<Ending, TrainingError> {
        loop {
            if self.is_evaluation_due() && !self.evaluate()? {
                return self.interrupt();
            }
            let is_over = self.progress.step >= self.plan.steps || self.progress.stopped_early;
            if self.progress.step > 0 && !self.is_saved && (is_over || self.is_save_due()) {
                self.save()?;
            }
            if self.progress.stopped_early {
                return Ok(Ending::StoppedEarly);
            }
            if is_over {
                return Ok(Ending::Complete);
            }
            if self.watch.stop.load(Ordering::Relaxed) || !self.take_step()? {
                return self.interrupt();
            }
        }
    }

    /// Takes a step; false if it was asked to stop before the last of its batches, so that nothing has
    /// changed.
    fn take_step(&mut self) -> Result<bool, TrainingError> {
        let begun = (self.watch.clock)();
        let (options, data) = (self.job.options, self.job.data);
        let number = self.progress.step + 1;
        let step = self.plan.step(self.progress.step, &mut self.orders);
        let examples = || step.batches.iter().flatten().map(|&one| &data.train[one]);
        let labelled: usize = examples().map(TokenisedExample::labelled_count).sum();
        let tokens: usize = examples().map(|example| example.tokens.len()).sum();
        let pass = Pass {
            gradient_scale: 1.0 / labelled as f64,
            dropout_seed: Some(dropout_seed(options.seed, self.progress.step)),
            checkpointing: options.gradient_checkpointing,
            loss_chunk: options.loss_chunk,
        };
        let mut gradients = Gradients::new(self.decoder.parameters());
        let mut sum = 0.0;
        for (idx, examples) in step.batches.iter().enumerate() {
            let batch = self.batch(examples, step.epoch);
            let attempt = Attempt::new("in a step", &batch);
            let loss = self.decoder.accumulate(&batch, &pass, &mut gradients);
            let loss = loss.map_err(|error| explain(error, attempt, options))?;
            // One by one, so that the sum is the same however a step is split.
            for sequence in &loss.sequences {
                sum += sequence.nll_sum;
            }
            self.tell(TrainingEvent::BatchPassed {
                step: number,
                batch: idx + 1,
                batches: step.batches.len(),
                tokens: batch.tokens().len(),
            });
            let is_last = idx + 1 == step.batches.len();
            if !is_last && self.watch.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
        }
        let loss = sum / labelled as f64;
        let parameters = self.decoder.parameters();
        let max_norm = options.max_grad_norm.unwrap_or(0.0);
        let norm = if loss.is_finite() {
            clip_gradients(&mut gradients, parameters, max_norm)
        } else {
            Ok(f64::NAN)
        };
        let grad_norm = match norm {
            Ok(norm) if norm.is_finite() => norm,
            Err(NativeError::Tensor(error)) => return Err(NativeError::from(error).into()),
            _ => {
                return Err(TrainingError::NotFinite {
                    what: if loss.is_finite() {
                        "the gradient"
                    } else {
                        "the loss"
                    },
                    step: number,
                    ids: offenders(self.decoder, data, &step, &pass)?,
                });
            }
        };
        let learning_rate = learning_rate(options, self.progress.step, self.plan.steps);
        self.optimiser
            .step(self.decoder.parameters_mut(), &gradients, learning_rate)?;
        let record = StepRecord {
            step: number,
            epoch: self.plan.epoch_after(number),
            loss,
            grad_norm,
            learning_rate,
            tokens,
            labelled,
            duration: (self.watch.clock)().saturating_sub(begun),
        };
        self.record(record);
        Ok(true)
    }

    /// Notes what a step has done, and logs it if it is time.
    fn record(&mut self, record: StepRecord) {
        let progress = &mut self.progress;
        progress.step = record.step;
        progress.tokens_seen += record.tokens;
        progress.total_loss += record.loss;
        progress.unlogged_loss += record.loss;
        progress.unlogged_tokens += record.tokens;
        self.unlogged += record.duration;
        self.is_saved = false;
        self.tell(TrainingEvent::StepTaken(record));
        if record.step.is_multiple_of(self.job.options.logging_steps) {
            let progress = &mut self.progress;
            let steps = record.step - progress.logged_step;
            let line = LogLine {
                step: record.step,
                epoch: record.epoch,
                loss: progress.unlogged_loss / steps as f64,
                grad_norm: record.grad_norm,
                learning_rate: record.learning_rate,
                tokens_seen: progress.tokens_seen,
                tokens: progress.unlogged_tokens,
                duration: std::mem::take(&mut self.unlogged),
            };
            progress.log_history.push(LogEntry::from(&line));
            progress.logged_step = record.step;
            progress.unlogged_loss = 0.0;
            progress.unlogged_tokens = 0;
            self.tell(TrainingEvent::Logged(line));
        }
    }

    fn is_evaluation_due(&self) -> bool {
        let step = self.progress.step;
        let is_its_turn = |every: usize| step.is_multiple_of(every) || step == self.plan.steps;
        let every = self.job.options.eval_steps;
        step > 0 && self.progress.evaluated_step != step && every.is_some_and(is_its_turn)
    }

    /// Looks at the held-out examples; false if it was asked to stop before the last of them.
    fn evaluate(&mut self) -> Result<bool, TrainingError> {
        let begun = (self.watch.clock)();
        let (options, examples) = (self.job.options, &self.job.data.eval);
        let step = self.progress.step;
        let found = evaluate(self.decoder, examples, options, step, self.watch.stop)?;
        let Some(found) = found else {
            return Ok(false);
        };
        let progress = &mut self.progress;
        let is_best = progress.best.is_none_or(|best| found.loss < best.loss);
        if is_best {
            let loss = found.loss;
            progress.best = Some(Best { step, loss });
            progress.evaluations_since_best = 0;
        } else {
            progress.evaluations_since_best += 1;
        }
        progress.evaluated_step = step;
        self.is_saved = false;
        let evaluation = Evaluation {
            step,
            epoch: self.plan.epoch_after(step),
            loss: found.loss,
            labelled: found.labelled,
            is_best,
            duration: (self.watch.clock)().saturating_sub(begun),
        };
        progress.log_history.push(LogEntry::from(&evaluation));
        self.tell(TrainingEvent::Evaluated(evaluation));
        let since = self.progress.evaluations_since_best;
        let patience = options.early_stopping_patience;
        let is_short_of_the_end = step < self.plan.steps;
        if let Some(best) = self.progress.best
            && is_short_of_the_end
            && patience.is_some_and(|patience| since >= patience)
        {
            self.progress.stopped_early = true;
            self.tell(TrainingEvent::StoppingEarly {
                step,
                evaluations: since,
                best_step: best.step,
                best_loss: best.loss,
            });
        }
        Ok(true)
    }

    /// Tells whether this step's checkpoint is kept for its own sake.
    fn is_in_turn(&self) -> bool {
        let step = self.progress.step;
        let is_over = step >= self.plan.steps || self.progress.stopped_early;
        let every = self.job.options.save_steps;
        is_over || every.is_some_and(|every| step.is_multiple_of(every))
    }

    fn is_save_due(&self) -> bool {
        let best = self.progress.best.map(|best| best.step);
        self.is_in_turn() || best == Some(self.progress.step)
    }

    /// Saves a checkpoint, and removes those that are not kept any longer.
    fn save(&mut self) -> Result<PathBuf, TrainingError> {
        let step = self.progress.step;
        let best = self.progress.best.map(|best| best.step);
        let earlier = std::mem::take(&mut self.progress.out_of_turn);
        let (mut kept, gone): (Vec<usize>, Vec<usize>) = earlier
            .into_iter()
            .filter(|&one| one != step)
            .partition(|&one| Some(one) == best);
        if !self.is_in_turn() {
            kept.push(step);
        }
        self.progress.out_of_turn = kept;
        let directory = save(&Saved {
            output: self.job.output,
            model: self.job.model,
            decoder: self.decoder,
            optimiser: &self.optimiser,
            options: self.job.options,
            plan: &self.plan,
            progress: &self.progress,
            settings: &self.settings,
        })?;
        self.is_saved = true;
        self.tell(TrainingEvent::CheckpointSaved {
            step,
            directory: directory.clone(),
        });
        for one in gone {
            self.remove(one)?;
        }
        self.remove_beyond_limit()?;
        Ok(directory)
    }

    /// Removes the oldest checkpoints beyond `save_total_limit`; never the best, nor the one just saved.
    fn remove_beyond_limit(&mut self) -> Result<(), TrainingError> {
        let Some(limit) = self.job.options.save_total_limit else {
            return Ok(());
        };
        let best = self.progress.best.map(|best| best.step);
        let is_kept = |step: usize| step == self.progress.step || Some(step) == best;
        let found = checkpoints(self.job.output)?;
        let kept = found.iter().filter(|(step, _)| is_kept(*step)).count();
        let excess = found.len().saturating_sub(limit.max(kept));
        let steps = found.iter().map(|(step, _)| *step);
        let gone: Vec<usize> = steps.filter(|&step| !is_kept(step)).take(excess).collect();
        gone.into_iter().try_for_each(|step| self.remove(step))
    }

    fn remove(&mut self, step: usize) -> Result<(), TrainingError> {
        let directory = self.job.output.join(directory_name(step));
        if directory.is_dir() {
            discard(self.job.output, step)?;
            self.tell(TrainingEvent::CheckpointRemoved { directory });
        }
        Ok(())
    }

    /// Saves what there is, to be gone on from.
    fn interrupt(&mut self) -> Result<Ending, TrainingError> {
        if self.progress.step > 0 && !self.is_saved {
            self.save()?;
        }
        Ok(Ending::Interrupted)
    }

    /// Takes the best weights back and writes the model, unless interrupted.
    fn finish(&mut self, ending: Ending) -> Result<TrainingOutcome, TrainingError> {
        if ending != Ending::Interrupted {
            self.load_best()?;
            output::write(self.job.output, self.job.model, self.decoder)?;
        }
        let progress = &self.progress;
        let own = self.job.output.join(directory_name(progress.step));
        let resumed = self.job.resume.map(std::path::Path::to_path_buf);
        Ok(TrainingOutcome {
            ending,
            steps: progress.step,
            epoch: self.plan.epoch_after(progress.step),
            train_loss: progress.total_loss / progress.step.max(1) as f64,
            tokens_seen: progress.tokens_seen,
            best: progress.best.map(|best| (best.step, best.loss)),
            checkpoint: if own.is_dir() { Some(own) } else { resumed },
            duration: (self.watch.clock)().saturating_sub(self.begun),
        })
    }

    fn load_best(&mut self) -> Result<(), TrainingError> {
        let Some(Best { step, loss }) = self.progress.best else {
            return Ok(());
        };
        if step == self.progress.step {
            return Ok(());
        }
        let name = directory_name(step);
        // A run may go on from a checkpoint in another directory than it writes to.
        let beside = self.job.resume.and_then(std::path::Path::parent);
        let places = std::iter::once(self.job.output).chain(beside);
        let mut places = places.map(|place| place.join(&name));
        let Some(place) = places.find(|place| place.is_dir()) else {
            self.tell(TrainingEvent::Warning(TrainingWarning::BestAbsent { step }));
            return Ok(());
        };
        let weights = weights_file(&self.job.model.form);
        let checkpoint = LoadedCheckpoint::open(&place)?;
        checkpoint.load_weights(weights, self.decoder.parameters_mut())?;
        self.tell(TrainingEvent::BestLoaded { step, loss });
        Ok(())
    }

    /// Tells what is about to be done, and what may be wrong with it.
    fn tell_plan(&mut self, lengths: &[usize]) {
        let data = self.job.data;
        let warmup_steps = self.job.options.warmup.steps(self.plan.steps);
        let longest = self.plan.longest_batch(lengths);
        let plan = TrainingPlan {
            examples: data.train.len(),
            eval_examples: data.eval.len(),
            rows: self.plan.row_count(),
            batches_per_epoch: self.plan.batches_per_epoch,
            steps_per_epoch: self.plan.steps_per_epoch,
            steps: self.plan.steps,
            epochs: self.plan.epochs,
            warmup_steps,
            tokens_per_epoch: lengths.iter().sum(),
            labelled_per_epoch: data
                .train
                .iter()
                .map(TokenisedExample::labelled_count)
                .sum(),
            longest_batch: longest.iter().map(|&example| lengths[example]).sum(),
            trained_values: self.decoder.parameters().element_count(),
            resumed_at: self.progress.step,
            resumed_labelled: self.labelled_so_far(),
        };
        self.tell(TrainingEvent::Planned(plan));
        let unlabelled = data
            .train
            .iter()
            .filter(|example| example.labelled_count() == 0);
        let ids: Vec<String> = unlabelled.map(|example| example.id.clone()).collect();
        if !ids.is_empty() {
            self.tell(TrainingEvent::Warning(TrainingWarning::Unlabelled { ids }));
        }
        if self.job.options.eval_steps.is_none() && !data.eval.is_empty() {
            self.tell(TrainingEvent::Warning(TrainingWarning::NeverEvaluated));
        }
        let steps = self.plan.steps;
        if warmup_steps >= steps {
            self.tell(TrainingEvent::Warning(TrainingWarning::WarmupTooLong {
                warmup_steps,
                steps,
            }));
        }
    }

    /// Returns how many tokens the steps so far have learnt, which follows from the order of the data.
    fn labelled_so_far(&self) -> usize {
        let mut orders = OrderCache::default();
        let examples = (0..self.progress.step)
            .flat_map(|step| self.plan.step(step, &mut orders).batches)
            .flatten();
        let labelled = examples.map(|example| self.job.data.train[example].labelled_count());
        labelled.sum()
    }

    /// Sends the batch with most tokens forward and back and throws the gradients away, so that memory
    /// runs out at once if it does.
    fn try_longest_batch(&mut self, lengths: &[usize]) -> Result<(), TrainingError> {
        if self.progress.step >= self.plan.steps || self.progress.stopped_early {
            return Ok(());
        }
        let begun = (self.watch.clock)();
        let options = self.job.options;
        let batch = self.batch(&self.plan.longest_batch(lengths), 0);
        let pass = Pass {
            gradient_scale: 1.0 / batch.labelled_count().max(1) as f64,
            dropout_seed: Some(dropout_seed(options.seed, 0)),
            checkpointing: options.gradient_checkpointing,
            loss_chunk: options.loss_chunk,
        };
        let mut gradients = Gradients::new(self.decoder.parameters());
        let attempt = Attempt::new("while the longest batch was tried", &batch);
        self.decoder
            .accumulate(&batch, &pass, &mut gradients)
            .map_err(|error| explain(error, attempt, options))?;
        drop(gradients);
        self.tell(TrainingEvent::LongestBatchPassed {
            tokens: batch.tokens().len(),
            sequences: batch.sequences().len(),
            duration: (self.watch.clock)().saturating_sub(begun),
        });
        Ok(())
    }

    fn batch(&self, examples: &[usize], epoch: usize) -> Batch {
        let train = &self.job.data.train;
        let keyed = examples
            .iter()
            .map(|&one| (&train[one], example_key(one, epoch)));
        Batch::new(keyed)
    }

    fn tell(&mut self, event: TrainingEvent) {
        (self.watch.observe)(event);
    }
}

/// Errors if held-out examples are asked for and there are none, or if nobody would look at them.
fn check_evaluation(
    options: &TrainingOptions,
    eval: &[TokenisedExample],
) -> Result<(), TrainingError> {
    let asked = [
        ("eval_steps", options.eval_steps.is_some()),
        (
            "early_stopping_patience",
            options.early_stopping_patience.is_some(),
        ),
    ];
    for (field, is_asked) in asked {
        if is_asked && eval.is_empty() {
            return Err(TrainingError::NoEvaluationData { field });
        }
    }
    if options.early_stopping_patience.is_some() && options.eval_steps.is_none() {
        return Err(TrainingError::NeverEvaluated);
    }
    Ok(())
}

/// Errors with the first batch that has no labelled token.
fn check_labels(plan: &StepPlan, train: &[TokenisedExample]) -> Result<(), TrainingError> {
    // Where every example has one, so has every batch.
    if train.iter().all(|example| example.labelled_count() > 0) {
        return Ok(());
    }
    let is_without = |batch: &Vec<usize>| {
        let mut examples = batch.iter().map(|&example| &train[example]);
        examples.all(|example| example.labelled_count() == 0)
    };
    match plan.batches().find(is_without) {
        Some(batch) => Err(TrainingError::NoLabels {
            ids: batch
                .iter()
                .map(|&example| train[example].id.clone())
                .collect(),
        }),
        None => Ok(()),
    }
}
