use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

/// A number of things of which there must be at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u32")]
#[schemars(with = "NonZeroU32")]
pub struct Count(NonZeroU32);

impl Count {
    /// Takes `n` if it is above 0.
    pub fn new(n: u32) -> Option<Self> {
        NonZeroU32::new(n).map(Self)
    }

    /// Returns the number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl TryFrom<u32> for Count {
    type Error = &'static str;

    fn try_from(n: u32) -> Result<Self, &'static str> {
        Self::new(n).ok_or("must be at least 1")
    }
}
