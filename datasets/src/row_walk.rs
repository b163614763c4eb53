//! One walk over all rows of a file: read, looked at in parallel, taken in the file's order.

use std::io;

use rayon::iter::{IndexedParallelIterator as _, IntoParallelIterator as _, ParallelIterator as _};
use serde_json::{Map, Value};
use shipworthy_models::on_large_stack;

use crate::error::DatasetError;
use crate::fault::Problem;
use crate::formats::Format;
use crate::json_value::names;
use crate::place::Place;
use crate::rows::{RowFile, UnreadRow};

/// Rows that are in memory at once, at most, and the bytes with which no more are taken.
const AT_ONCE: usize = 1024;
const BYTES_AT_ONCE: usize = 16 << 20;
/// Rows that one thread looks at one after another.
const TOGETHER: usize = 32;

/// What is wrong with a row, each with its field.
type Found = Vec<(String, Problem)>;

/// Where a row is, and what is seen of it.
type Looked<T> = (Place, Result<T, Found>);

/// Gives what `look` sees of every row to `take`, in the file's order whichever thread is done first;
/// returns the format, found out at the first row whose columns are known unless it is given.
///
/// Errors if the file cannot be read or has no row.
pub(crate) fn walk<T: Send>(
    file: &mut RowFile,
    from: Option<Format>,
    look: impl Fn(Place, Map<String, Value>, Format) -> Result<T, Found> + Sync,
    mut take: impl FnMut(Place, Result<T, Found>),
) -> Result<Option<Format>, DatasetError> {
    let mut format = from;
    let mut is_empty = true;
    loop {
        let some = some_rows(file, &mut format)?;
        if some.is_empty() {
            break;
        }
        is_empty = false;
        let chunks = some.into_par_iter().chunks(TOGETHER).map(|rows| {
            // One thread for all of them, not one for each template that is rendered.
            let looked = || rows.into_iter().map(|row| row.look(&look)).collect();
            match on_large_stack(looked) {
                Ok(Some(looked)) => Ok(looked),
                Ok(None) => Err(io::Error::other("the rows cannot be looked at")),
                Err(source) => Err(source),
            }
        });
        let looked: io::Result<Vec<Vec<Looked<T>>>> = chunks.collect();
        let looked = looked.map_err(|source| DatasetError::Read {
            path: file.path().to_owned(),
            source,
        })?;
        for (place, looked) in looked.into_iter().flatten() {
            take(place, looked);
        }
    }
    if is_empty {
        return Err(DatasetError::Empty {
            path: file.path().to_owned(),
        });
    }
    Ok(format)
}

/// A row to look at, and its format if that is known.
struct NextRow {
    place: Place,
    row: UnreadRow,
    format: Option<Format>,
}

impl NextRow {
    fn look<T>(
        self,
        look: &impl Fn(Place, Map<String, Value>, Format) -> Result<T, Found>,
    ) -> Looked<T> {
        let whole = |problem| vec![(String::new(), problem)];
        let looked = match (self.row.fields(), self.format) {
            (Err(problem), _) => Err(whole(problem)),
            (Ok(fields), Some(format)) => look(self.place, fields, format),
            (Ok(fields), None) => Err(whole(Problem::UnknownFormat {
                found: names(&fields),
            })),
        };
        (self.place, looked)
    }
}

/// Takes the next rows; none at the end of the file. The first row whose columns are known decides on
/// the format of those behind it.
fn some_rows(
    file: &mut RowFile,
    format: &mut Option<Format>,
) -> Result<Vec<NextRow>, DatasetError> {
    let mut rows = Vec::with_capacity(AT_ONCE);
    let mut bytes = 0;
    while rows.len() < AT_ONCE && bytes < BYTES_AT_ONCE {
        let Some(next) = file.next_unread() else {
            break;
        };
        let (place, mut row) = next?;
        bytes += row.size();
        if format.is_none() {
            let fields = row.fields();
            *format = fields.as_ref().ok().and_then(Format::of);
            row = UnreadRow::Read(fields);
        }
        rows.push(NextRow {
            place,
            row,
            format: *format,
        });
    }
    Ok(rows)
}
