use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use shipworthy_harness::asking::Listener;
use shipworthy_schema::Event;

use super::printer::Printer;

/// What was counted so far.
#[derive(Default)]
struct Counts {
    calls: u64,
    tokens: u64,
    retries: u64,
    /// Servers that are waited for.
    away: BTreeSet<String>,
}

/// Returns a listener that draws progress on stderr: conversations done, calls, tokens, time left.
pub(crate) fn listener(printer: &Printer) -> (Listener, ProgressBar) {
    let bar = if printer.progress() {
        ProgressBar::new(0)
    } else {
        ProgressBar::hidden()
    };
    let template = "{spinner} {pos}/{len} conversations {bar:16} {msg} · {left}";
    let style = ProgressStyle::with_template(template)
        .expect("the template is well formed")
        .with_key("left", |state: &ProgressState, text: &mut dyn Write| {
            // Before the first conversation ended, nobody can say.
            let _ = match state.pos() {
                0 => write!(text, "time left unknown"),
                _ => write!(text, "{:#} left", HumanDuration(state.eta())),
            };
        });
    bar.set_style(style.progress_chars("━╸─"));
    let counts = Mutex::new(Counts::default());
    let drawn = bar.clone();
    let listener = Arc::new(move |event: Event| {
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::SimulationStarted {
                conversations,
                already_done,
            } => {
                drawn.set_length(u64::from(conversations));
                drawn.set_position(u64::from(already_done));
                drawn.reset_eta();
                drawn.enable_steady_tick(Duration::from_millis(200));
            }
            Event::CallFinished {
                usage,
                stored: false,
                ..
            } => {
                counts.calls += 1;
                counts.tokens += usage.completion_tokens.unwrap_or(0);
            }
            Event::CallFinished { stored: true, .. } => {}
            Event::CallRetried { role, error } => {
                counts.retries += 1;
                tracing::warn!(?role, error, "call failed, trying again");
            }
            Event::ServerAway { server, error } => {
                let line = format!("note: waiting for {server}: {error}");
                drawn.suspend(|| Printer::aside(&shipworthy_reports::one_line(&line)));
                counts.away.insert(server);
            }
            Event::ServerBack { server } => {
                drawn.suspend(|| Printer::aside(&format!("note: {server} is back")));
                counts.away.remove(&server);
            }
            Event::ConversationFinished { id, termination } => {
                tracing::debug!(%id, termination = termination.label(), "conversation finished");
            }
            Event::ConversationScored { .. } => drawn.inc(1),
            Event::PairsStarted { pairs } => drawn.inc_length(u64::from(pairs)),
            Event::PairJudged { id } => {
                tracing::debug!(%id, "pair of conversations judged");
                drawn.inc(1);
            }
        }
        let retries = match counts.retries {
            0 => String::new(),
            n => format!(" · {n} retries"),
        };
        let away = match counts.away.first() {
            None => String::new(),
            Some(server) => format!(" · waiting for {server}"),
        };
        let (calls, tokens) = (counts.calls, counts.tokens);
        drawn.set_message(format!("{calls} calls · {tokens} tokens{retries}{away}"));
    });
    (listener, bar)
}
