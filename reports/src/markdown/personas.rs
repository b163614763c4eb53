//! The table of personas: where a candidate gains and where it loses.

use shipworthy_schema::{CandidateComparison, Evaluation, PersonaPair};

use super::escape::escaped;
use super::table::table;
use crate::number_text::{difference, score};

/// Blocks of the longest bar.
const BAR_BLOCKS: f64 = 10.0;

/// Returns a candidate's pairs, largest gain first; equal gains stay in persona order.
pub(super) fn by_gain(candidate: &CandidateComparison) -> Vec<&PersonaPair> {
    let mut pairs: Vec<&PersonaPair> = candidate.pairs.iter().collect();
    pairs.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
    pairs
}

/// Returns the difference of the persona's means, candidate − baseline.
pub(super) fn gain(pair: &PersonaPair) -> f64 {
    pair.candidate - pair.baseline
}

/// Returns a candidate's table of personas.
pub(super) fn personas(evaluation: &Evaluation, candidate: &CandidateComparison) -> String {
    let pairs = by_gain(candidate);
    if pairs.is_empty() {
        return String::new();
    }
    let baseline = escaped(evaluation.comparison.baseline.as_str());
    let model = escaped(candidate.model.as_str());
    let largest = pairs.iter().map(|p| gain(p).abs()).fold(0.0, f64::max);
    let rows: Vec<Vec<String>> = pairs
        .iter()
        .map(|pair| {
            vec![
                escaped(pair.persona.as_str()),
                score(pair.baseline),
                score(pair.candidate),
                difference(gain(pair)),
                bar(gain(pair), largest),
            ]
        })
        .collect();
    let header = ["Persona", &baseline, &model, "Difference", "Gain or loss"];
    format!(
        "## Personas: {model}\n\n{}\nStandard deviation of the differences: {}.\n",
        table(&header, &rows),
        score(candidate.sd)
    )
}

/// Returns a bar as long as `gain` is of `largest`, with the sign before it: `+ ████`, `- ██`.
fn bar(gain: f64, largest: f64) -> String {
    let share = if largest > 0.0 {
        gain.abs() / largest
    } else {
        0.0
    };
    let sign = if gain < 0.0 { '-' } else { '+' };
    let mut blocks = 0.0;
    let mut bar = String::new();
    while blocks < (share * BAR_BLOCKS).round() {
        bar.push('█');
        blocks += 1.0;
    }
    if bar.is_empty() {
        bar
    } else {
        format!("{sign} {bar}")
    }
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn bars_are_proportional_and_signed() {
        assert_eq!(bar(0.2, 0.2), "+ ██████████");
        assert_eq!(bar(-0.1, 0.2), "- █████");
        assert_eq!(bar(0.001, 0.2), "");
        assert_eq!(bar(0.0, 0.0), "");
    }
}
