use std::path::PathBuf;

use serde::Serialize;

use crate::warning::DatasetWarning;

/// What is told of a data set before training begins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DatasetReport {
    /// The file.
    pub path: PathBuf,
    /// Conversations that were read.
    pub conversations: usize,
    /// Examples that are trained on.
    pub examples: usize,
    /// The lengths of these examples, in tokens.
    pub tokens: TokenCounts,
    /// Their tokens that carry a label.
    pub labelled: usize,
    /// The share of their tokens that carries a label, between 0 and 1.
    pub labelled_share: f64,
    /// The most tokens an example may have.
    pub max_length: usize,
    /// What was left out because it has more.
    pub dropped: Loss,
    /// What was cut off because it was more.
    pub truncated: Loss,
    /// What was left out because no label was left after cutting.
    pub unlabelled: Loss,
    /// Where texts and labels come from.
    pub template: TemplateSource,
    /// What to know before training.
    pub warnings: Vec<DatasetWarning>,
}

/// Lengths of examples, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TokenCounts {
    /// Of all together.
    pub total: usize,
    /// The least length that half of the examples do not exceed.
    pub p50: usize,
    /// The least length that 95 of 100 examples do not exceed.
    pub p95: usize,
    /// The longest.
    pub max: usize,
}

/// What is not trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Examples concerned.
    pub examples: usize,
    /// Tokens lost.
    pub tokens: usize,
    /// Those of them that carried a label.
    pub labelled: usize,
}

/// Where texts and labels come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TemplateSource {
    /// The template's file, or the file whose field it is.
    pub file: String,
    /// The templates' names that were used, `default` or `tool_use`.
    pub names: Vec<String>,
    /// Whether generation blocks of the template say what is the assistant's; else it was derived
    /// from what the template writes.
    pub has_generation_blocks: bool,
    /// The tokens that end a turn, as found in the texts.
    pub end_of_turn: Vec<String>,
}

impl TokenCounts {
    /// Counts lengths; percentiles by nearest rank.
    pub(crate) fn of(lengths: impl Iterator<Item = usize>) -> Self {
        let mut lengths: Vec<usize> = lengths.collect();
        lengths.sort_unstable();
        let rank = |percent: usize| {
            let rank = (lengths.len() * percent).div_ceil(100);
            lengths.get(rank.saturating_sub(1)).copied().unwrap_or(0)
        };
        Self {
            total: lengths.iter().sum(),
            p50: rank(50),
            p95: rank(95),
            max: rank(100),
        }
    }
}

impl Loss {
    pub(crate) fn add(&mut self, tokens: usize, labelled: usize) {
        self.examples += 1;
        self.tokens += tokens;
        self.labelled += labelled;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let counts = TokenCounts::of((1..=40).rev());
        assert_eq!((counts.total, counts.p50), (820, 20));
        assert_eq!((counts.p95, counts.max), (38, 40));
        let one = TokenCounts::of([40].into_iter());
        assert_eq!((one.p50, one.p95, one.max), (40, 40, 40));
        assert_eq!(TokenCounts::of([].into_iter()), TokenCounts::default());
    }
}
