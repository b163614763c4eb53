//! The judges: what each took and gave, and how far they agree.

use shipworthy_schema::{Evaluation, JudgeSummary, JudgingSummary};

use super::escape::escaped;
use super::table::{
    Column::{Number, Text},
    table,
};
use crate::judging_text::{alpha, raters, tokens};
use crate::number_text::{grouped, percent, score};

/// Returns the section on judges; empty without one.
pub(crate) fn judges(evaluation: &Evaluation) -> String {
    let Some(judging) = &evaluation.judging else {
        return String::new();
    };
    format!("## Judges\n\n{}{}", costs(judging), agreement(judging))
}

fn costs(judging: &JudgingSummary) -> String {
    let models = judging.judges.first().map(|judge| judge.models.as_slice());
    let names: Vec<String> = models
        .unwrap_or_default()
        .iter()
        .map(|model| escaped(model.model.as_str()))
        .collect();
    let mut header = vec![
        Text("Judge"),
        Number("Calls"),
        Number("Read"),
        Number("Written"),
    ];
    header.extend(names.iter().map(|name| Number(name)));
    let row = |judge: &JudgeSummary| {
        let mut row = vec![
            escaped(judge.judge.as_str()),
            grouped(judge.calls),
            tokens(judge.prompt_tokens),
            tokens(judge.completion_tokens),
        ];
        row.extend(judge.models.iter().map(|model| {
            let mean = model.mean.map_or_else(|| "no grade".to_owned(), score);
            match model.gaps {
                0 => mean,
                gaps => format!("{mean} ({gaps} of {} missing)", model.wanted),
            }
        }));
        row
    };
    let rows: Vec<Vec<String>> = judging.judges.iter().map(row).collect();
    format!(
        "{}\nUnder each model: the mean of the judge's grades, each in 0 to 1. A grade that is missing \
         has its reason in transcripts.jsonl; it is never 0.\n",
        table(&header, &rows)
    )
}

fn agreement(judging: &JudgingSummary) -> String {
    if judging.agreement.is_empty() {
        return String::new();
    }
    let header = [
        Text("Criterion"),
        Text("Who"),
        Number("Conversations"),
        Number("Equal"),
        Number("Alpha"),
        Number("95 % interval"),
    ];
    let rows: Vec<Vec<String>> = judging
        .agreement
        .iter()
        .map(|a| {
            let mark = if a.is_poor { " **poor**" } else { "" };
            let interval = a.alpha_ci95.map_or_else(
                || "none".to_owned(),
                |[lower, upper]| format!("[{lower:.2}, {upper:.2}]"),
            );
            vec![
                escaped(&a.criterion),
                escaped(&raters(&a.raters)),
                a.conversations.to_string(),
                percent(a.equal),
                format!("{}{mark}", alpha(a)),
                interval,
            ]
        })
        .collect();
    format!(
        "\n{}\nEqual: share of pairs of grades of one conversation. Alpha: Krippendorff's for interval \
         data, 1 is full agreement, 0 what chance gives; poor below 0.667, unless 90 % of the pairs are \
         equal. Interval: bootstrap over personas.\n",
        table(&header, &rows)
    )
}
