use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::cursor::{Cursor, Fault};
use super::encoding::read_value;
use super::error::{GgufError, GgufProblem, Part};
use super::key_values::KeyValues;
use super::tensor::{StoredTensor, TensorDescription};
use super::tensor_type::TensorType;
use super::value::Value;
use super::{
    ALIGNMENT_KEY, DEFAULT_ALIGNMENT, DIMENSIONS_LIMIT, MAGIC, NAME_LIMIT, VERSION, header,
};
use crate::error::ModelError;
use crate::mapped_file::MappedFile;

/// The oldest version read; counts had four bytes before.
const OLDEST: u32 = 2;

/// Bytes that all before the tensors' values may have; the largest vocabularies take some ten millions. A
/// file with holes may be far longer than the memory.
const HEADER_LIMIT: usize = 1 << 27;

/// A GGUF file of which every key and tensor was found to be sound.
///
/// As strict as llama.cpp: tensors follow one another in the order of the header, each padded to the
/// alignment, so that what is read here is read there.
#[derive(Debug)]
pub struct GgufFile {
    path: PathBuf,
    bytes: MappedFile,
    contents: Contents,
    places: HashMap<String, usize>,
}

#[derive(Debug)]
struct Contents {
    version: u32,
    alignment: u32,
    key_values: KeyValues,
    tensors: Vec<StoredTensor>,
}

impl GgufFile {
    /// Reads the header; the tensors' values stay on disk.
    ///
    /// Errors with the byte and the key or tensor, if there is anything that llama.cpp would not read
    /// either; also for an empty tensor and for text that is not UTF-8.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let bytes = MappedFile::open(path)?;
        let contents = read(&bytes).map_err(|(part, fault)| GgufError {
            path: path.to_owned(),
            offset: fault.offset,
            part,
            problem: fault.problem,
        })?;
        let names = contents.tensors.iter().enumerate();
        let places = names.map(|(idx, tensor)| (tensor.name().to_owned(), idx));
        Ok(Self {
            path: path.to_owned(),
            bytes,
            places: places.collect(),
            contents,
        })
    }

    /// Returns how many tokens the file's vocabulary has, if it has one.
    pub fn vocab_size(&self) -> Option<u32> {
        let tokens = self.key_values().get("tokenizer.ggml.tokens")?;
        u32::try_from(tokens.as_array()?.len()).ok()
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the bytes of the whole file.
    pub fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Returns the version of the format, 2 or 3.
    pub fn version(&self) -> u32 {
        self.contents.version
    }

    /// Returns the bytes to a multiple of which tensors begin.
    pub fn alignment(&self) -> u32 {
        self.contents.alignment
    }

    /// Returns keys and values in the order of the file.
    pub fn key_values(&self) -> &KeyValues {
        &self.contents.key_values
    }

    /// Returns the tensors in the order of the file.
    pub fn tensors(&self) -> &[StoredTensor] {
        &self.contents.tensors
    }

    /// Returns the tensor of a name, if it is there.
    pub fn tensor(&self, name: &str) -> Option<&StoredTensor> {
        let idx = self.places.get(name)?;
        self.contents.tensors.get(*idx)
    }

    /// Returns the values of one of its tensors, as they are stored.
    ///
    /// Panics if the tensor is another file's and lies outside of this one.
    pub fn data(&self, tensor: &StoredTensor) -> &[u8] {
        &self.bytes[tensor.start..tensor.end]
    }
}

type Read<T> = Result<T, (Part, Fault)>;

fn read(bytes: &[u8]) -> Read<Contents> {
    let header = &bytes[..bytes.len().min(HEADER_LIMIT)];
    read_header(header, bytes.len() as u64).map_err(|(part, mut fault)| {
        let is_short = matches!(
            fault.problem,
            GgufProblem::End { .. } | GgufProblem::Count { .. }
        );
        if is_short && header.len() < bytes.len() {
            let limit = HEADER_LIMIT as u64;
            fault.problem = GgufProblem::Header { limit };
        }
        (part, fault)
    })
}

/// Reads a file of `file` bytes from those in which its header must end.
fn read_header(bytes: &[u8], file: u64) -> Read<Contents> {
    let mut cursor = Cursor::new(bytes);
    let counts = read_counts(&mut cursor).map_err(|fault| (Part::Header, fault))?;
    let mut key_values = KeyValues::new();
    let mut alignment = DEFAULT_ALIGNMENT;
    for idx in 0..counts.key_values {
        let (key, value) = read_key_value(&mut cursor, idx, &key_values)?;
        key_values.insert(key, value);
    }
    if let Some(value) = key_values.get(ALIGNMENT_KEY) {
        alignment = header::alignment(value).map_err(|problem| {
            let part = Part::Key(ALIGNMENT_KEY.to_owned());
            (part, cursor.fault(problem))
        })?;
    }
    let tensors = read_tensors(&mut cursor, counts.tensors, alignment, file)?;
    Ok(Contents {
        version: counts.version,
        alignment,
        key_values,
        tensors,
    })
}

struct Counts {
    version: u32,
    tensors: usize,
    key_values: usize,
}

