use std::collections::BTreeMap;

use serde::Serialize;

use crate::clusters::Clusters;
use crate::error::DatasetError;
use crate::fault::Fault;
use crate::formats::Format;
use crate::row_index::RowIndex;
use crate::rows::RowFile;
use crate::words::mixed;

/// How a file is divided.
#[derive(Clone, Debug)]
pub struct SplitOptions {
    /// Its format; without one that of the first row whose columns are known.
    pub from: Option<Format>,
    /// The parts' shares in per cent, the training part first; together 100.
    pub shares: Vec<u32>,
    /// Another one divides otherwise.
    pub seed: u64,
    /// Rows with the same value of this field stay together.
    pub group: Option<String>,
}

/// Which row of a file goes into which part.
#[derive(Debug, Serialize)]
pub struct Split {
    /// For every row of the file its part; none for a row that is wrong.
    #[serde(skip)]
    pub part_of: Vec<Option<usize>>,
    /// Rows of every part.
    pub parts: Vec<usize>,
    /// Groups of rows that stay together; a row like no other is one.
    pub groups: usize,
    /// Rows of the largest group.
    pub largest_group: usize,
    /// Rows that were passed over because something is wrong with them.
    pub skipped: usize,
    /// What is wrong with them, the first 20 faults.
    pub faults: Vec<Fault>,
    /// How many faults there are.
    pub fault_count: usize,
}

/// Divides the rows of a file, so that no row has a duplicate, exact or near, in another part.
///
/// It follows from the seed and from what rows say alone, not from their order.
pub fn split(file: RowFile, options: &SplitOptions) -> Result<Split, DatasetError> {
    let index = RowIndex::read(file, options.from, options.group.as_deref())?;
    let count = index.prints.len();
    let mut clusters = Clusters::new(count);
    clusters.join_exact(&index.prints);
    clusters.join_near(&index.prints);
    if options.group.is_some() {
        clusters.join_equal(|row| Some(index.groups[row]));
    }
    // Of every group its rows and the least digest of what they say, which names it.
    let mut groups: BTreeMap<usize, (u64, usize)> = BTreeMap::new();
    for (row, print) in index.prints.iter().enumerate() {
        let group = groups.entry(clusters.root(row)).or_insert((u64::MAX, 0));
        group.0 = group.0.min(print.exact);
        group.1 += 1;
    }
    let start = mixed(options.seed.wrapping_add(1));
    let mut order: Vec<(u64, usize, usize)> = groups
        .iter()
        .map(|(&root, &(name, size))| (mixed(name ^ start), size, root))
        .collect();
    order.sort_unstable();
    let wanted: Vec<usize> = options
        .shares
        .iter()
        .map(|&share| ((count * share as usize + 50) / 100).max(1))
        .collect();
    let mut parts = vec![0; options.shares.len()];
    let mut part_of_root = BTreeMap::new();
    for (_, size, root) in &order {
        // What fits nowhere else is trained on.
        let room = (1..parts.len()).find(|&part| parts[part] + size <= wanted[part]);
        let part = room.unwrap_or(0);
        parts[part] += size;
        part_of_root.insert(*root, part);
    }
    let mut whole = 0;
    let part_of = index.is_whole.iter().map(|&is_whole| {
        let part = is_whole.then(|| part_of_root[&clusters.root(whole)]);
        whole += usize::from(is_whole);
        part
    });
    Ok(Split {
        part_of: part_of.collect(),
        parts,
        groups: order.len(),
        largest_group: order.iter().map(|group| group.1).max().unwrap_or(0),
        skipped: index.is_whole.len() - count,
        faults: index.faults,
        fault_count: index.fault_count,
    })
}
