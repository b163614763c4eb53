use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::formats::{Format, Unexpressed};
use crate::place::Place;
use crate::render_error::RenderError;
use crate::role::Role;
use crate::visible_text::{excerpt, visible};

/// How many faults of a file are told one by one.
pub(crate) const TOLD: usize = 20;

/// All that is wrong with a file of conversations.
#[derive(Debug)]
pub struct Faults {
    /// The file.
    pub path: PathBuf,
    /// The first ones, in the file's order; at most 20.
    pub first: Vec<Fault>,
    /// How many there are.
    pub total: usize,
}

/// Something wrong in one line or row.
#[derive(Debug, Serialize)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// Where in it: `messages[2].role`; empty for the line as a whole.
    pub field: String,
    /// What is wrong, and how to mend it.
    #[serde(serialize_with = "as_text")]
    pub problem: Problem,
}

/// What can be wrong with a line.
#[derive(Debug, Error)]
pub enum Problem {
    /// It is longer than any conversation.
    #[error("the line has more than {limit} bytes; split the conversation")]
    TooLong {
        /// The most allowed.
        limit: usize,
    },
    /// It is no text.
    #[error("byte {at} is not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// Which byte, from 1.
        at: usize,
    },
    /// It is no JSON.
    #[error("not JSON: {0}; every line is one JSON object")]
    NotJson(String),
    /// An element of a list is no JSON.
    #[error("not JSON: {0}; every element of the list is one JSON object")]
    NotJsonElement(String),
    /// A JSON list is cut off.
    #[error("the list that begins the file has no end; the file may be cut off")]
    EndlessList,
    /// A JSON list is not all there is.
    #[error("the file goes on behind its list; keep one list, or one object a line")]
    BehindList,
    /// A row of a table has other columns than its head.
    #[error("{found} cells under {expected} columns; a comma or a quotation mark may be missing")]
    Cells {
        /// How many it has.
        found: usize,
        /// How many the head has.
        expected: usize,
    },
    /// A table has too many columns.
    #[error("{count} columns, more than the {limit} a table may have")]
    Columns {
        /// How many there are.
        count: usize,
        /// The most allowed.
        limit: usize,
    },
    /// Two columns of a table have one name.
    #[error("the column `{}` is there twice; rename one", excerpt(.0, 30))]
    ColumnTwice(String),
    /// The columns are those of no format.
    #[error(
        "no format has these columns, found {found}; rename them as `messages`, `conversations`, `instruction` and `output`, `prompt` and `completion`, or `prompt`, `chosen` and `rejected`"
    )]
    UnknownFormat {
        /// What there is.
        found: String,
    },
    /// A format cannot express what the row has.
    #[error("{format} cannot express {what}")]
    Inexpressible {
        /// The format.
        format: Format,
        /// What, in words.
        what: Unexpressed,
    },
    /// Two replies of which none can be preferred.
    #[error("{0}")]
    Preference(&'static str),
    /// The file is one JSON array.
    #[error(
        "the file is one JSON array; write each of its objects on a line of its own (`jq -c '.[]'` does)"
    )]
    Array,
    /// Something is not of the kind it should be.
    #[error("expected {expected}, found {found}")]
    Kind {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A field is not there.
    #[error("is missing; expected {expected}")]
    Missing {
        /// What it should be.
        expected: &'static str,
    },
    /// Something has nothing in it.
    #[error("is empty; {mend}")]
    Empty {
        /// How to mend it.
        mend: &'static str,
    },
    /// More messages than any conversation has.
    #[error("{count} messages, more than the {limit} a conversation may have; split it")]
    TooMany {
        /// How many there are.
        count: usize,
        /// The most allowed.
        limit: usize,
    },
    /// A role nobody knows.
    #[error("unknown role `{}`; {}", visible(.role), role_mend(.role))]
    UnknownRole {
        /// The role.
        role: String,
    },
    /// A role where it cannot be.
    #[error("`{role}` cannot follow {previous}; {mend}")]
    OutOfOrder {
        /// The role.
        role: &'static str,
        /// What comes before it.
        previous: &'static str,
        /// How to mend it.
        mend: &'static str,
    },
    /// Nobody answers.
    #[error(
        "no message is the assistant's, so there is nothing to learn; add its reply or remove the line"
    )]
    NoAssistant,
    /// The last word is not the assistant's.
    #[error(
        "the conversation ends with `{role}`; add the assistant's reply or remove that message"
    )]
    NoReply {
        /// The last message's role.
        role: &'static str,
    },
    /// A list of parts that a text cannot be made of.
    #[error("{0}")]
    Parts(&'static str),
    /// A weight, which is not read.
    #[error(
        "weights of messages are not read, so the message would be learnt all the same; remove the field, or cut the conversation after the last reply that is to be learnt"
    )]
    Weight,
    /// Another format of data.
    #[error("{0}; convert it: `shipworthy data convert FILE --to messages`")]
    OtherFormat(&'static str),
    /// The chat template cannot write it, or not so that the assistant's part is known.
    #[error(transparent)]
    Render(#[from] RenderError),
}

fn as_text<S: Serializer>(problem: &Problem, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(problem)
}

impl Fault {
    /// Puts what was found in one row where that is.
    pub(crate) fn all(place: Place, found: Vec<(String, Problem)>) -> Vec<Self> {
        let located = found.into_iter().map(|(field, problem)| Self {
            place,
            field,
            problem,
        });
        located.collect()
    }
}

fn role_mend(role: &str) -> String {
    match Role::of_any_format(role) {
        Some(role) => format!("write `{}`", role.name()),
        None => "expected `system`, `user`, `assistant` or `tool`".to_owned(),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.place)?;
        if !self.field.is_empty() {
            write!(formatter, ", `{}`", self.field)?;
        }
        write!(formatter, ": {}", self.problem)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = visible(&self.path.display().to_string());
        if let [only] = &self.first[..]
            && self.total == 1
        {
            return write!(formatter, "`{path}`, {only}");
        }
        write!(formatter, "`{path}` has {} faults:", self.total)?;
        for fault in &self.first {
            write!(formatter, "\n  {fault}")?;
        }
        match self.total - self.first.len().min(self.total) {
            0 => Ok(()),
            more => write!(formatter, "\n  and {more} more"),
        }
    }
}

impl std::error::Error for Faults {}

/// Collects faults up to a bound, and counts the rest.
#[derive(Debug, Default)]
pub(crate) struct FaultList {
    first: Vec<Fault>,
    total: usize,
}

impl FaultList {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.total += 1;
        if self.first.len() < TOLD {
            self.first.push(fault);
        }
    }

    /// Adds all that is wrong with one row.
    pub(crate) fn add_row(&mut self, place: Place, found: Vec<(String, Problem)>) {
        for fault in Fault::all(place, found) {
            self.add(fault);
        }
    }

    /// Returns the first ones and how many there are.
    pub(crate) fn into_parts(self) -> (Vec<Fault>, usize) {
        (self.first, self.total)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Returns them as one error, if there are any.
    pub(crate) fn into_result(self, path: &std::path::Path) -> Result<(), Faults> {
        if self.total == 0 {
            return Ok(());
        }
        Err(Faults {
            path: path.to_owned(),
            first: self.first,
            total: self.total,
        })
    }
}
