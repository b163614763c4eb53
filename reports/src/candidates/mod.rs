//! What became of a loop's candidates, for a terminal, for people and for programs.

mod markdown;
mod terminal;
mod words;

use serde_json::{Value, json};
use shipworthy_schema::CandidateTable;

use crate::inert_text::inert_json;

pub use markdown::candidates_markdown;
pub use terminal::candidates_terminal;
pub use words::candidate_line;
pub(crate) use words::summary_of;

/// Returns `candidates/report.json`: the table with the verdict's words and exit code.
pub fn candidates_json(table: &CandidateTable) -> String {
    let Value::Object(mut fields) = json!(table) else {
        return String::new();
    };
    fields.insert(
        "exit_code".to_owned(),
        json!(table.verdict.map(shipworthy_schema::Verdict::exit_code)),
    );
    fields.insert("summary".to_owned(), json!(words::summary(table)));
    inert_json(&format!("{:#}\n", Value::Object(fields)))
}
