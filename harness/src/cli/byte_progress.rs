use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use shipworthy_models::Progress;

use super::printer::Printer;

/// Draws on stderr how many bytes are done and how fast, and listens for Ctrl-C.
pub(crate) struct ByteProgress {
    bar: ProgressBar,
    interrupted: Arc<AtomicBool>,
    /// Keeps listening while it lives.
    _runtime: tokio::runtime::Runtime,
}

impl ByteProgress {
    /// Begins to draw what `doing` names.
    pub(crate) fn start(printer: &Printer, doing: &'static str) -> Self {
        let bar = if printer.progress() {
            ProgressBar::new(0)
        } else {
            ProgressBar::hidden()
        };
        let template = "{msg} {bytes}/{total_bytes} {bar:16} {bytes_per_sec} · {eta} left";
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        bar.set_style(style.progress_chars("━╸─"));
        bar.set_message(doing);
        let interrupted = Arc::new(AtomicBool::new(false));
        let runtime = super::runtime();
        let heard = Arc::clone(&interrupted);
        runtime.spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                heard.store(true, Ordering::Relaxed);
            }
        });
        Self {
            bar,
            interrupted,
            _runtime: runtime,
        }
    }

    /// Returns what is to be called with every step.
    pub(crate) fn callback(&self) -> impl FnMut(Progress) -> ControlFlow<()> {
        |progress| {
            self.bar.set_length(progress.total);
            self.bar.set_position(progress.done);
            if self.interrupted.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
