use std::ops::ControlFlow;

use crate::error::ModelError;

/// How far it is, in bytes of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Done so far.
    pub done: u64,
    /// To be done in all.
    pub total: u64,
}

/// Counts what was done, and asks whether to go on.
pub(crate) struct Reporter<'a> {
    progress: Progress,
    on_progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(
        total: u64,
        on_progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Self {
        Self {
            progress: Progress { done: 0, total },
            on_progress,
        }
    }

    /// Tells of so many bytes more; errors if the caller wants to stop.
    pub(crate) fn advance(&mut self, bytes: usize) -> Result<(), ModelError> {
        self.progress.done += bytes as u64;
        match self.ask() {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ModelError::Interrupted),
        }
    }

    /// Asks whether to go on, with nothing new done.
    pub(crate) fn ask(&mut self) -> ControlFlow<()> {
        (self.on_progress)(self.progress)
    }
}
