use serde_json::{Map, Value};

use crate::fault::Problem;

/// Fields by which other formats are known, with what a user calls the format.
const FORMATS: [(&[&str], &str); 4] = [
    (&["conversations"], "`conversations` looks like ShareGPT"),
    (&["instruction"], "`instruction` looks like Alpaca"),
    (
        &["chosen", "rejected"],
        "`chosen` and `rejected` look like preference data",
    ),
    (
        &["prompt", "completion"],
        "`prompt` and `completion` look like prompt-completion data",
    ),
];

/// Tells which other format a line's fields are, if a known one.
pub(crate) fn recognised(fields: &Map<String, Value>) -> Option<Problem> {
    let (_, format) = FORMATS
        .iter()
        .find(|(names, _)| names.iter().all(|name| fields.contains_key(*name)))?;
    Some(Problem::OtherFormat(format))
}
