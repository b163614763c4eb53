use shipworthy_schema::{CandidateResult, CandidateState, CandidateTable};

use super::words::{
    confirmation_cell, differences, earlier_text, gain, headline, losses, pool, pools_text,
    state_text, summary, verdict_cell, warnings,
};
use crate::markdown::escape::escaped;
use crate::markdown::table::{Column, table as layout};
use crate::training::training_warning_text;

/// Returns `candidates/report.md`: the verdict and what it rests on, all candidates, what kept some of
/// them back, where each comes from, and who spoke.
///
/// Names, configurations and errors are escaped, so that they render as plain text.
pub fn candidates_markdown(table: &CandidateTable) -> String {
    let mut sections = vec![format!(
        "# {}\n\n{}\n",
        escaped(&headline(table)),
        escaped(&summary(table))
    )];
    sections.push(results(table));
    let notes = notes(table);
    if !notes.is_empty() {
        sections.push(format!("## What to know\n\n{notes}"));
    }
    sections.push(lineage(table));
    sections.push(format!(
        "## People\n\n- Development: {}; every candidate met them, so their verdicts choose and do not \
         ship.\n- Confirmation: {}; only the best candidate meets them, once.\n{}",
        escaped(&pool(&table.development)),
        escaped(&pool(&table.confirmation)),
        pools_text(table).map_or_else(String::new, |text| format!("- {text}.\n")),
    ));
    sections.join("\n")
}

fn results(table: &CandidateTable) -> String {
    let columns = [
        Column::Text("Candidate"),
        Column::Text("Differs in"),
        Column::Number("Loss"),
        Column::Number("Eval loss"),
        Column::Number("Gain (95 %)"),
        Column::Text("Verdict"),
        Column::Text("Confirmation"),
    ];
    let row = |it: &CandidateResult| {
        let [loss, eval_loss] = losses(it);
        let name = escaped(&it.name);
        let is_best = table.recommended.as_ref() == Some(&it.name);
        let evaluated = it.development.as_ref();
        vec![
            if is_best { format!("**{name}**") } else { name },
            escaped(&differences(&it.differences)),
            loss,
            eval_loss,
            evaluated.map_or_else(|| "–".to_owned(), gain),
            verdict_cell(it),
            confirmation_cell(table, it, |it| {
                format!("{}, {}", it.verdict.label(), gain(it))
            }),
        ]
    };
    let rows: Vec<_> = table.candidates.iter().map(row).collect();
    format!("## Candidates\n\n{}", layout(&columns, &rows))
}

fn notes(table: &CandidateTable) -> String {
    let mut text = String::new();
    for it in &table.candidates {
        let name = escaped(&it.name);
        if let Some(why) = &it.proposed {
            text.push_str(&format!("- {name}: {}\n", escaped(why)));
        }
        if it.state != CandidateState::Evaluated {
            text.push_str(&format!("- {name}: {}\n", escaped(&state_text(it))));
        }
        for warning in it.sanity.iter().flat_map(|it| &it.warned) {
            text.push_str(&format!("- {name}, {}\n", escaped(warning)));
        }
        for warning in warnings(it) {
            let warning = training_warning_text(warning);
            text.push_str(&format!("- {name}: {}\n", escaped(&warning)));
        }
    }
    for earlier in &table.earlier_confirmations {
        text.push_str(&format!("- {}\n", escaped(&earlier_text(earlier))));
    }
    text
}

fn lineage(table: &CandidateTable) -> String {
    let columns = [
        Column::Text("Candidate"),
        Column::Text("Directory"),
        Column::Text("Base"),
        Column::Text("Data"),
        Column::Text("Trainer"),
        Column::Text("Weights"),
        Column::Text("GGUF"),
        Column::Text("Runs"),
    ];
    let row = |it: &CandidateResult| {
        let from = &it.lineage;
        let short = |digest: &Option<shipworthy_schema::Digest>| {
            let digest = digest.as_ref();
            digest.map_or_else(|| "–".to_owned(), |it| format!("`{}`", it.short()))
        };
        let runs = [&it.development, &it.confirmation].into_iter().flatten();
        let earlier = table.earlier(it).into_iter();
        let runs = runs.chain(earlier.filter_map(|it| it.evaluation.as_ref()));
        let runs: Vec<String> = runs.map(|it| format!("`{}`", it.run)).collect();
        vec![
            escaped(&it.name),
            format!("`{}`", from.directory),
            format!("`{}`", from.base.short()),
            format!("`{}`", from.dataset.short()),
            escaped(&format!("{} {}", from.trainer.name, from.trainer.version)),
            short(&from.adapter),
            short(&from.gguf),
            if runs.is_empty() {
                "–".to_owned()
            } else {
                runs.join(", ")
            },
        ]
    };
    let rows: Vec<_> = table.candidates.iter().map(row).collect();
    format!(
        "## Where they come from\n\nBy the first digits of SHA-256; `report.json` has all. GGUF files are \
         stored as {}.\n\n{}",
        escaped(&table.file_type),
        layout(&columns, &rows)
    )
}
