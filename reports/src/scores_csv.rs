//! `scores.csv`: one row per conversation, for spreadsheets and statistics packages.

use std::collections::BTreeMap;

use shipworthy_schema::{Conversation, ConversationScore, CriterionScore, Outcome};

use crate::inert_text::one_line;

const BEFORE_CRITERIA: [&str; 4] = ["model", "persona", "repeat", "score"];
const AFTER_CRITERIA: [&str; 3] = ["termination", "passed", "note"];

/// Returns `scores.csv`: model, persona, repeat, overall score, one column per criterion in the
/// rubric's order, termination, passed, note.
///
/// Scores have full precision. What has no score is an empty cell, never 0, and `note` says why.
/// A criterion whose id is also a fixed column's name gets the column `criterion_ID`. Text that a
/// spreadsheet would take for a formula is preceded by an apostrophe.
pub fn scores_csv(conversations: &[Conversation], scores: &[ConversationScore]) -> String {
    let criteria = criteria_in_order(scores);
    let scores: BTreeMap<_, &ConversationScore> =
        scores.iter().map(|s| (&s.conversation, s)).collect();
    let header = BEFORE_CRITERIA
        .iter()
        .map(|&name| name.to_owned())
        .chain(criteria.iter().map(|id| criterion_column(id)))
        .chain(AFTER_CRITERIA.iter().map(|&name| name.to_owned()));
    let mut records = vec![header.collect::<Vec<_>>()];
    records.extend(conversations.iter().map(|conversation| {
        let score = scores.get(&conversation.id).copied();
        row(conversation, score, &criteria)
    }));

    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        writer
            .write_record(record)
            .expect("writing to memory cannot fail, and every row has one cell per column");
    }
    let bytes = writer.into_inner().expect("flushing to memory cannot fail");
    String::from_utf8(bytes).expect("cells are text, and the writer adds only ASCII")
}

/// Returns the ids of all criteria in the rubric's order, which every score keeps; a conversation
/// that failed may hold none.
fn criteria_in_order(scores: &[ConversationScore]) -> Vec<&str> {
    let mut ids: Vec<&str> = Vec::new();
    for criterion in scores.iter().flat_map(|s| &s.criteria) {
        if !ids.contains(&criterion.criterion.as_str()) {
            ids.push(&criterion.criterion);
        }
    }
    ids
}

fn criterion_column(id: &str) -> String {
    let is_taken = BEFORE_CRITERIA.contains(&id) || AFTER_CRITERIA.contains(&id);
    if is_taken {
        format!("criterion_{id}")
    } else {
        text_cell(id)
    }
}

fn row(
    conversation: &Conversation,
    score: Option<&ConversationScore>,
    criteria: &[&str],
) -> Vec<String> {
    let id = &conversation.id;
    let mut notes: Vec<String> = conversation.detail.iter().cloned().collect();
    let missing = Outcome::Unscored {
        reason: "not scored".to_owned(),
    };
    let outcome = score.map_or(&missing, |s| &s.overall);
    let overall = outcome_cell(outcome, "score", &mut notes);
    let mut cells = vec![
        text_cell(id.model.as_str()),
        text_cell(id.persona.as_str()),
        id.repeat.to_string(),
        overall,
    ];
    let scored: &[CriterionScore] = score.map_or(&[], |s| &s.criteria);
    cells.extend(criteria.iter().map(|&name| {
        scored
            .iter()
            .find(|c| c.criterion == name)
            .map_or_else(String::new, |c| outcome_cell(&c.outcome, name, &mut notes))
    }));
    let passed = score.and_then(|s| s.passed);
    cells.push(conversation.termination.label().to_owned());
    cells.push(passed.map_or_else(String::new, |passed| passed.to_string()));
    cells.push(text_cell(&notes.join("; ")));
    cells
}

/// Returns the value's cell; where there is none, the cell is empty and a note says why.
fn outcome_cell(outcome: &Outcome, what: &str, notes: &mut Vec<String>) -> String {
    match outcome {
        Outcome::Scored { value } => return value.to_string(),
        Outcome::NotApplicable => notes.push(format!("{what}: not applicable")),
        Outcome::Unscored { reason } => notes.push(format!("{what}: {reason}")),
    }
    String::new()
}

/// Returns `text` on one line and safe from being run as a formula by a spreadsheet, which looks at
/// a cell's first character (full-width forms included).
pub fn text_cell(text: &str) -> String {
    let line = one_line(text);
    let is_formula = |c: char| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
    if line.starts_with(is_formula) || text.starts_with(['\t', '\r', '\n']) {
        format!("'{line}")
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::text_cell;
    use test_case::test_case;

    #[test_case("=1+1", "'=1+1")]
    #[test_case("+1", "'+1")]
    #[test_case("-1", "'-1")]
    #[test_case("@SUM(A1)", "'@SUM(A1)")]
    #[test_case("\t=1", "'=1")]
    #[test_case("\r=1", "'=1")]
    #[test_case("＝1", "'＝1"; "full width")]
    #[test_case("1 = 1", "1 = 1"; "harmless")]
    fn formulas_become_text(text: &str, expected: &str) {
        assert_eq!(text_cell(text), expected);
    }
}
