use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};

use super::exit_code;

/// Listens for Ctrl-C until it is dropped: the first asks to stop, the second stops.
///
/// Commands that run one after another in a process each have one of their own; between them, one Ctrl-C
/// stops.
pub(super) struct StopSignal {
    flag: Arc<AtomicBool>,
}

/// What the next Ctrl-C does; where there is nothing, it ends the process.
static NEXT: Mutex<Option<Asked>> = Mutex::new(None);

type Asked = Box<dyn FnOnce() + Send>;

impl StopSignal {
    /// Begins to listen; `said` is written to stderr at the first signal.
    pub(super) fn listen(said: &'static str) -> Self {
        Self::listen_and(said, || {})
    }

    /// Begins to listen, and calls `stop` at the first signal besides.
    pub(super) fn listen_and(said: &'static str, stop: impl FnOnce() + Send + 'static) -> Self {
        static ONCE: Once = Once::new();
        let flag = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&flag);
        set_next(Some(Box::new(move || {
            heard.store(true, Ordering::Relaxed);
            super::printer::Printer::aside(said);
            stop();
        })));
        ONCE.call_once(|| {
            std::thread::Builder::new()
                .name("signals".to_owned())
                .spawn(hear)
                .expect("the system can start one more thread");
        });
        Self { flag }
    }

    /// Returns what is true once somebody asked to stop.
    pub(super) fn flag(&self) -> &AtomicBool {
        &self.flag
    }
}

impl Drop for StopSignal {
    fn drop(&mut self) {
        set_next(None);
    }
}

fn set_next(next: Option<Asked>) -> Option<Asked> {
    // What is there is whole whoever panicked.
    let mut place = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut *place, next)
}

fn hear() {
    super::calling_runtime().block_on(async {
        while tokio::signal::ctrl_c().await.is_ok() {
            match set_next(None) {
                Some(ask) => ask(),
                None => leave(),
            }
        }
    });
}

#[expect(clippy::exit, reason = "whoever asks twice does not want to wait")]
fn leave() {
    std::process::exit(exit_code::INTERRUPTED.into());
}
