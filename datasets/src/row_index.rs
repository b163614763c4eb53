use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use sha2::{Digest as _, Sha256};

use crate::conversion::FormatReader;
use crate::error::DatasetError;
use crate::fault::{Fault, FaultList, Problem};
use crate::fingerprint::Fingerprint;
use crate::formats::{Format, Row};
use crate::place::Place;
use crate::rows::RowFile;

/// Rows that are looked at in parallel, and in memory at once.
const AT_ONCE: usize = 256;

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
        let mut reader = FormatReader::new(from);
        let mut faults = FaultList::default();
        let mut index = Self {
            is_whole: Vec::new(),
            places: Vec::new(),
            prints: Vec::new(),
            groups: Vec::new(),
            faults: Vec::new(),
            fault_count: 0,
        };
        loop {
            let mut some = Vec::with_capacity(AT_ONCE);
            for row in file.by_ref().take(AT_ONCE) {
                let (place, fields) = row?;
                some.push((place, reader.known(fields)));
            }
            if some.is_empty() {
                break;
            }
            let looked: Vec<_> = some
                .into_par_iter()
                .map(|(place, known)| {
                    let row = known
                        .map_err(|problem| vec![(String::new(), problem)])
                        .and_then(|(fields, format)| Row::read(fields, format));
                    let looked = row.and_then(|row| {
                        let group = group.map(|name| digest_of(&row, name)).transpose()?;
                        Ok((Fingerprint::of(&row), group))
                    });
                    (place, looked)
                })
                .collect();
            for (place, looked) in looked {
                index.is_whole.push(looked.is_ok());
                match looked {
                    Err(found) => faults.add_row(place, found),
                    Ok((print, group)) => {
                        index.places.push(place);
                        index.prints.push(print);
                        index.groups.extend(group);
                    }
                }
            }
        }
        if index.is_whole.is_empty() {
            return Err(DatasetError::Empty {
                path: file.path().to_owned(),
            });
        }
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
