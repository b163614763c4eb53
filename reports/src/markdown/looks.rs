use shipworthy_schema::{Evaluation, InterimLook, LookOutcome};

use super::escape::escaped;
use super::results::p_cell;
use super::table::{
    Column::{Number, Text},
    table,
};
use crate::number_text::{count, difference, percent_tenths};

/// Returns how often the people of this evaluation were looked at, and at which levels.
pub(crate) fn looks(evaluation: &Evaluation) -> String {
    let mut section = "## Looks\n\n".to_owned();
    for look in &evaluation.pool_looks {
        let model = escaped(look.model.as_str());
        let line = match look.ordinal {
            1 => format!(
                "- {model}: no earlier run looked at any of these people; it is held to the gate's \
                 level of {}.\n",
                look.alpha
            ),
            ordinal => format!(
                "- {model}: earlier runs took {} at some of these people; it is held to {} / \
                 {ordinal} = {}. Fresh seeds (`personas.seed_start`) bring back the full level.\n",
                count(ordinal - 1, "look"),
                evaluation.plan.gate.alpha,
                look.alpha
            ),
        };
        section.push_str(&line);
    }
    let Some(stopping) = &evaluation.plan.early_stopping else {
        section.push_str(
            "- The plan has one look, after all personas have spoken. Nothing was looked at before.\n",
        );
        return section;
    };
    section.push_str(&format!(
        "- The plan has {}; nothing was looked at in between. Levels spend the candidate's alpha by \
         Lan and DeMets, O'Brien–Fleming type; a chance below {} stops for futility.\n\n",
        count(u32::try_from(stopping.looks.len()).unwrap_or(u32::MAX), "look"),
        percent_tenths(stopping.futility),
    ));
    let heads = [
        Number("Personas"),
        Number("Level"),
        Number("Difference"),
        Number("p"),
        Number("p (sign flips)"),
        Number("Chance in the end"),
        Text("Then"),
    ];
    let rows: Vec<Vec<String>> = evaluation.interim_looks.iter().map(row).collect();
    section.push_str(&table(&heads, &rows));
    section
}

fn row(look: &InterimLook) -> Vec<String> {
    let outcome = match look.outcome {
        LookOutcome::WentOn => "went on",
        LookOutcome::Efficacy => "**stopped: better**",
        LookOutcome::Futility => "**stopped: futile**",
        LookOutcome::Safety => "**stopped: unsafe**",
        LookOutcome::Last => "**the end**",
    };
    let seen = |text: &dyn Fn(&shipworthy_schema::InterimNumbers) -> String| {
        look.seen
            .as_ref()
            .map_or_else(|| "too little".to_owned(), text)
    };
    vec![
        look.personas.to_string(),
        p_cell(look.alpha),
        seen(&|n| difference(n.difference)),
        seen(&|n| p_cell(n.p_value)),
        seen(&|n| p_cell(n.sign_flip_p)),
        seen(&|n| n.conditional_power.map_or_else(String::new, percent_tenths)),
        outcome.to_owned(),
    ]
}
