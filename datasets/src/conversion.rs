use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::DatasetError;
use crate::fault::{Fault, FaultList, Problem};
use crate::formats::{Format, Row};
use crate::json_value::names;
use crate::place::Place;
use crate::rows::RowFile;

/// From which format to which.
#[derive(Clone, Copy, Debug)]
pub struct ConversionOptions {
    /// The format of the file; without one it is that of the first row whose columns are known.
    pub from: Option<Format>,
    /// The format to write.
    pub to: Format,
    /// Whether what the format cannot express is left out, where a row makes sense without it.
    pub is_lossy: bool,
}

/// What became of the rows of a file.
#[derive(Debug, Serialize)]
pub struct ConversionReport {
    /// The format it was in; none if no row's columns are known.
    pub from: Option<Format>,
    /// The format that was written.
    pub to: Format,
    /// Rows that were read.
    pub rows: usize,
    /// Rows that were written.
    pub written: usize,
    /// Rows that were passed over because something is wrong with them.
    pub skipped: usize,
    /// What is wrong with them, the first 20 faults.
    pub faults: Vec<Fault>,
    /// How many faults there are; a row can have several.
    pub fault_count: usize,
    /// What was left out of rows that were written.
    pub left_out: Vec<Counted>,
    /// What to know of rows that were written.
    pub notes: Vec<Counted>,
}

/// Something that concerns several rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// What, in words.
    pub what: String,
    /// How many rows.
    pub rows: usize,
    /// Where the first of them is.
    pub first: Place,
}

/// Converts the rows of a file one after another, and gives each to `write`.
///
/// Errors if the file cannot be read or has no row, or with what `write` says; rows that are wrong
/// are counted and passed over.
pub fn convert(
    file: RowFile,
    options: ConversionOptions,
    write: &mut dyn FnMut(&Map<String, Value>) -> std::io::Result<()>,
) -> Result<ConversionReport, DatasetError> {
    let path = file.path().to_owned();
    let mut reader = FormatReader::new(options.from);
    let mut faults = FaultList::default();
    let mut left_out = Tally::default();
    let mut notes = Tally::default();
    let (mut rows, mut written) = (0, 0);
    for row in file {
        let (place, fields) = row?;
        rows += 1;
        let row = reader.read(fields).and_then(|row| {
            let written = row.written(options.to, options.is_lossy);
            written.map_err(|lost| {
                let inexpressible = lost.into_iter().map(|what| Problem::Inexpressible {
                    format: options.to,
                    what,
                });
                inexpressible
                    .map(|problem| (String::new(), problem))
                    .collect()
            })
        });
        match row {
            Err(found) => faults.add_row(place, found),
            Ok(row) => {
                write(&row.fields).map_err(DatasetError::Write)?;
                written += 1;
                row.left_out.iter().for_each(|one| left_out.add(one, place));
                row.notes.iter().for_each(|one| notes.add(one, place));
            }
        }
    }
    if rows == 0 {
        return Err(DatasetError::Empty { path });
    }
    let (first, fault_count) = faults.into_parts();
    Ok(ConversionReport {
        from: reader.format,
        to: options.to,
        rows,
        written,
        skipped: rows - written,
        faults: first,
        fault_count,
        left_out: left_out.finish(),
        notes: notes.finish(),
    })
}

/// Reads rows of one format, found out at the first row whose columns are known.
pub(crate) struct FormatReader {
    pub(crate) format: Option<Format>,
}

impl FormatReader {
    pub(crate) fn new(format: Option<Format>) -> Self {
        Self { format }
    }

    pub(crate) fn read(
        &mut self,
        fields: Result<Map<String, Value>, Problem>,
    ) -> Result<Row, Vec<(String, Problem)>> {
        let known = self.known(fields);
        let (fields, format) = known.map_err(|problem| vec![(String::new(), problem)])?;
        Row::read(fields, format)
    }

    /// Tells in which format a row is.
    pub(crate) fn known(
        &mut self,
        fields: Result<Map<String, Value>, Problem>,
    ) -> Result<(Map<String, Value>, Format), Problem> {
        let fields = fields?;
        self.format = self.format.or_else(|| Format::of(&fields));
        match self.format {
            Some(format) => Ok((fields, format)),
            None => Err(Problem::UnknownFormat {
                found: names(&fields),
            }),
        }
    }
}

/// Counts rows by what concerns them.
#[derive(Default)]
struct Tally(BTreeMap<String, (usize, Place)>);

impl Tally {
    fn add(&mut self, what: &impl ToString, place: Place) {
        self.0.entry(what.to_string()).or_insert((0, place)).0 += 1;
    }

    fn finish(self) -> Vec<Counted> {
        let counted = self
            .0
            .into_iter()
            .map(|(what, (rows, first))| Counted { what, rows, first });
        counted.collect()
    }
}
