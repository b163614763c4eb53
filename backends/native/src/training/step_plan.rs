use shipworthy_datasets::pack;

use super::options::{TrainingLength, TrainingOptions};
use super::order::epoch_order;

/// Rows looked at, at most, for the longest batch of a run; orders of more epochs than that are much the
/// same.
const LOOKED_AT: usize = 10_000_000;

/// Which examples go into which batch of which step.
#[derive(Clone, Debug)]
pub(super) struct StepPlan {
    /// Examples that go through the model as one row.
    rows: Vec<Vec<usize>>,
    batch_size: usize,
    accumulation: usize,
    /// The seed of the orders; none leaves rows in theirs.
    seed: Option<u64>,
    /// Batches in an epoch.
    pub(super) batches_per_epoch: usize,
    /// Steps in an epoch.
    pub(super) steps_per_epoch: usize,
    /// Steps in all.
    pub(super) steps: usize,
    /// Epochs begun.
    pub(super) epochs: usize,
}

/// What one step goes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The epoch, from 0.
    pub(super) epoch: usize,
    /// Examples of each batch.
    pub(super) batches: Vec<Vec<usize>>,
}

/// The order of the epoch last asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct OrderCache(Option<(usize, Vec<usize>)>);

impl StepPlan {
    /// Plans a run over examples of so many tokens; counts as transformers does.
    ///
    /// The last batch of an epoch, and its last step, may be smaller; both are used.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "epochs are checked to be positive and below a million"
    )]
    pub(super) fn new(lengths: &[usize], options: &TrainingOptions) -> Self {
        let rows = match options.packing {
            Some(capacity) => in_order(pack(lengths, capacity)),
            None => (0..lengths.len()).map(|example| vec![example]).collect(),
        };
        let batches_per_epoch = rows.len().div_ceil(options.per_device_train_batch_size);
        let steps_per_epoch = batches_per_epoch
            .div_ceil(options.gradient_accumulation_steps)
            .max(1);
        let (steps, epochs) = match options.length {
            TrainingLength::NumTrainEpochs(epochs) => {
                let steps = (epochs * steps_per_epoch as f64).ceil() as usize;
                (steps, epochs.ceil() as usize)
            }
            TrainingLength::MaxSteps(steps) => (steps, steps.div_ceil(steps_per_epoch)),
        };
        Self {
            rows,
            batch_size: options.per_device_train_batch_size,
            accumulation: options.gradient_accumulation_steps,
            seed: options.shuffle.then_some(options.seed),
            batches_per_epoch,
            steps_per_epoch,
            steps,
            epochs,
        }
    }

    /// Returns how many rows an epoch has.
    pub(super) fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// Returns what a step goes through; `step` counts from 0.
    pub(super) fn step(&self, step: usize, cache: &mut OrderCache) -> Step {
        let epoch = step / self.steps_per_epoch;
        let order = cache.order(epoch, self);
        let per_step = self.batch_size.saturating_mul(self.accumulation);
        let first = (step % self.steps_per_epoch).saturating_mul(per_step);
        let end = first.saturating_add(per_step).min(order.len());
        let batches = order[first..end]
            .chunks(self.batch_size)
            .map(|rows| self.examples(rows))
            .collect();
        Step { epoch, batches }
    }

    /// Returns how many epochs are done after so many steps, with the fraction of the one under way, as
    /// transformers counts them: by batches.
    pub(super) fn epoch_after(&self, steps: usize) -> f64 {
        let Some(last) = steps.checked_sub(1) else {
            return 0.0;
        };
        let steps_of_epoch = last % self.steps_per_epoch + 1;
        let batches = steps_of_epoch.saturating_mul(self.accumulation);
        let batches = batches.min(self.batches_per_epoch);
        (last / self.steps_per_epoch) as f64 + batches as f64 / self.batches_per_epoch as f64
    }

    /// Returns the examples of the batch with most tokens, of all that will be.
    pub(super) fn longest_batch(&self, lengths: &[usize]) -> Vec<usize> {
        self.batches()
            .max_by_key(|batch| {
                let tokens: usize = batch.iter().map(|&example| lengths[example]).sum();
                let longest = batch.iter().map(|&example| lengths[example]).max();
                (tokens, longest)
            })
            .unwrap_or_default()
    }

    /// Returns the examples of the batches that will be, up to a number of rows.
    pub(super) fn batches(&self) -> impl Iterator<Item = Vec<usize>> + '_ {
        let epochs = match self.seed {
            Some(_) => self.epochs.min(LOOKED_AT / self.rows.len().max(1) + 1),
            None => self.epochs.min(1),
        };
        let mut cache = OrderCache::default();
        let steps = self.steps.min(epochs.saturating_mul(self.steps_per_epoch));
        (0..steps).flat_map(move |step| self.step(step, &mut cache).batches)
    }

    fn examples(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter()
            .flat_map(|&row| self.rows[row].iter().copied())
            .collect()
    }
}

