/// A conversation as a model reads it, and what of it is learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenisedExample {
    /// Which one it is, in words a user finds it by: `train.jsonl:12`.
    pub id: String,
    /// The tokens, in order.
    pub tokens: Vec<u32>,
    /// For every token, whether it carries a label: whether the model learns to say it.
    pub labelled: Vec<bool>,
}

impl TokenisedExample {
    /// Returns how many tokens carry a label.
    ///
    /// The first token never counts: nothing comes before it that it could be told from.
    pub fn labelled_count(&self) -> usize {
        self.labelled.iter().skip(1).filter(|&&is| is).count()
    }
}
