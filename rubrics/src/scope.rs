use std::fmt;

use serde::Deserialize;

use crate::Share;

/// Which replies must satisfy a check for its criterion to be met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All of them.
    #[default]
    EveryReply,
    /// At least one.
    AnyReply,
    /// The first.
    FirstReply,
    /// The last.
    LastReply,
    /// At least this share of them.
    AtLeast(Share),
    /// None in particular: the value is the share that does.
    Share,
}

impl Scope {
    /// Returns how far the criterion is met, in [0, 1], given which replies satisfy the check;
    /// `None` without a reply.
    pub(crate) fn value(self, satisfied: &[bool]) -> Option<f64> {
        let (first, last) = (satisfied.first()?, satisfied.last()?);
        let count = satisfied.iter().filter(|is| **is).count();
        let share = count as f64 / satisfied.len() as f64;
        let met = match self {
            Self::EveryReply => count == satisfied.len(),
            Self::AnyReply => count > 0,
            Self::FirstReply => *first,
            Self::LastReply => *last,
            Self::AtLeast(least) => share >= least.get(),
            Self::Share => return Some(share),
        };
        Some(f64::from(u8::from(met)))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EveryReply => f.write_str("every reply"),
            Self::AnyReply => f.write_str("any reply"),
            Self::FirstReply => f.write_str("the first reply"),
            Self::LastReply => f.write_str("the last reply"),
            Self::AtLeast(share) => write!(f, "at least {share} of replies"),
            Self::Share => f.write_str("share of replies"),
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::Scope;

    #[test_case(Scope::EveryReply, [0.0, 1.0, 0.0])]
    #[test_case(Scope::AnyReply, [1.0, 1.0, 0.0])]
    #[test_case(Scope::FirstReply, [1.0, 1.0, 0.0])]
    #[test_case(Scope::LastReply, [0.0, 1.0, 0.0])]
    #[test_case(Scope::AtLeast(0.5.try_into().unwrap()), [1.0, 1.0, 0.0])]
    #[test_case(Scope::AtLeast(0.51.try_into().unwrap()), [0.0, 1.0, 0.0])]
    #[test_case(Scope::Share, [0.5, 1.0, 0.0])]
    fn value_over_replies(scope: Scope, expected: [f64; 3]) {
        let found = [[true, false], [true, true], [false, false]].map(|s| scope.value(&s));
        assert_eq!(found, expected.map(Some));
        assert_eq!(scope.value(&[]), None);
    }
}
