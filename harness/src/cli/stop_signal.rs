use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::exit_code;

/// Listens for Ctrl-C: the first asks to stop, the second stops.
pub(super) struct StopSignal {
    flag: Arc<AtomicBool>,
}

impl StopSignal {
    /// Begins to listen, for as long as the process lives; `said` is written to stderr at the first
    /// signal.
    pub(super) fn listen(said: &'static str) -> Self {
        Self::listen_and(said, || {})
    }

    /// Begins to listen, and calls `stop` at the first signal besides.
    pub(super) fn listen_and(said: &'static str, stop: impl Fn() + Send + 'static) -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&flag);
        let listen = move || {
            super::calling_runtime().block_on(async move {
                if tokio::signal::ctrl_c().await.is_ok() {
                    heard.store(true, Ordering::Relaxed);
                    super::printer::Printer::aside(said);
                    stop();
                }
                if tokio::signal::ctrl_c().await.is_ok() {
                    leave();
                }
            });
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(listen)
            .expect("the system can start one more thread");
        Self { flag }
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
