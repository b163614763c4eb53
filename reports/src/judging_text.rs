//! What the judges took and how far they agree, in the words that terminal and Markdown share.

use shipworthy_schema::{CriterionAgreement, JudgeSummary, JudgingSummary, Raters};

use crate::number_text::grouped;

/// Returns what a judge took, e.g. `180 calls, 41,000 tokens read, 9,000 written`.
pub(crate) fn cost(judge: &JudgeSummary) -> String {
    calls_and_tokens(judge.calls, judge.prompt_tokens, judge.completion_tokens)
}

/// Returns calls with their tokens, as [`cost`] does.
pub(crate) fn calls_and_tokens(
    calls: u64,
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
) -> String {
    let noun = if calls == 1 { "call" } else { "calls" };
    let tokens = match (prompt_tokens, completion_tokens) {
        (Some(read), Some(written)) => {
            format!(
                "{} tokens read, {} written",
                grouped(read),
                grouped(written)
            )
        }
        _ => "tokens not counted by all replies".to_owned(),
    };
    format!("{} {noun}, {tokens}", grouped(calls))
}

/// Returns a count of tokens.
pub(crate) fn tokens(n: Option<u64>) -> String {
    n.map_or_else(
        || "not counted".to_owned(),
        |n| format!("{} tokens", grouped(n)),
    )
}

/// Returns whose judgements are compared.
pub(crate) fn raters(raters: &Raters) -> String {
    match raters {
        Raters::Judges => "judges with each other".to_owned(),
        Raters::Repeats { judge } => format!("{judge} with itself"),
    }
}

/// Returns an alpha, e.g. `0.81`.
pub(crate) fn alpha(agreement: &CriterionAgreement) -> String {
    agreement
        .alpha
        .map_or_else(|| "all equal".to_owned(), |alpha| format!("{alpha:.2}"))
}

/// Returns one sentence for each set of raters: its lowest alpha, and where.
pub(crate) fn lowest(judging: &JudgingSummary) -> Vec<String> {
    let mut sets: Vec<&Raters> = judging.agreement.iter().map(|a| &a.raters).collect();
    sets.dedup();
    let sentence = |set: &Raters| {
        let of_set = judging.agreement.iter().filter(|a| a.raters == *set);
        let with_alpha = of_set.filter(|a| a.alpha.is_some());
        let lowest = with_alpha.min_by(|a, b| {
            let alpha = |a: &CriterionAgreement| a.alpha.unwrap_or_default();
            alpha(a).total_cmp(&alpha(b))
        })?;
        Some(format!(
            "{}: lowest Krippendorff's alpha {} on {}",
            raters(set),
            alpha(lowest),
            lowest.criterion
        ))
    };
    sets.into_iter().filter_map(sentence).collect()
}
