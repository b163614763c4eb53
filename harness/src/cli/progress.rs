use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use shipworthy_harness::asking::Listener;
use shipworthy_harness::progress::RunProgress;
use shipworthy_harness::watching::Watch;
use shipworthy_schema::Event;

use super::live_table::live_table;
use super::printer::Printer;

/// A wait that somebody is told of, since nothing else shows that the run goes on; as often at most.
const NOTED_WAIT: Duration = Duration::from_secs(5);

/// Returns a listener that counts what happens into `progress` and draws it as a live table on stderr;
/// `watch` takes note of it too.
pub(crate) fn listener(
    printer: &Printer,
    progress: Arc<Mutex<RunProgress>>,
    watch: Option<Arc<Watch>>,
) -> (Listener, ProgressBar) {
    let bar = if printer.progress() {
        ProgressBar::new_spinner()
    } else {
        ProgressBar::hidden()
    };
    let began = Instant::now();
    let shown = Arc::clone(&progress);
    let draw = move |_: &ProgressState, text: &mut dyn Write| {
        let progress = shown.lock().unwrap_or_else(PoisonError::into_inner);
        // Two columns are the spinner's.
        let width = Printer::progress_width() - 2;
        let _ = text.write_str(&live_table(&progress, began.elapsed().as_secs_f64(), width));
    };
    let style = ProgressStyle::with_template("{spinner} {live}")
        .expect("the template is well formed")
        .with_key("live", draw);
    bar.set_style(style);
    let drawn = bar.clone();
    let noted: Mutex<Option<Instant>> = Mutex::new(None);
    let listener = Arc::new(move |event: Event| {
        progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(&event);
        if let Some(watch) = &watch {
            watch.take(&event);
        }
        // From here on drawing may ask for the progress.
        match event {
            Event::SimulationStarted { .. } => drawn.enable_steady_tick(Duration::from_millis(200)),
            Event::CallRetried {
                role,
                model,
                error,
                wait_ms,
            } => {
                tracing::warn!(?role, error, "call failed, trying again");
                let wait = Duration::from_millis(wait_ms);
                let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                if wait >= NOTED_WAIT && noted.is_none_or(|at| at.elapsed() >= NOTED_WAIT) {
                    *noted = Some(Instant::now());
                    let line = format!(
                        "note: {model} is asked again in {} s: {error}",
                        wait.as_secs()
                    );
                    drawn.suspend(|| Printer::aside(&shipworthy_reports::one_line(&line)));
                }
            }
            Event::ServerAway { server, error } => {
                let line = format!("note: waiting for {server}: {error}");
                drawn.suspend(|| Printer::aside(&shipworthy_reports::one_line(&line)));
            }
            Event::ServerBack { server } => {
                drawn.suspend(|| Printer::aside(&format!("note: {server} is back")));
            }
            Event::ConversationFinished {
                id,
                termination,
                stored: false,
            } => {
                tracing::debug!(%id, termination = termination.label(), "conversation finished");
            }
            Event::PairJudged { id } => {
                tracing::debug!(%id, "pair of conversations judged");
            }
            Event::RunStarted { .. }
            | Event::CallFinished { .. }
            | Event::ConversationFinished { .. }
            | Event::ConversationScored { .. }
            | Event::PairsStarted { .. } => {}
        }
    });
    (listener, bar)
}
