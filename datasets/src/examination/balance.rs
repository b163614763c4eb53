use std::collections::BTreeMap;

use serde::Serialize;

/// Different openings that are counted; later ones are not.
const OPENINGS: usize = 10_000;
/// Kinds a field may sort rows into.
const KINDS: usize = 30;
/// Fields that are looked at.
const FIELDS: usize = 50;

/// How many rows are of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The kind.
    pub name: String,
    /// How many.
    pub rows: usize,
    /// Their share of all, between 0 and 1.
    pub share: f64,
}

/// A field that sorts rows into a few kinds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldBalance {
    /// Its name.
    pub field: String,
    /// Its values, the most frequent first.
    pub values: Vec<Share>,
}

/// Counts how rows begin and what their fields sort them into.
#[derive(Default)]
pub(super) struct Balance {
    openings: BTreeMap<String, usize>,
    /// Without counts where there are too many kinds.
    fields: BTreeMap<String, Option<BTreeMap<String, usize>>>,
}

impl Balance {
    pub(super) fn add(&mut self, opening: Option<String>, more: Vec<(String, String)>) {
        if let Some(opening) = opening
            && (self.openings.len() < OPENINGS || self.openings.contains_key(&opening))
        {
            *self.openings.entry(opening).or_default() += 1;
        }
        for (field, value) in more {
            if self.fields.len() >= FIELDS && !self.fields.contains_key(&field) {
                continue;
            }
            let counts = self.fields.entry(field);
            let counts = counts.or_insert_with(|| Some(BTreeMap::new()));
            if let Some(kinds) = counts {
                *kinds.entry(value).or_default() += 1;
                if kinds.len() > KINDS {
                    *counts = None;
                }
            }
        }
    }

    /// Returns the openings that more than one row in fifty has, and the fields.
    pub(super) fn finish(self, rows: usize) -> (Vec<Share>, Vec<FieldBalance>) {
        let openings = self.openings.into_iter();
        let openings = openings.filter(|(_, count)| *count > 1 && count * 50 > rows);
        let fields = self.fields.into_iter().filter_map(|(field, counts)| {
            // A field that is another in every row sorts nothing.
            let counts = counts.filter(|counts| counts.values().any(|count| *count > 1))?;
            Some(FieldBalance {
                field,
                values: Share::of(counts.into_iter().collect(), rows, 10),
            })
        });
        (Share::of(openings.collect(), rows, 5), fields.collect())
    }
}

impl Share {
    /// Sorts kinds by their counts, names deciding, and keeps the first.
    pub(super) fn of(mut counts: Vec<(String, usize)>, rows: usize, kept: usize) -> Vec<Self> {
        counts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        counts.truncate(kept);
        let shares = counts.into_iter().map(|(name, count)| Self {
            name,
            rows: count,
            share: count as f64 / rows.max(1) as f64,
        });
        shares.collect()
    }
}
