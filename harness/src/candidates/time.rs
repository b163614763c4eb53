use shipworthy_schema::Digest;

use super::error::LoopError;
use crate::config::LoopBudget;
use crate::store::{Spent, Store};

/// Seconds from one entry into the store to the next.
const INTERVAL: f64 = 1.0;

/// Counts what a candidate takes, into the store, so that a process that is killed loses a second.
pub(super) struct Stopwatch<'a> {
    store: &'a Store,
    wall_time: &'a dyn Fn() -> f64,
    candidate: Digest,
    budget: LoopBudget,
    /// Seconds that the other candidates took.
    others: f64,
    spent: Spent,
    counted: f64,
    is_training: bool,
}

impl<'a> Stopwatch<'a> {
    /// Begins to count for a candidate that the store has; `others`: seconds of all others.
    pub(super) fn start(
        store: &'a Store,
        wall_time: &'a dyn Fn() -> f64,
        candidate: &Digest,
        budget: LoopBudget,
        others: f64,
    ) -> Result<Self, LoopError> {
        Ok(Self {
            spent: store.time_of(candidate)?,
            store,
            counted: wall_time(),
            wall_time,
            candidate: candidate.clone(),
            budget,
            others,
            is_training: false,
        })
    }

    /// Says whether what follows is training.
    pub(super) fn training(&mut self, is_training: bool) -> Result<(), LoopError> {
        self.count()?;
        self.is_training = is_training;
        Ok(())
    }

    /// Counts the time since the last call, if it is worth it; returns which budget is used up, if one
    /// is.
    pub(super) fn tick(&mut self) -> Result<Option<String>, LoopError> {
        let passed = (self.wall_time)() - self.counted;
        // A clock may be set back.
        if !(0.0..INTERVAL).contains(&passed) {
            self.count()?;
        }
        Ok(self.exhausted())
    }

    /// Counts the time since the last call.
    pub(super) fn count(&mut self) -> Result<(), LoopError> {
        let now = (self.wall_time)();
        let passed = (now - self.counted).max(0.0);
        self.counted = now;
        let more = Spent {
            training: if self.is_training { passed } else { 0.0 },
            all: passed,
        };
        self.store.add_time(&self.candidate, more)?;
        self.spent.training += more.training;
        self.spent.all += more.all;
        Ok(())
    }

    /// Returns which budget is used up, if one is.
    pub(super) fn exhausted(&self) -> Option<String> {
        let LoopBudget {
            hours,
            hours_per_candidate,
            ..
        } = self.budget;
        let over = |limit: Option<f64>, seconds: f64, name: &str| {
            let limit = limit.filter(|hours| seconds >= hours * 3600.0)?;
            Some(format!("`loop.budget.{name}`, {limit} h"))
        };
        over(hours_per_candidate, self.spent.all, "hours_per_candidate")
            .or_else(|| over(hours, self.others + self.spent.all, "hours"))
    }
}
