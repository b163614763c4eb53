use std::collections::BTreeMap;

use serde::Serialize;

use crate::personal_data::PersonalData;
use crate::place::Place;

/// How often one kind of personal data was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PersonalDataCount {
    /// Of which kind.
    pub kind: PersonalData,
    /// How often.
    pub count: usize,
    /// In how many rows.
    pub rows: usize,
    /// The first of these.
    pub first: Place,
}

/// Counts personal data by kind. The data themselves are not kept: a report would spread them.
#[derive(Default)]
pub(super) struct PersonalDataTally(BTreeMap<PersonalData, PersonalDataCount>);

impl PersonalDataTally {
    pub(super) fn add(&mut self, place: Place, found: &BTreeMap<PersonalData, usize>) {
        for (&kind, count) in found {
            let tally = self.0.entry(kind).or_insert(PersonalDataCount {
                kind,
                count: 0,
                rows: 0,
                first: place,
            });
            tally.count += count;
            tally.rows += 1;
        }
    }

    pub(super) fn finish(self) -> Vec<PersonalDataCount> {
        self.0.into_values().collect()
    }
}
