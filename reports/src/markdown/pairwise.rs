//! Pairs of whole conversations: how often each candidate's is preferred, and how far to trust it.

use shipworthy_schema::{Evaluation, PairwiseComparison, PairwiseJudge};

use super::escape::escaped;
use super::table::{
    Column::{Number, Text},
    table,
};
use crate::judging_text::tokens;
use crate::number_text::{grouped, p_value};
use crate::pairwise_text::{gaps, of, win_rate};

/// Returns the section on pairs; empty unless the plan has them judged.
pub(crate) fn pairwise(evaluation: &Evaluation) -> String {
    let Some(pairwise) = &evaluation.pairwise else {
        return String::new();
    };
    let baseline = escaped(evaluation.comparison.baseline.as_str());
    format!(
        "## Pairwise comparison\n\nEvery judge saw each conversation of a candidate beside {baseline}'s with \
         the same person in the same repeat, whole and in both orders, and said which it prefers. This \
         stands beside the scores and decides no verdict.\n\n{}\nOrders that disagree are a tie; a pair \
         without a usable answer in both orders is missing. Win rate: mean over personas of their share \
         of wins, ties half, with a 95 % bootstrap interval over personas (none where all agree); p: \
         sign flips over personas against one half. Higher score, longer: how often the preferred \
         conversation has the higher score, and more words of the model, among pairs that differ.\n\n{}\n\
         A judge that goes by what was said prefers the first shown half the time. What was said of each \
         pair is in pairs.jsonl.\n",
        candidates(&pairwise.candidates),
        judges(&pairwise.judges)
    )
}

fn candidates(candidates: &[PairwiseComparison]) -> String {
    let header = [
        Text("Candidate"),
        Number("Wins"),
        Number("Ties"),
        Number("Losses"),
        Number("Missing"),
        Number("Win rate"),
        Number("p"),
        Number("Higher score"),
        Number("Longer"),
    ];
    let row = |c: &PairwiseComparison| {
        vec![
            escaped(c.model.as_str()),
            c.wins.to_string(),
            c.ties.to_string(),
            c.losses.to_string(),
            c.missing.to_string(),
            win_rate(c),
            c.p_value.map_or_else(|| "none".to_owned(), p_value),
            of(c.scores.agree, c.scores.pairs),
            of(c.length.longer, c.length.pairs),
        ]
    };
    let rows: Vec<Vec<String>> = candidates.iter().map(row).collect();
    table(&header, &rows)
}

fn judges(judges: &[PairwiseJudge]) -> String {
    let header = [
        Text("Judge"),
        Number("Same in both orders"),
        Number("First shown preferred"),
        Number("Ties"),
        Number("No answer"),
        Number("Calls"),
        Number("Read"),
        Number("Written"),
    ];
    let row = |judge: &PairwiseJudge| {
        vec![
            escaped(judge.judge.as_str()),
            of(judge.consistent, judge.both_orders),
            of(judge.first, judge.first + judge.second),
            judge.ties.to_string(),
            gaps(judge),
            grouped(judge.calls),
            tokens(judge.prompt_tokens),
            tokens(judge.completion_tokens),
        ]
    };
    let rows: Vec<Vec<String>> = judges.iter().map(row).collect();
    table(&header, &rows)
}
