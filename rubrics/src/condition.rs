use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use shipworthy_schema::Persona;

/// Which personas a criterion concerns: every named factor has one of the named levels.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, OneOrMore>")]
pub struct Condition(BTreeMap<String, Vec<String>>);

impl Condition {
    /// Tells whether the criterion concerns `persona`. A factor the persona lacks is not met.
    pub fn holds_for(&self, persona: &Persona) -> bool {
        self.0.iter().all(|(factor, wanted)| {
            persona
                .levels
                .get(factor)
                .is_some_and(|level| wanted.contains(level))
        })
    }

    /// Returns each factor with the levels that fulfil it, so that a caller who knows the persona
    /// spec can refuse a name that stands for nothing there.
    pub fn factors(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0
            .iter()
            .map(|(factor, levels)| (factor.as_str(), levels.as_slice()))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, (factor, levels)) in self.0.iter().enumerate() {
            let joint = if idx == 0 { "" } else { " and " };
            write!(f, "{joint}{factor} is {}", levels.join(" or "))?;
        }
        Ok(())
    }
}

impl TryFrom<BTreeMap<String, OneOrMore>> for Condition {
    type Error = String;

    fn try_from(factors: BTreeMap<String, OneOrMore>) -> Result<Self, String> {
        if factors.is_empty() {
            return Err("names no factor; leave it out to concern every persona".to_owned());
        }
        Ok(Self(
            factors
                .into_iter()
                .map(|(factor, levels)| (factor, levels.0))
                .collect(),
        ))
    }
}

/// A level or a list of levels. Written by hand because an untagged enum loses the position of an
/// error.
struct OneOrMore(Vec<String>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Levels;

        impl<'de> Visitor<'de> for Levels {
            type Value = OneOrMore;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a level or a list of levels")
            }

            fn visit_str<E: Error>(self, level: &str) -> Result<OneOrMore, E> {
                Ok(OneOrMore(vec![level.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMore, A::Error> {
                let mut levels = Vec::new();
                while let Some(level) = seq.next_element()? {
                    levels.push(level);
                }
                if levels.is_empty() {
                    return Err(Error::custom("names no level"));
                }
                Ok(OneOrMore(levels))
            }
        }

        deserializer.deserialize_any(Levels)
    }
}
