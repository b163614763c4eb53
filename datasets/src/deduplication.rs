use serde::Serialize;
use serde_json::{Map, Value};

use crate::clusters::{Clusters, Duplicates};
use crate::conversion::FormatReader;
use crate::error::DatasetError;
use crate::fault::Fault;
use crate::fingerprint::Fingerprint;
use crate::formats::Format;
use crate::row_index::RowIndex;
use crate::rows::RowFile;

/// Which rows of a file repeat no earlier one.
#[derive(Debug, Serialize)]
pub struct Deduplication {
    /// For every row of the file, whether it stays.
    #[serde(skip)]
    pub stays: Vec<bool>,
    /// Rows that were read.
    pub rows: usize,
    /// Rows that stay.
    pub kept: usize,
    /// Rows that say the same as an earlier one.
    pub exact_duplicates: Duplicates,
    /// Further rows that say nearly the same as an earlier one, if these go too.
    pub near_duplicates: Duplicates,
    /// Rows that were passed over because something is wrong with them.
    pub skipped: usize,
    /// What is wrong with them, the first 20 faults.
    pub faults: Vec<Fault>,
    /// How many faults there are.
    pub fault_count: usize,
}

/// Tells of every row whether it says, exactly or nearly, what no earlier one says.
///
/// A row of no known format is like no other.
pub fn distinct(rows: impl IntoIterator<Item = Map<String, Value>>) -> Vec<bool> {
    let mut reader = FormatReader::new(None);
    let mut is_whole = Vec::new();
    let mut prints = Vec::new();
    for fields in rows {
        let row = reader.read(Ok(fields));
        is_whole.push(row.is_ok());
        prints.extend(row.ok().map(|row| Fingerprint::of(&row)));
    }
    let mut clusters = Clusters::new(prints.len());
    clusters.join_exact(&prints);
    clusters.join_near(&prints);
    let firsts = (0..prints.len()).map(|row| clusters.root(row) == row);
    let mut firsts = firsts.collect::<Vec<_>>().into_iter();
    let stays = is_whole.into_iter();
    stays
        .map(|is_whole| !is_whole || firsts.next().unwrap_or(true))
        .collect()
}

/// Finds the rows that repeat no earlier one; of those that do the first stays.
pub fn deduplicate(
    file: RowFile,
    from: Option<Format>,
    exact_only: bool,
) -> Result<Deduplication, DatasetError> {
    let index = RowIndex::read(file, from, None)?;
    let count = index.prints.len();
    let mut clusters = Clusters::new(count);
    clusters.join_exact(&index.prints);
    let exact_duplicates = clusters.duplicates(&index.places, |_| false);
    let is_exact: Vec<bool> = (0..count).map(|row| clusters.root(row) != row).collect();
    let mut near_duplicates = Duplicates::default();
    if !exact_only {
        clusters.join_near(&index.prints);
        near_duplicates = clusters.duplicates(&index.places, |row| is_exact[row]);
    }
    let mut whole = 0;
    let stays = index.is_whole.iter().map(|&is_whole| {
        let is_first = is_whole && clusters.root(whole) == whole;
        whole += usize::from(is_whole);
        is_first
    });
    let stays: Vec<bool> = stays.collect();
    Ok(Deduplication {
        rows: stays.len(),
        kept: stays.iter().filter(|&&stays| stays).count(),
        stays,
        exact_duplicates,
        near_duplicates,
        skipped: index.is_whole.len() - count,
        faults: index.faults,
        fault_count: index.fault_count,
    })
}
