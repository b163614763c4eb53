//! A share of a run's people, for several machines to hold one evaluation together.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;

/// Which share of the people, of how many.
///
/// People are dealt out one by one in the order of the pool, which is that of their seeds: the share
/// of a person follows from the plan alone, and all conversations of one person are in one share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Shard {
    part: u32,
    of: u32,
}

/// Says why a text names no share.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected two numbers such as `2/3`, the first from 1 to the second, got `{got}`")]
pub struct ShardError {
    /// The text.
    pub got: String,
}

impl Shard {
    /// Returns share `part` (from 1) of `of`, if there is one.
    pub fn new(part: u32, of: u32) -> Option<Self> {
        (1..=of).contains(&part).then_some(Self { part, of })
    }

    /// Returns which share it is, from 1.
    pub fn part(self) -> u32 {
        self.part
    }

    /// Returns how many shares there are.
    pub fn of(self) -> u32 {
        self.of
    }

    /// Returns this share of `people`, which are in the order of the pool.
    pub fn share<T: Clone>(self, people: &[T]) -> Vec<T> {
        let first = self.part as usize - 1;
        people
            .iter()
            .skip(first)
            .step_by(self.of as usize)
            .cloned()
            .collect()
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let parsed = text
            .split_once('/')
            .and_then(|(part, of)| Self::new(part.trim().parse().ok()?, of.trim().parse().ok()?));
        parsed.ok_or_else(|| ShardError {
            got: text.to_owned(),
        })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::Shard;

    #[test]
    fn shares_are_a_partition() {
        let people: Vec<u32> = (9000..9011).collect();
        let mut all: Vec<u32> = (1..=3)
            .flat_map(|part| Shard::new(part, 3).unwrap().share(&people))
            .collect();
        assert_eq!(all[..4], [9000, 9003, 9006, 9009]);
        all.sort_unstable();
        assert_eq!(all, people);
    }

    #[test_case("1/1", true)]
    #[test_case("3/3", true)]
    #[test_case("0/3", false)]
    #[test_case("4/3", false)]
    #[test_case("1/0", false)]
    #[test_case("1", false)]
    #[test_case("-1/3", false)]
    fn a_share_is_read(text: &str, is_one: bool) {
        let read: Result<Shard, _> = text.parse();
        assert_eq!(read.is_ok(), is_one);
        if let Ok(shard) = read {
            assert_eq!(shard.to_string(), text);
        }
    }
}