/// Sorts packed rows, and the examples within each, by the data's order: by length, a step would have the
/// longest rows, and the next shorter ones.
fn in_order(mut rows: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    for row in &mut rows {
        row.sort_unstable();
    }
    rows.sort_unstable();
    rows
}

impl OrderCache {
    fn order(&mut self, epoch: usize, plan: &StepPlan) -> &[usize] {
        let known = self.0.take().filter(|(known, _)| *known == epoch);
        let order = known.unwrap_or_else(|| {
            let count = plan.rows.len();
            let order = match plan.seed {
                Some(seed) => epoch_order(count, seed, epoch),
                None => (0..count).collect(),
            };
            (epoch, order)
        });
        &self.0.insert(order).1
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::training::options::tests::options;

    fn plan(examples: usize, change: impl FnOnce(&mut TrainingOptions)) -> StepPlan {
        let mut options = options();
        change(&mut options);
        StepPlan::new(&vec![5; examples], &options)
    }

    // What transformers 5.23 gives for so many examples, batch size, accumulation and epochs.
    #[test_case(10, 1, 8, 3.0, (2, 6, 3))]
    #[test_case(16, 2, 4, 1.0, (2, 2, 1))]
    #[test_case(17, 2, 4, 1.0, (3, 3, 1))]
    #[test_case(3, 4, 8, 2.0, (1, 2, 2))]
    #[test_case(10, 1, 1, 0.25, (10, 3, 1))]
    #[test_case(10, 3, 2, 2.5, (2, 5, 3))]
    fn steps_are_counted_as_transformers_does(
        examples: usize,
        batch_size: usize,
        accumulation: usize,
        epochs: f64,
        expected: (usize, usize, usize),
    ) {
        let plan = plan(examples, |options| {
            options.per_device_train_batch_size = batch_size;
            options.gradient_accumulation_steps = accumulation;
            options.length = TrainingLength::NumTrainEpochs(epochs);
        });
        assert_eq!((plan.steps_per_epoch, plan.steps, plan.epochs), expected);
    }

    #[test]
    fn an_epoch_goes_through_every_example_once_and_its_last_step_is_smaller() {
        let plan = plan(11, |options| {
            options.per_device_train_batch_size = 2;
            options.gradient_accumulation_steps = 2;
            options.shuffle = true;
        });
        let mut cache = OrderCache::default();
        for epoch in 0..3 {
            let steps = (3 * epoch..3 * epoch + 3).map(|step| plan.step(step, &mut cache));
            let steps: Vec<Step> = steps.collect();
            assert!(steps.iter().all(|step| step.epoch == epoch));
            let sizes: Vec<Vec<usize>> = steps
                .iter()
                .map(|step| step.batches.iter().map(Vec::len).collect())
                .collect();
            assert_eq!(sizes, [vec![2, 2], vec![2, 2], vec![2, 1]]);
            let batches = steps.into_iter().flat_map(|step| step.batches);
            let mut seen: Vec<usize> = batches.flatten().collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..11).collect::<Vec<_>>());
        }
        // Any step can be asked for by itself: that is what resuming needs.
        let alone = plan.step(7, &mut OrderCache::default());
        assert_eq!(alone, plan.step(7, &mut cache));
    }

    #[test]
    fn epochs_are_counted_by_batches() {
        let plan = plan(11, |options| {
            options.per_device_train_batch_size = 2;
            options.gradient_accumulation_steps = 4;
        });
        let epochs: Vec<f64> = (0..5).map(|steps| plan.epoch_after(steps)).collect();
        assert_eq!(epochs, [0.0, 4.0 / 6.0, 1.0, 1.0 + 4.0 / 6.0, 2.0]);
    }

    #[test]
    fn the_split_of_a_step_changes_no_step() {
        let split = |batch_size, accumulation| {
            let plan = plan(20, |options| {
                options.per_device_train_batch_size = batch_size;
                options.gradient_accumulation_steps = accumulation;
                options.shuffle = true;
            });
            let mut cache = OrderCache::default();
            let steps = (0..plan.steps).map(|step| plan.step(step, &mut cache).batches.concat());
            steps.collect::<Vec<_>>()
        };
        assert_eq!(split(8, 1), split(1, 8));
        assert_eq!(split(8, 1), split(2, 4));
    }

    #[test]
    fn the_longest_batch_is_the_one_that_will_be() {
        let lengths = [1, 9, 2, 3, 8, 4];
        let mut options = options();
        options.per_device_train_batch_size = 2;
        let plan = StepPlan::new(&lengths, &options);
        assert_eq!(plan.longest_batch(&lengths), [4, 5]);
        options.packing = Some(10);
        let plan = StepPlan::new(&lengths, &options);
        assert_eq!(plan.row_count(), 3);
        assert_eq!(plan.longest_batch(&lengths), [0, 1, 2, 4]);
    }
}
