use std::ops::Range;

use shipworthy_datasets::TokenisedExample;

/// Sequences that go through the model at once, one after another without padding.
///
/// Attention stays within a sequence, and positions begin at 0 in each; a batch of eight and a row of
/// eight packed examples are the same thing.
#[derive(Clone, Debug)]
pub struct Batch {
    tokens: Vec<u32>,
    /// What follows each token, where that is learnt.
    labels: Vec<Option<u32>>,
    /// Where sequences begin, and where the last ends.
    bounds: Vec<usize>,
    /// Keys of the sequences' own random numbers.
    keys: Vec<u64>,
}

impl Batch {
    /// Puts examples one after another; `keys` gives each its own random numbers, wherever in whatever
    /// batch it stands.
    pub fn new<'a>(examples: impl IntoIterator<Item = (&'a TokenisedExample, u64)>) -> Self {
        let mut batch = Self {
            tokens: Vec::new(),
            labels: Vec::new(),
            bounds: vec![0],
            keys: Vec::new(),
        };
        for (example, key) in examples {
            batch.tokens.extend(&example.tokens);
            let next = example.tokens.iter().zip(&example.labelled).skip(1);
            let labels = next.map(|(&token, &is)| is.then_some(token));
            batch.labels.extend(labels);
            batch.labels.resize(batch.tokens.len(), None);
            batch.bounds.push(batch.tokens.len());
            batch.keys.push(key);
        }
        batch
    }

    /// Returns the tokens of all sequences.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Returns, for every token, the one that follows it, if that is learnt.
    pub fn labels(&self) -> &[Option<u32>] {
        &self.labels
    }

    /// Returns where each sequence is.
    pub fn sequences(&self) -> impl ExactSizeIterator<Item = Range<usize>> + Clone + '_ {
        self.bounds.windows(2).map(|bounds| bounds[0]..bounds[1])
    }

    /// Returns the key of each sequence's own random numbers.
    pub fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// Returns how many tokens are learnt.
    pub fn labelled_count(&self) -> usize {
        self.labels.iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_the_tokens_that_follow_within_a_sequence() {
        let example = |tokens: &[u32], labelled: &[bool]| TokenisedExample {
            id: String::new(),
            tokens: tokens.to_vec(),
            labelled: labelled.to_vec(),
        };
        let first = example(&[5, 6, 7], &[true, false, true]);
        let second = example(&[8, 9], &[true, true]);
        let batch = Batch::new([(&first, 1), (&second, 2)]);
        assert_eq!(batch.tokens(), [5, 6, 7, 8, 9]);
        assert_eq!(batch.labels(), [None, Some(7), None, Some(9), None]);
        assert_eq!(batch.sequences().collect::<Vec<_>>(), [0..3, 3..5]);
        assert_eq!(batch.labelled_count(), 2);
    }
}
