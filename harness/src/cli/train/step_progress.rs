use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};
use shipworthy_reports::training_event_text;
use shipworthy_schema::TrainingEvent;

use crate::cli::printer::Printer;

/// Shows on stderr how training goes: a bar on a terminal, else a line for each entry of the log.
pub(crate) struct StepProgress<'a> {
    printer: &'a Printer,
    bar: Option<ProgressBar>,
    steps: u64,
    eval_loss: Option<f64>,
}

impl<'a> StepProgress<'a> {
    pub(crate) fn start(printer: &'a Printer, steps: u64) -> Self {
        let bar = printer.progress().then(|| {
            let template = "{spinner} {pos}/{len} steps {bar:16} {msg}";
            let style =
                ProgressStyle::with_template(template).expect("the template is well formed");
            let bar = ProgressBar::new(steps);
            bar.set_style(style.progress_chars("━╸─"));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar.set_message("loading");
            bar
        });
        Self {
            printer,
            bar,
            steps,
            eval_loss: None,
        }
    }

    /// Returns the bar, for those who write beside it.
    pub(crate) fn bar(&self) -> Option<ProgressBar> {
        self.bar.clone()
    }

    pub(crate) fn show(&mut self, event: &TrainingEvent) {
        if let TrainingEvent::Planned { plan } = event {
            self.steps = plan.steps;
        }
        let text = training_event_text(event, Some(self.steps));
        let Some(bar) = &self.bar else {
            // What is planned has been printed, and how it ended is going to be.
            if !matches!(
                event,
                TrainingEvent::Planned { .. } | TrainingEvent::Ended { .. }
            ) {
                self.printer.note(&text);
            }
            return;
        };
        match event {
            TrainingEvent::Planned { plan } => bar.set_length(plan.steps),
            TrainingEvent::Resumed { step, .. } => bar.set_position(*step),
            TrainingEvent::StepLogged {
                step,
                loss,
                learning_rate,
                tokens_per_second,
                memory_bytes,
                seconds_left,
                ..
            } => {
                bar.set_position(*step);
                let mut said = vec![format!("loss {loss:.3}")];
                said.extend(self.eval_loss.map(|loss| format!("eval {loss:.3}")));
                said.push(format!("lr {learning_rate:.1e}"));
                said.extend(tokens_per_second.map(|rate| format!("{rate:.0} tokens/s")));
                said.extend(memory_bytes.map(|bytes| HumanBytes(bytes).to_string()));
                said.extend(seconds_left.map(|seconds| {
                    let left = Duration::from_secs_f64(seconds.clamp(0.0, 1e9));
                    format!("{:#} left", HumanDuration(left))
                }));
                bar.set_message(said.join(" · "));
            }
            TrainingEvent::Evaluated { eval_loss, .. } => {
                self.eval_loss = Some(*eval_loss);
                bar.println(text);
            }
            TrainingEvent::Warned { .. } => bar.println(text),
            TrainingEvent::CheckpointSaved { .. }
            | TrainingEvent::CheckpointRemoved { .. }
            | TrainingEvent::Ended { .. } => {}
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
