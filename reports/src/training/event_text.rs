//! Each event of a training run as a line.

use shipworthy_schema::{TrainingEnding, TrainingEvent, TrainingPlan};

use super::summary::epochs;
use super::warning_text::training_warning_text;
use crate::inert_text::one_line;
use crate::number_text::{bytes, duration, grouped, loss, percent, rate, significant};

/// Returns what happened in one line, made inert, for logs and terminals without a progress bar.
///
/// `steps`: those of the whole run, once they are known.
pub fn training_event_text(event: &TrainingEvent, steps: Option<u64>) -> String {
    let of = |step: u64| match steps {
        Some(steps) => format!("step {}/{}", grouped(step), grouped(steps)),
        None => format!("step {}", grouped(step)),
    };
    let text = match event {
        TrainingEvent::Planned { plan } => planned(plan),
        TrainingEvent::Resumed { step, path } => format!("{}: goes on from {path}", of(*step)),
        TrainingEvent::StepLogged {
            step,
            epoch,
            loss: value,
            grad_norm,
            learning_rate,
            tokens_per_second,
            memory_bytes,
            seconds_left,
        } => {
            let mut said = vec![
                format!("{}, epoch {}", of(*step), epochs(*epoch)),
                format!("loss {}", loss(*value)),
            ];
            said.extend(grad_norm.map(|norm| format!("grad norm {}", rate(norm))));
            said.push(format!("lr {}", significant(*learning_rate)));
            said.extend(tokens_per_second.map(|n| format!("{} tokens/s", rate(n))));
            said.extend(memory_bytes.map(bytes));
            said.extend(seconds_left.map(|s| format!("{} left", duration(s))));
            said.join(", ")
        }
        TrainingEvent::Evaluated {
            step,
            epoch,
            eval_loss,
            examples,
            runtime_s,
            is_best,
            labelled_tokens: _,
        } => format!(
            "{}, epoch {}, eval loss {}{} ({} examples in {})",
            of(*step),
            epochs(*epoch),
            loss(*eval_loss),
            if *is_best { ", the best so far" } else { "" },
            grouped(*examples),
            duration(*runtime_s)
        ),
        TrainingEvent::CheckpointSaved { step, path } => format!("{}: saved {path}", of(*step)),
        TrainingEvent::CheckpointRemoved { path, .. } => format!("removed {path}"),
        TrainingEvent::Warned { warning } => {
            format!("warning: {}", training_warning_text(warning))
        }
        TrainingEvent::Ended { ending, metrics } => format!(
            "{} after {}, {}",
            match ending {
                TrainingEnding::Finished => "finished",
                TrainingEnding::EarlyStopping { .. } => "stopped early",
                TrainingEnding::Interrupted { .. } => "interrupted",
                TrainingEnding::Failed { .. } => "failed",
            },
            of(metrics.global_step),
            duration(metrics.train_runtime)
        ),
    };
    one_line(&text)
}

fn planned(plan: &TrainingPlan) -> String {
    let share = plan.trainable_parameters as f64 / plan.total_parameters.max(1) as f64;
    let labelled = plan.data.labelled_tokens as f64 / plan.data.tokens.total.max(1) as f64;
    format!(
        "{} examples of {} tokens, {} with a label; {} steps over {} epochs; {} of {} parameters \
         trained ({:.2} %); {} of memory predicted on {}",
        grouped(plan.data.examples),
        grouped(plan.data.tokens.total),
        percent(labelled),
        grouped(plan.steps),
        epochs(plan.epochs),
        grouped(plan.trainable_parameters),
        grouped(plan.total_parameters),
        share * 100.0,
        bytes(plan.predicted_peak_bytes),
        plan.device
    )
}
