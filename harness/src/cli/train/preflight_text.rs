//! What is known before the first step, for people and for programs.

use std::fmt::Write as _;

use indicatif::HumanBytes;
use serde_json::{Value, json};
use shipworthy_datasets::{DatasetReport, MaskPreview};
use shipworthy_harness::tuning::Preflight;
use shipworthy_reports::{bullets, one_line, training_warning_text};

const GREEN: &str = "\u{1b}[32m";
const DIM: &str = "\u{1b}[2m";
const RESET: &str = "\u{1b}[0m";

/// Returns the page for a terminal of `width` columns.
///
/// What is learnt of the example is green where `color` is on, else in brackets.
pub(super) fn page(preflight: &Preflight, width: usize, color: bool) -> String {
    let Preflight { plan, job, .. } = preflight;
    let config = &job.config;
    let mut text = format!(
        "{} {} on {}\n\n",
        config.method.name(),
        one_line(&job.base_name),
        one_line(&plan.device),
    );
    data_rows(&mut text, "learnt", &preflight.data);
    if let Some(rows) = job.data_report.packed_rows {
        row(&mut text, "", &format!("{rows} rows after packing"));
    }
    if let Some(eval) = &preflight.eval_data {
        data_rows(&mut text, "held out", eval);
    }
    let template = &preflight.data.template;
    row(
        &mut text,
        "labels",
        &format!(
            "by {} of {}; turns end with {}",
            if template.has_generation_blocks {
                "the generation blocks"
            } else {
                "what the chat template writes"
            },
            one_line(&template.file),
            one_line(&template.end_of_turn.join(" ")),
        ),
    );
    row(
        &mut text,
        "steps",
        &format!(
            "{} ({} passes over the data, {} batches of {} × {} a step)",
            plan.steps,
            shortened(plan.epochs),
            plan.gradient_accumulation_steps,
            config.per_device_train_batch_size,
            if config.packing { "rows" } else { "examples" },
        ),
    );
    row(
        &mut text,
        "trained",
        &format!(
            "{} of {} values",
            plan.trainable_parameters, plan.total_parameters
        ),
    );
    let capacity = plan
        .capacity_bytes
        .map(|bytes| format!(" of {}", HumanBytes(bytes)));
    row(
        &mut text,
        "memory",
        &format!(
            "{}{} predicted at the peak",
            HumanBytes(plan.predicted_peak_bytes),
            capacity.unwrap_or_default()
        ),
    );
    text.push('\n');
    example(&mut text, &preflight.preview, color);
    let warnings: Vec<String> = preflight
        .warnings
        .iter()
        .map(|warning| format!("warning: {}", training_warning_text(warning)))
        .collect();
    if !warnings.is_empty() {
        text.push('\n');
        text.push_str(&bullets(&warnings, width));
    }
    text
}

/// Returns a number with at most two places.
fn shortened(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn row(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "  {key:<10}{value}");
}

fn data_rows(text: &mut String, key: &str, data: &DatasetReport) {
    let DatasetReport {
        examples, tokens, ..
    } = data;
    let counted = format!(
        "{examples} examples, {} tokens; p50 {}, p95 {}, longest {}",
        tokens.total, tokens.p50, tokens.p95, tokens.max
    );
    row(text, key, &counted);
    row(
        text,
        "",
        &format!(
            "{} tokens with a label ({:.1} %)",
            data.labelled,
            100.0 * data.labelled_share
        ),
    );
    let lost = data.dropped.examples + data.unlabelled.examples;
    let tokens = data.dropped.tokens + data.truncated.tokens + data.unlabelled.tokens;
    let cut = data.truncated.examples;
    row(
        text,
        "",
        &format!("{lost} examples left out, {cut} cut off, {tokens} tokens lost"),
    );
}

pub(crate) fn example(text: &mut String, preview: &MaskPreview, color: bool) {
    let key = if color { "green" } else { "[in brackets]" };
    let _ = writeln!(text, "{}, what is learnt {key}:\n", one_line(&preview.id));
    let mut shown = String::new();
    for run in &preview.runs {
        let piece = &run.text;
        let _ = match (color, run.labelled) {
            (true, true) => write!(shown, "{GREEN}{piece}{RESET}"),
            (true, false) => write!(shown, "{DIM}{piece}{RESET}"),
            (false, true) => write!(shown, "[{piece}]"),
            (false, false) => write!(shown, "{piece}"),
        };
    }
    for line in shown.lines() {
        let _ = writeln!(text, "  {line}");
    }
}

/// Returns the same as a document.
pub(super) fn document(preflight: &Preflight) -> Value {
    let warnings: Vec<Value> = preflight
        .warnings
        .iter()
        .map(|warning| json!({ "warning": warning, "text": training_warning_text(warning) }))
        .collect();
    json!({
        "format": 1,
        "config": preflight.config.written.to_map(),
        "data": preflight.data,
        "eval_data": preflight.eval_data,
        "plan": preflight.plan,
        "example": preflight.preview,
        "warnings": warnings,
    })
}
