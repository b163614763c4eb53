//! What a reader must know before trusting the numbers.

use shipworthy_schema::Evaluation;

/// Returns the plan's notice and the warnings, each once.
pub(crate) fn notices(evaluation: &Evaluation) -> Vec<&str> {
    let mut notices: Vec<&str> = Vec::new();
    let notice = evaluation.plan.notice.iter();
    for text in notice.chain(&evaluation.warnings) {
        if !notices.contains(&text.as_str()) {
            notices.push(text);
        }
    }
    notices
}
