use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::tensor_type::TensorType;

/// Says what is wrong with a GGUF file, and where.
#[derive(Debug, Error)]
#[error("`{path}`, byte {offset}{part}: {problem}")]
pub struct GgufError {
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// What stands there.
    pub part: Part,
    /// What is wrong.
    pub problem: GgufProblem,
}

/// A part of a GGUF file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Magic, version and counts.
    Header,
    /// A key that could not be read, counted from 0.
    KeyNumber(u64),
    /// A key.
    Key(String),
    /// A tensor whose name could not be read, counted from 0.
    TensorNumber(u64),
    /// A tensor.
    Tensor(String),
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => formatter.write_str(", header"),
            Self::KeyNumber(idx) => write!(formatter, ", key number {idx}"),
            Self::Key(key) => write!(formatter, ", key `{key}`"),
            Self::TensorNumber(idx) => write!(formatter, ", tensor number {idx}"),
            Self::Tensor(name) => write!(formatter, ", tensor `{name}`"),
        }
    }
}

/// What can be wrong with a GGUF file.
#[derive(Debug, Error)]
pub enum GgufProblem {
    /// Another kind of file.
    #[error("expected a GGUF file, which begins with `GGUF`")]
    Magic,
    /// Another version.
    #[error("GGUF version {0} is not supported, 2 and 3 are; convert the model again")]
    Version(u32),
    /// Made for machines that nobody has.
    #[error("the file is big-endian; convert the model again as a little-endian file")]
    BigEndian,
    /// The file ends too early.
    #[error("{needed} bytes are needed, the file has {left} more: it is cut short or no GGUF file")]
    End {
        /// Bytes needed.
        needed: u64,
        /// Bytes left.
        left: u64,
    },
    /// More of something than the rest of the file has room for.
    #[error("{count} {what} are said to follow; the {left} bytes left have room for {most}")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many the file says.
        count: u64,
        /// Bytes left.
        left: u64,
        /// As many as have room.
        most: u64,
    },
    /// The header does not end where it must.
    #[error("the header goes on after the {limit} bytes it may have")]
    Header {
        /// The most allowed.
        limit: u64,
    },
    /// Bytes that are no text.
    #[error("the string is not UTF-8")]
    NotUtf8,
    /// Neither 0 nor 1.
    #[error("expected 0 or 1 for a bool, found {0}")]
    Bool(u8),
    /// A number that stands for no type of value.
    #[error("{0} stands for no type of value, 0 to 12 do")]
    ValueType(u32),
    /// Arrays of arrays of arrays.
    #[error("arrays stand in arrays more than {limit} deep")]
    Depth {
        /// As deep as they may.
        limit: u32,
    },
    /// A key or name of no letters.
    #[error("it has no name")]
    Unnamed,
    /// A name too long for llama.cpp.
    #[error("its name has {length} bytes, more than the {limit} a name may have")]
    Name {
        /// Bytes it has.
        length: u64,
        /// Bytes it may have.
        limit: u64,
    },
    /// The same key or tensor before.
    #[error("it is there twice")]
    Twice,
    /// `general.alignment` is no power of two.
    #[error("expected a u32 that is a power of two, found {0}")]
    Alignment(String),
    /// Too many dimensions.
    #[error("it has {found} dimensions, at most {limit} are possible")]
    Dimensions {
        /// As many as it says.
        found: u32,
        /// As many as there may be.
        limit: u32,
    },
    /// A dimension of 0.
    #[error("it has no values: its dimensions are {dimensions:?}")]
    Empty {
        /// The dimensions.
        dimensions: Vec<u64>,
    },
    /// A number that stands for no type of tensor.
    #[error("{0} stands for no known type of tensor")]
    TensorType(u32),
    /// Rows that do not fill blocks, or more bytes than can be counted.
    #[error(
        "{tensor_type} of dimensions {dimensions:?} cannot be: rows are blocks of {}, and sizes stay below 2^64",
        tensor_type.block_size()
    )]
    Size {
        /// The type.
        tensor_type: TensorType,
        /// The dimensions.
        dimensions: Vec<u64>,
    },
    /// Not where the tensor before it ends.
    #[error(
        "its values are said to be at {found} of the data, expected {expected}: tensors overlap, leave a gap or are not aligned to {alignment} bytes"
    )]
    Offset {
        /// What the file says.
        found: u64,
        /// Where the one before it ends, padded.
        expected: u64,
        /// Bytes to a multiple of which tensors begin.
        alignment: u32,
    },
    /// It ends after the file.
    #[error("its values end at byte {end}, the file at byte {file}")]
    OutOfRange {
        /// Where it says it ends.
        end: u64,
        /// Where the file ends.
        file: u64,
    },
}

/// Says why a GGUF file could not be written.
#[derive(Debug, Error)]
#[error("`{path}`: {problem}")]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub problem: WriteProblem,
}

/// Why a GGUF file cannot be written.
#[derive(Debug, Error)]
pub enum WriteProblem {
    /// Something is there.
    #[error("is there already")]
    Exists,
    /// No file can have that name.
    #[error("is not a file's name")]
    NotAFile,
    /// What is to be written is no GGUF file.
    #[error("{part}: {problem}", part = .part.to_string().trim_start_matches(", "))]
    Invalid {
        /// The key or tensor.
        part: Part,
        /// What is wrong.
        problem: GgufProblem,
    },
    /// More bytes than the tensor has.
    #[error("tensor `{tensor}`: {given} bytes came, it has {needed}")]
    Long {
        /// The tensor.
        tensor: String,
        /// Bytes it has.
        needed: u64,
        /// Bytes given, so far.
        given: u64,
    },
    /// Bytes after the last tensor.
    #[error("{given} bytes came after the last tensor")]
    NoneDue {
        /// Bytes given.
        given: u64,
    },
    /// Fewer bytes than the tensor has.
    #[error("tensor `{tensor}`: only {given} bytes came, it has {needed}")]
    Short {
        /// The tensor.
        tensor: String,
        /// Bytes it has.
        needed: u64,
        /// Bytes given.
        given: u64,
    },
    /// Another tensor is due.
    #[error("tensor `{given}` came, {} is due", due.as_ref().map_or("none".to_owned(), |name| format!("`{name}`")))]
    Order {
        /// The one that came.
        given: String,
        /// The one that is due, if any.
        due: Option<String>,
    },
}
