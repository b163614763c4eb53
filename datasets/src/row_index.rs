use sha2::{Digest as _, Sha256};

use crate::error::DatasetError;
use crate::fault::{Fault, FaultList, Problem};
use crate::fingerprint::Fingerprint;
use crate::formats::{Format, Row};
use crate::place::Place;
use crate::row_walk::walk;
use crate::rows::RowFile;

/// Fingerprints of all rows of a file.
pub(crate) struct RowIndex {
    /// For every row of the file, whether it is in order and so has a fingerprint.
    pub(crate) is_whole: Vec<bool>,
    pub(crate) places: Vec<Place>,
    pub(crate) prints: Vec<Fingerprint>,
    /// Digests of the field by which rows are grouped, if there is one.
    pub(crate) groups: Vec<u64>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) fault_count: usize,
}

impl RowIndex {
    /// Reads a file; rows that are wrong, or lack the field `group`, are faults.
    pub(crate) fn read(
        mut file: RowFile,
        from: Option<Format>,
        group: Option<&str>,
    ) -> Result<Self, DatasetError> {
        let mut faults = FaultList::default();
        let mut index = Self {
            is_whole: Vec::new(),
            places: Vec::new(),
            prints: Vec::new(),
            groups: Vec::new(),
            faults: Vec::new(),
            fault_count: 0,
        };
        let look = |_, fields, format| {
            let row = Row::read(fields, format)?;
            let group = group.map(|name| digest_of(&row, name)).transpose()?;
            Ok((Fingerprint::of(&row), group))
        };
        walk(&mut file, from, look, |place, looked| {
            index.is_whole.push(looked.is_ok());
            match looked {
                Err(found) => faults.add_row(place, found),
                Ok((print, group)) => {
                    index.places.push(place);
                    index.prints.push(print);
                    index.groups.extend(group);
                }
            }
        })?;
        (index.faults, index.fault_count) = faults.into_parts();
        Ok(index)
    }
}

fn digest_of(row: &Row, name: &str) -> Result<u64, Vec<(String, Problem)>> {
    let Some(value) = row.more().get(name) else {
        let expected = "the field to group by";
        return Err(vec![(name.to_owned(), Problem::Missing { expected })]);
    };
    let digest = Sha256::digest(value.to_string());
    let first: [u8; 8] = digest[..8].try_into().expect("a digest has 32 bytes");
    Ok(u64::from_be_bytes(first))
}
