//! What the columns of a table mean.

use super::error::Fault;
use crate::csv_text::check_names;

const REQUIRED: [&str; 4] = ["model", "persona", "repeat", "score"];
const OPTIONAL: [&str; 3] = ["termination", "passed", "note"];

/// The columns of a table by what they hold.
pub(super) struct Columns {
    /// All names, as the header has them.
    pub(super) names: Vec<String>,
    pub(super) model: usize,
    pub(super) persona: usize,
    pub(super) repeat: usize,
    pub(super) score: usize,
    pub(super) passed: Option<usize>,
    pub(super) note: Option<usize>,
    /// The criteria: index of the column and id.
    pub(super) criteria: Vec<(usize, String)>,
}

impl Columns {
    /// Takes a header; on failure returns the column's index, if there is one, its name and the
    /// fault.
    pub(super) fn of(names: Vec<String>) -> Result<Self, (Option<usize>, Option<String>, Fault)> {
        check_names(&names).map_err(|(idx, fault)| {
            let name = Some(names[idx].clone()).filter(|name| !name.is_empty());
            (Some(idx), name, fault.into())
        })?;
        let find = |wanted: &str| names.iter().position(|name| name == wanted);
        let required = |wanted: &str| {
            find(wanted).ok_or_else(|| {
                let found = names.clone();
                (None, Some(wanted.to_owned()), Fault::NoColumn { found })
            })
        };
        let is_criterion = |name: &str| !REQUIRED.contains(&name) && !OPTIONAL.contains(&name);
        let criteria = names
            .iter()
            .enumerate()
            .filter(|(_, name)| is_criterion(name))
            .map(|(idx, name)| (idx, criterion_id(name)))
            .collect();
        Ok(Self {
            model: required(REQUIRED[0])?,
            persona: required(REQUIRED[1])?,
            repeat: required(REQUIRED[2])?,
            score: required(REQUIRED[3])?,
            passed: find(OPTIONAL[1]),
            note: find(OPTIONAL[2]),
            criteria,
            names,
        })
    }
}

/// Returns the id of a criterion from its column's name; in `scores.csv` a criterion that is called
/// like a fixed column has the prefix `criterion_`.
fn criterion_id(name: &str) -> String {
    let id = name
        .strip_prefix("criterion_")
        .filter(|id| REQUIRED.contains(id) || OPTIONAL.contains(id));
    id.unwrap_or(name).to_owned()
}
