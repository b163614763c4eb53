//! `finetune_report.md`.

use serde_json::Value;
use shipworthy_schema::{DatasetRef, TrainingEnding, TrainingReport};

use super::next_steps::next_steps;
use super::summary::{data_rows, device, headline, memory_rows, metric_rows};
use super::warning_text::training_warning_text;
use crate::markdown::escape::{code, escaped};
use crate::markdown::table::{Column, table};
use crate::number_text::bytes;

mod course;

/// Returns `finetune_report.md`: how it ended and what to do next, then metrics, curves, data, memory,
/// configuration and artefacts.
///
/// The curves are `loss.svg` and `learning_rate.svg` beside it; they are linked if the log has numbers
/// for them. Text from files, configurations and models is escaped, so that it renders as plain text.
pub fn training_markdown(report: &TrainingReport) -> String {
    let mut sections = vec![first(report), trained(report), metrics(report)];
    sections.push(course::course(report));
    sections.extend([data(report), memory(report), configuration(report)]);
    sections.push(artefacts(report));
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}

fn first(report: &TrainingReport) -> String {
    let mut section = format!(
        "# Fine-tuning of {}\n\n**{}**\n",
        escaped(&report.base.model),
        escaped(&headline(report))
    );
    for warning in &report.warnings {
        let text = training_warning_text(warning);
        section.push_str(&format!("\n> **Warning:** {}\n", escaped(&text)));
    }
    section.push_str("\n**Next**\n");
    for step in next_steps(report) {
        section.push_str(&format!(
            "\n{}\n\n```sh\n{}\n```\n",
            escaped(&step.text),
            step.command.join(" ")
        ));
    }
    section
}

/// Says what was trained on what, down to digests.
fn trained(report: &TrainingReport) -> String {
    let digest = match &report.base.digest {
        Some(digest) => code(digest.as_str()),
        None => "digest not known".to_owned(),
    };
    let file = |data: &DatasetRef| format!("{}, {}", code(&data.path), code(data.digest.as_str()));
    let held_out = match &report.eval_dataset {
        Some(data) => file(data),
        None => "nothing".to_owned(),
    };
    let trainer = &report.trainer;
    let kept = match (&report.ending, &report.best) {
        (TrainingEnding::Failed { .. }, _) | (_, None) => String::new(),
        (_, Some(best)) => {
            let checkpoint = best.checkpoint.as_deref().map(code);
            let at = checkpoint.map_or(String::new(), |path| format!(", {path}"));
            format!("- Best weights: step {}{at}\n", best.step)
        }
    };
    format!(
        "## What was trained\n\n- Base: {}, {}, {digest}\n- Training data: {}\n- Held out: \
         {held_out}\n- Trainer: {}\n- Output: {}\n{kept}",
        code(&report.base.model),
        escaped(&report.base.family),
        file(&report.dataset),
        escaped(&format!("{} {}", trainer.name, trainer.version)),
        code(&report.output_dir)
    )
}

fn metrics(report: &TrainingReport) -> String {
    let columns = [Column::Text("Metric"), Column::Number("Value")];
    let rows: Vec<Vec<String>> = metric_rows(report).into_iter().map(Vec::from).collect();
    format!("## Metrics\n\n{}", table(&columns, &rows))
}

fn data(report: &TrainingReport) -> String {
    let columns = [
        Column::Text("Data"),
        Column::Number("Training"),
        Column::Number("Held out"),
    ];
    let rows: Vec<Vec<String>> = data_rows(report).into_iter().map(Vec::from).collect();
    format!("## Data\n\n{}", table(&columns, &rows))
}

fn memory(report: &TrainingReport) -> String {
    let columns = [
        Column::Text("Part"),
        Column::Number("Predicted"),
        Column::Number("Measured"),
    ];
    let row = |[part, predicted, measured]: [String; 3]| vec![escaped(&part), predicted, measured];
    let rows: Vec<Vec<String>> = memory_rows(report).into_iter().map(row).collect();
    format!(
        "## Memory\n\nDevice: {}\n\n{}",
        escaped(&device(report)),
        table(&columns, &rows)
    )
}

fn configuration(report: &TrainingReport) -> String {
    let columns = [Column::Text("Key"), Column::Text("Value")];
    let value = |value: &Value| match value {
        Value::String(text) => escaped(text),
        Value::Number(number) => number.to_string(),
        other => escaped(&other.to_string()),
    };
    let rows: Vec<Vec<String>> = report
        .config
        .iter()
        .map(|(key, one)| vec![escaped(key), value(one)])
        .collect();
    format!("## Configuration as resolved\n\n{}", table(&columns, &rows))
}

fn artefacts(report: &TrainingReport) -> String {
    if report.artefacts.is_empty() {
        return String::new();
    }
    let columns = [
        Column::Text("File"),
        Column::Number("Size"),
        Column::Text("SHA-256"),
    ];
    let rows: Vec<Vec<String>> = report
        .artefacts
        .iter()
        .map(|file| {
            vec![
                escaped(&file.path),
                bytes(file.bytes),
                code(file.digest.as_str()),
            ]
        })
        .collect();
    format!("## What is there now\n\n{}", table(&columns, &rows))
}
