use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::exit_code;

/// Listens for Ctrl-C: the first asks to stop, the second stops.
pub(super) struct StopSignal {
    flag: Arc<AtomicBool>,
    /// Keeps listening while it lives.
    _runtime: tokio::runtime::Runtime,
}

impl StopSignal {
    /// Begins to listen; `said` is written to stderr at the first signal.
    pub(super) fn listen(said: &'static str) -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        let runtime = super::runtime();
        let heard = Arc::clone(&flag);
        runtime.spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                heard.store(true, Ordering::Relaxed);
                super::printer::Printer::aside(said);
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                leave();
            }
        });
        Self {
            flag,
            _runtime: runtime,
        }
    }

    /// Returns what is true once somebody asked to stop.
    pub(super) fn flag(&self) -> &AtomicBool {
        &self.flag
    }
}

#[expect(clippy::exit, reason = "whoever asks twice does not want to wait")]
fn leave() {
    std::process::exit(exit_code::INTERRUPTED.into());
}
