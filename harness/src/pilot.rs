//! What a finished evaluation says about the next one's spread.

use std::collections::BTreeMap;

use shipworthy_schema::{CandidateComparison, Comparison, ConversationScore, ModelName, PersonaId};
use shipworthy_stats::{Spread, StatsError, variance_components};

/// What a pilot shows of the spread.
#[derive(Clone, Debug, PartialEq)]
pub struct Pilot {
    /// The candidate whose differences it is.
    pub candidate: ModelName,
    /// Personas with both models.
    pub personas: u32,
    /// Standard deviation of the persona differences.
    pub sd: f64,
    /// How the differences of single conversations vary.
    pub spread: Spread,
    /// ICC(1) of those differences; `None` if every persona had one conversation, so that all spread
    /// counts as the personas'.
    pub icc: Option<f64>,
}

impl Pilot {
    /// Returns the spread of a candidate's differences from the baseline. The differences of single
    /// conversations pair those of the same persona and repeat.
    ///
    /// Errors as [`variance_components`]; `None` if `comparison` has no such candidate.
    pub fn of(
        scores: &[ConversationScore],
        comparison: &Comparison,
        candidate: &ModelName,
    ) -> Option<Result<Self, StatsError>> {
        let of_candidate = |c: &&CandidateComparison| c.model == *candidate;
        let compared = comparison.candidates.iter().find(of_candidate)?;
        let differences = differences(scores, &comparison.baseline, candidate);
        let components = variance_components(&differences);
        let (spread, icc) = match components {
            Ok(found) => {
                let (between, within) = (found.between, found.within);
                (Spread { between, within }, Some(found.icc))
            }
            Err(StatsError::TooFew { .. }) => {
                let between = compared.sd * compared.sd;
                (
                    Spread {
                        between,
                        within: 0.0,
                    },
                    None,
                )
            }
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(Self {
            candidate: candidate.clone(),
            personas: compared.personas,
            sd: compared.sd,
            spread,
            icc,
        }))
    }
}

/// Returns candidate − baseline of each repeat that has a score with both, by persona.
fn differences(
    scores: &[ConversationScore],
    baseline: &ModelName,
    candidate: &ModelName,
) -> Vec<Vec<f64>> {
    let of_model = |model: &ModelName| -> BTreeMap<(&PersonaId, u32), f64> {
        let scores = scores.iter().filter(|s| s.conversation.model == *model);
        scores
            .filter_map(|s| {
                let slot = (&s.conversation.persona, s.conversation.repeat);
                Some((slot, s.overall.value()?))
            })
            .collect()
    };
    let baseline = of_model(baseline);
    let mut by_persona: BTreeMap<&PersonaId, Vec<f64>> = BTreeMap::new();
    for (slot, score) in of_model(candidate) {
        if let Some(base) = baseline.get(&slot) {
            by_persona.entry(slot.0).or_default().push(score - base);
        }
    }
    by_persona.into_values().collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use shipworthy_schema::Gate;

    use super::Pilot;
    use crate::comparison::Depth;
    use crate::ruling::Ruling;
    use crate::score_table::{ScoreTable, TableOptions};

    /// Differences of 15 personas with 3 conversations each, in hundredths: an example worked
    /// through by hand and by other programs (`stats/tests/worked_example.rs`).
    const DIFFERENCES: [[i32; 3]; 15] = [
        [10, 20, 0],
        [30, 10, 20],
        [0, -10, 10],
        [20, 20, 20],
        [5, 15, 10],
        [-10, 0, -5],
        [25, 15, 20],
        [10, 0, 20],
        [15, 5, 10],
        [0, 10, 5],
        [20, 30, 10],
        [10, 10, 10],
        [-5, 5, 0],
        [15, 25, 20],
        [10, 20, 15],
    ];

    fn pilot(repeats: usize) -> Pilot {
        let mut text = "model,persona,repeat,score\n".to_owned();
        for (persona, differences) in DIFFERENCES.iter().enumerate() {
            for (idx, difference) in differences[..repeats].iter().enumerate() {
                let (base, repeat) = (0.3 + 0.01 * persona as f64, idx + 1);
                let tuned = base + f64::from(*difference) / 100.0;
                writeln!(text, "base,p{persona},{repeat},{base}").unwrap();
                writeln!(text, "tuned,p{persona},{repeat},{tuned}").unwrap();
            }
        }
        let options = TableOptions {
            baseline: "base".to_owned(),
            ..TableOptions::default()
        };
        let table = ScoreTable::parse(Path::new("s.csv"), text.as_bytes(), &options).unwrap();
        let scores = &table.scores;
        let ruling = Ruling::on(Depth::Full, &table.evidence(), &Gate::default()).unwrap();
        assert!(Pilot::of(scores, &ruling.comparison, &table.baseline).is_none());
        Pilot::of(scores, &ruling.comparison, &ruling.recommended)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn the_worked_example_s_spread_is_found_in_its_scores() {
        let pilot = pilot(3);
        assert!((pilot.sd - 0.082_807_867_12).abs() < 1e-9, "{pilot:?}");
        assert!(
            (pilot.spread.between - 0.005_301_59).abs() < 1e-8,
            "{pilot:?}"
        );
        assert!(
            (pilot.spread.within - 0.004_666_67).abs() < 1e-8,
            "{pilot:?}"
        );
        assert!((pilot.icc.unwrap() - 0.531_847).abs() < 1e-6, "{pilot:?}");
        let sd = pilot.spread.difference_sd(3).unwrap();
        assert!(
            (sd - pilot.sd).abs() < 1e-12,
            "planned with as many repeats it is the pilot's"
        );
    }

    #[test]
    fn one_conversation_each_leaves_all_spread_to_the_personas() {
        let pilot = pilot(1);
        assert_eq!((pilot.icc, pilot.spread.within), (None, 0.0));
        assert!((pilot.spread.difference_sd(9).unwrap() - pilot.sd).abs() < 1e-15);
    }
}
