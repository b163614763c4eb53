//! The table of personas: where a candidate gains and where it loses.

use shipworthy_schema::{CandidateComparison, Evaluation, PersonaPair};

use super::escape::escaped;
use super::table::{
    Column::{Number, Text},
    table,
};
use crate::number_text::{difference, score};

/// Blocks of the longest bar.
const BAR_BLOCKS: f64 = 10.0;

/// Returns a candidate's pairs, largest gain first; equal gains stay in persona order.
pub(crate) fn by_gain(candidate: &CandidateComparison) -> Vec<&PersonaPair> {
    let mut pairs: Vec<&PersonaPair> = candidate.pairs.iter().collect();
    pairs.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
    pairs
}

/// Returns the difference of the persona's means, candidate − baseline.
pub(crate) fn gain(pair: &PersonaPair) -> f64 {
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
                loss_bar(gain(pair), largest),
                gain_bar(gain(pair), largest),
            ]
        })
        .collect();
    // The two bars meet: a loss grows to the left, a gain to the right.
    let header = [
        Text("Persona"),
        Number(&baseline),
        Number(&model),
        Number("Difference"),
        Number("Loss"),
        Text("Gain"),
    ];
    format!(
        "## Personas: {model}\n\n{}\nStandard deviation of the differences: {}.\n",
        table(&header, &rows),
        score(candidate.sd)
    )
}

/// Returns the bar of a gain, nothing for a loss.
fn gain_bar(gain: f64, largest: f64) -> String {
    if gain > 0.0 {
        bar(gain, largest, '▏')
    } else {
        String::new()
    }
}

/// Returns the bar of a loss, nothing for a gain.
fn loss_bar(gain: f64, largest: f64) -> String {
    if gain < 0.0 {
        bar(-gain, largest, '▕')
    } else {
        String::new()
    }
}

/// Returns a bar as long as `length` is of `largest`; one that is too short for a block is a
/// `sliver`, and one that its number shows as 0 is none.
fn bar(length: f64, largest: f64, sliver: char) -> String {
    if difference(length) == difference(0.0) {
        return String::new();
    }
    let mut blocks = 0.0;
    let mut bar = String::new();
    while blocks < (length / largest * BAR_BLOCKS).round() {
        bar.push('█');
        blocks += 1.0;
    }
    if bar.is_empty() {
        bar.push(sliver);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::{gain_bar, loss_bar};
    use test_case::test_case;

    #[test_case(0.2, "", "██████████"; "the largest")]
    #[test_case(-0.1, "█████", ""; "half as large, a loss")]
    #[test_case(0.001, "", "▏"; "a small gain")]
    #[test_case(-0.001, "▕", ""; "a small loss")]
    #[test_case(1e-17, "", ""; "rounding is no gain")]
    #[test_case(-1e-17, "", ""; "rounding is no loss")]
    #[test_case(0.0, "", ""; "nothing")]
    fn bars_are_proportional_and_on_their_side(gain: f64, loss_side: &str, gain_side: &str) {
        assert_eq!(loss_bar(gain, 0.2), loss_side);
        assert_eq!(gain_bar(gain, 0.2), gain_side);
    }
}
