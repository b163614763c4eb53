//! What pairs of whole conversations come to, in the words that terminal and Markdown share.

use shipworthy_schema::{ModelName, PairwiseComparison, PairwiseJudge};

use crate::judging_text::calls_and_tokens;
use crate::number_text::{count, grouped, p_equation, percent};

/// Returns a win rate with its interval, e.g. `78 % [64 %, 90 %]`.
pub(crate) fn win_rate(compared: &PairwiseComparison) -> String {
    let Some(rate) = compared.win_rate else {
        return "no preference".to_owned();
    };
    let interval = compared.ci95.map_or_else(String::new, |[lower, upper]| {
        format!(" [{}, {}]", percent(lower), percent(upper))
    });
    format!("{}{interval}", percent(rate))
}

/// Returns a count of a whole, e.g. `28 of 33`.
pub(crate) fn of(n: u32, whole: u32) -> String {
    format!("{n} of {whole}")
}

/// Returns one sentence on a candidate.
pub(crate) fn compared(compared: &PairwiseComparison, baseline: &ModelName) -> String {
    let missing = match compared.missing {
        0 => String::new(),
        n => format!(", {n} missing"),
    };
    let test = compared.p_value.map_or_else(String::new, |p| {
        let personas = count(compared.personas, "persona");
        format!(" ({}, sign flips over {personas})", p_equation(p))
    });
    format!(
        "{} against {baseline}: {}, {}, {}{missing}; win rate {}{test}; the preferred one scores higher in \
         {}, and is longer in {}",
        compared.model,
        count(compared.wins, "win"),
        count(compared.ties, "tie"),
        losses(compared.losses),
        win_rate(compared),
        of(compared.scores.agree, compared.scores.pairs),
        of(compared.length.longer, compared.length.pairs),
    )
}

fn losses(n: u32) -> String {
    match n {
        1 => "1 loss".to_owned(),
        n => format!("{n} losses"),
    }
}

/// Returns one sentence on how a judge chose.
pub(crate) fn chose(judge: &PairwiseJudge) -> String {
    format!(
        "{}: the same in both orders in {}; prefers the first shown in {}; {}",
        judge.judge,
        of(judge.consistent, judge.both_orders),
        of(judge.first, judge.first + judge.second),
        calls_and_tokens(judge.calls, judge.prompt_tokens, judge.completion_tokens)
    )
}

/// Returns answers that are wanted and not there, e.g. `3 of 180`.
pub(crate) fn gaps(judge: &PairwiseJudge) -> String {
    match judge.gaps {
        0 => "none".to_owned(),
        gaps => format!(
            "{} of {}",
            grouped(gaps.into()),
            grouped((judge.first + judge.second + judge.ties + gaps).into())
        ),
    }
}