fn read_counts(cursor: &mut Cursor<'_>) -> Result<Counts, Fault> {
    let wrong = |offset, problem| Fault { offset, problem };
    if cursor.take(4).ok() != Some(&MAGIC) {
        return Err(wrong(0, GgufProblem::Magic));
    }
    let version = cursor.u32()?;
    if (OLDEST..=VERSION).contains(&version.swap_bytes()) {
        return Err(wrong(4, GgufProblem::BigEndian));
    }
    if !(OLDEST..=VERSION).contains(&version) {
        return Err(wrong(4, GgufProblem::Version(version)));
    }
    let at = cursor.position();
    let tensors = cursor.u64()?;
    // Length of the key, type, a value.
    let key_values = cursor.count("keys", 8 + 4 + 1)?;
    // Length of the name, number of dimensions, type, offset.
    let tensors = cursor.check_count(at, "tensors", tensors, 8 + 4 + 4 + 8)?;
    Ok(Counts {
        version,
        tensors,
        key_values,
    })
}

fn read_key_value(
    cursor: &mut Cursor<'_>,
    idx: usize,
    before: &KeyValues,
) -> Read<(String, Value)> {
    let at = cursor.position();
    let key = cursor.string();
    let key = key.map_err(|fault| (Part::KeyNumber(idx as u64), fault))?;
    let part = || Part::Key(key.to_owned());
    let wrong = |problem| Fault {
        offset: at,
        problem,
    };
    if key.is_empty() {
        let part = Part::KeyNumber(idx as u64);
        return Err((part, wrong(GgufProblem::Unnamed)));
    }
    if before.get(key).is_some() {
        return Err((part(), wrong(GgufProblem::Twice)));
    }
    let value = read_value(cursor).map_err(|fault| (part(), fault))?;
    Ok((key.to_owned(), value))
}

/// What the header says of a tensor, and where it says so.
struct Entry {
    at: u64,
    description: TensorDescription,
    offset: u64,
}

fn read_tensors(
    cursor: &mut Cursor<'_>,
    count: usize,
    alignment: u32,
    file: u64,
) -> Read<Vec<StoredTensor>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut names = HashSet::new();
    for idx in 0..count {
        let entry = read_entry(cursor, idx)?;
        let name = entry.description.name.clone();
        if !names.insert(name.clone()) {
            let fault = Fault {
                offset: entry.at,
                problem: GgufProblem::Twice,
            };
            return Err((Part::Tensor(name), fault));
        }
        entries.push(entry);
    }
    let alignment_bytes = u64::from(alignment);
    let data = cursor.position().next_multiple_of(alignment_bytes);
    let mut expected = 0u64;
    let mut tensors = Vec::with_capacity(entries.len());
    for entry in entries {
        let Entry {
            at,
            description,
            offset,
        } = entry;
        let wrong = |problem| {
            let part = Part::Tensor(description.name.clone());
            (
                part,
                Fault {
                    offset: at,
                    problem,
                },
            )
        };
        let bytes = header::check(&description).map_err(wrong)?;
        if offset != expected {
            return Err(wrong(GgufProblem::Offset {
                found: offset,
                expected,
                alignment,
            }));
        }
        // The offset is what was expected, which lies within the file.
        let start = data + offset;
        let end = start.saturating_add(bytes);
        if end > file {
            return Err(wrong(GgufProblem::OutOfRange { end, file }));
        }
        expected = (end - data).next_multiple_of(alignment_bytes);
        let index = |offset| usize::try_from(offset).expect("it lies within a mapped file");
        tensors.push(StoredTensor {
            description,
            start: index(start),
            end: index(end),
        });
    }
    Ok(tensors)
}

fn read_entry(cursor: &mut Cursor<'_>, idx: usize) -> Read<Entry> {
    let at = cursor.position();
    let numbered = |fault| (Part::TensorNumber(idx as u64), fault);
    let name = cursor.string().map_err(numbered)?;
    if name.len() as u64 > NAME_LIMIT {
        return Err(numbered(Fault {
            offset: at,
            problem: GgufProblem::Name {
                length: name.len() as u64,
                limit: NAME_LIMIT,
            },
        }));
    }
    let named = |fault| (Part::Tensor(name.to_owned()), fault);
    let dimensions_at = cursor.position();
    let count = cursor.u32().map_err(named)?;
    if count > DIMENSIONS_LIMIT {
        return Err(named(Fault {
            offset: dimensions_at,
            problem: GgufProblem::Dimensions {
                found: count,
                limit: DIMENSIONS_LIMIT,
            },
        }));
    }
    let dimensions: Result<Vec<u64>, Fault> = (0..count).map(|_| cursor.u64()).collect();
    let dimensions = dimensions.map_err(named)?;
    let type_at = cursor.position();
    let id = cursor.u32().map_err(named)?;
    let tensor_type = TensorType::of_id(id).ok_or_else(|| {
        named(Fault {
            offset: type_at,
            problem: GgufProblem::TensorType(id),
        })
    })?;
    let offset = cursor.u64().map_err(named)?;
    Ok(Entry {
        at,
        description: TensorDescription {
            name: name.to_owned(),
            dimensions,
            tensor_type,
        },
        offset,
    })
}
