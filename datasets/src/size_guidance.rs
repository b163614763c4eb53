use serde::Serialize;

/// What a data set of this size is usually good for, as a rule of thumb for teaching a style with LoRA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeGuidance {
    /// Below 10 examples.
    TooFew,
    /// From 10: a test that the pipeline works; 20 to 40 % of the style.
    ProofOfConcept,
    /// From 50: noticeable, inconsistent; 40 to 60 %.
    Noticeable,
    /// From 100: 60 to 80 %.
    Production,
    /// From 500: 80 to 95 %.
    Professional,
}

impl SizeGuidance {
    /// Returns what so many distinct examples are good for.
    pub fn of(examples: usize) -> Self {
        match examples {
            0..10 => Self::TooFew,
            10..50 => Self::ProofOfConcept,
            50..100 => Self::Noticeable,
            100..500 => Self::Production,
            500.. => Self::Professional,
        }
    }

    /// Says it in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::TooFew => "too few to learn from; 10 to 20 make a proof of concept",
            Self::ProofOfConcept => "a proof of concept; 50 to 100 make a noticeable difference",
            Self::Noticeable => "a noticeable difference, not a reliable one; take 100 to 200",
            Self::Production => "enough for production; 500 or more for professional use",
            Self::Professional => "enough for professional use",
        }
    }
}
