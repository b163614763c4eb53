use shipworthy_datasets::TokenisedExample;

/// What a model is trained on, and what it is evaluated on meanwhile.
#[derive(Clone, Debug, Default)]
pub struct TrainingData {
    /// The examples it learns from.
    pub train: Vec<TokenisedExample>,
    /// The examples held out; none if nothing is evaluated.
    pub eval: Vec<TokenisedExample>,
}
