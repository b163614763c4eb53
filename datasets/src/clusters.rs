use serde::Serialize;

use crate::fingerprint::Fingerprint;
use crate::min_hash::BANDS;
use crate::place::Place;

/// Duplicates that are named one by one.
const NAMED: usize = 10;

/// Rows that belong together, as a forest: every row knows an earlier one or is a root.
pub(crate) struct Clusters {
    parents: Vec<u32>,
}

/// Which rows are duplicates of earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Duplicates {
    /// How many.
    pub rows: usize,
    /// The first of them, each with the row it is like.
    pub first: Vec<DuplicateOf>,
}

/// A row that is like an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DuplicateOf {
    /// The row.
    pub place: Place,
    /// The first row that it is like, itself or by others between them.
    pub of: Place,
}

impl Clusters {
    pub(crate) fn new(rows: usize) -> Self {
        let rows = u32::try_from(rows).expect("that many fingerprints are not held in memory");
        Self {
            parents: (0..rows).collect(),
        }
    }

    /// Joins rows with the same key; rows without a key stay as they are.
    pub(crate) fn join_equal<K: Ord + Copy>(&mut self, key: impl Fn(usize) -> Option<K>) {
        let mut keyed: Vec<(K, u32)> = (0..self.parents.len())
            .zip(0_u32..)
            .filter_map(|(row, number)| Some((key(row)?, number)))
            .collect();
        keyed.sort_unstable();
        for pair in keyed.windows(2) {
            if pair[0].0 == pair[1].0 {
                self.join(pair[0].1, pair[1].1);
            }
        }
    }

    /// Joins rows that say the same.
    pub(crate) fn join_exact(&mut self, prints: &[Fingerprint]) {
        self.join_equal(|row| Some(prints[row].exact));
    }

    /// Joins rows that say nearly the same.
    pub(crate) fn join_near(&mut self, prints: &[Fingerprint]) {
        for band in 0..BANDS {
            self.join_equal(|row| Some(prints[row].bands[band]));
        }
    }

    /// Returns the first row of a row's cluster.
    pub(crate) fn root(&mut self, row: usize) -> usize {
        let row = u32::try_from(row).expect("rows are counted in 32 bits");
        self.find(row) as usize
    }

    /// Tells which rows are not the first of their cluster, leaving out those that `is_known`.
    pub(crate) fn duplicates(
        &mut self,
        places: &[Place],
        is_known: impl Fn(usize) -> bool,
    ) -> Duplicates {
        let mut duplicates = Duplicates::default();
        for row in 0..places.len() {
            let root = self.root(row);
            if root == row || is_known(row) {
                continue;
            }
            duplicates.rows += 1;
            if duplicates.first.len() < NAMED {
                duplicates.first.push(DuplicateOf {
                    place: places[row],
                    of: places[root],
                });
            }
        }
        duplicates
    }

    fn join(&mut self, one: u32, other: u32) {
        let (one, other) = (self.find(one), self.find(other));
        // The earlier row is the root.
        let (first, later) = (one.min(other), one.max(other));
        self.parents[later as usize] = first;
    }

    fn find(&mut self, mut row: u32) -> u32 {
        while self.parents[row as usize] != row {
            let parent = self.parents[row as usize];
            self.parents[row as usize] = self.parents[parent as usize];
            row = self.parents[row as usize];
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_joined_to_their_first() {
        let mut clusters = Clusters::new(6);
        let one = [1, 2, 1, 3, 2, 9];
        let other = [0, 7, 7, 8, 5, 8];
        clusters.join_equal(|row| Some(one[row]));
        clusters.join_equal(|row| (row != 0).then_some(other[row]));
        let roots: Vec<_> = (0..6).map(|row| clusters.root(row)).collect();
        assert_eq!(roots, [0, 0, 0, 3, 0, 3]);
        let places: Vec<_> = (1..=6).map(Place::Line).collect();
        let found = clusters.duplicates(&places, |row| row == 1);
        assert_eq!(found.rows, 3);
        assert_eq!(found.first[2].of, Place::Line(4));
    }
}
