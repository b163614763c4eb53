use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorInfo;
use safetensors::{Dtype, SafeTensors};
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::{HeaderProblem, ModelError, TensorProblem};
use crate::mapped_file::MappedFile;

/// Bytes of the header's length, which the file begins with.
const LENGTH: u64 = 8;
/// Bytes a header may have; the format's own limit.
const HEADER_LIMIT: u64 = 100_000_000;

/// A safetensors file of which every tensor was found to lie inside.
#[derive(Debug)]
pub(crate) struct TensorFile {
    path: PathBuf,
    bytes: MappedFile,
    tensors: Vec<StoredTensor>,
}

/// One tensor of a file.
#[derive(Clone, Debug)]
pub(crate) struct StoredTensor {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    start: usize,
    end: usize,
}

impl StoredTensor {
    /// Returns where in the file its values begin, in bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.start as u64
    }
}

impl TensorFile {
    /// Reads the header; the tensors' values stay on disk.
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        let bytes = MappedFile::open(path)?;
        let tensors = read_header(path, &bytes)?;
        Ok(Self {
            path: path.to_owned(),
            bytes,
            tensors,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the tensors in the order of their values.
    pub(crate) fn tensors(&self) -> &[StoredTensor] {
        &self.tensors
    }

    /// Returns the values of one of its tensors.
    pub(crate) fn data(&self, tensor: &StoredTensor) -> &[u8] {
        &self.bytes[tensor.start..tensor.end]
    }

    /// Gives the memory of a tensor's values back, until they are looked at again.
    pub(crate) fn release(&self, tensor: &StoredTensor) {
        self.bytes.release(tensor.start..tensor.end);
    }
}

fn read_header(path: &Path, bytes: &[u8]) -> Result<Vec<StoredTensor>, ModelError> {
    let header_error = |offset, problem| ModelError::Header {
        path: path.to_owned(),
        offset,
        problem,
    };
    let file = bytes.len() as u64;
    let Some(&length) = bytes.first_chunk() else {
        return Err(header_error(0, HeaderProblem::Missing { length: file }));
    };
    let said = u64::from_le_bytes(length);
    let most = HEADER_LIMIT.min(file - LENGTH);
    if said > most {
        return Err(header_error(0, HeaderProblem::Length { said, most }));
    }
    let data_start = LENGTH + said;
    let text = &bytes[index(LENGTH)..index(data_start)];
    let text = std::str::from_utf8(text).map_err(|error| {
        header_error(LENGTH + error.valid_up_to() as u64, HeaderProblem::NotUtf8)
    })?;
    let Header(described) = serde_json::from_str(text)
        .map_err(|error| header_error(LENGTH, HeaderProblem::Json(error)))?;
    let tensors = place(path, described, data_start, file)?;
    let end = tensors.last().map_or(data_start, |last| last.end as u64);
    if end != file {
        let problem = HeaderProblem::Extent {
            said: end,
            found: file,
        };
        return Err(header_error(end, problem));
    }
    // The format's own reader has the last word on what else it forbids.
    SafeTensors::read_metadata(bytes)
        .map_err(|error| header_error(LENGTH, HeaderProblem::Format(error)))?;
    Ok(tensors)
}

/// Returns the tensors in the order of their values, which follow one another without a gap.
fn place(
    path: &Path,
    described: BTreeMap<String, TensorInfo>,
    data_start: u64,
    file: u64,
) -> Result<Vec<StoredTensor>, ModelError> {
    let mut described: Vec<(String, TensorInfo)> = described.into_iter().collect();
    described.sort_by_key(|(_, info)| info.data_offsets);
    let mut expected = data_start;
    let mut tensors = Vec::with_capacity(described.len());
    for (name, info) in described {
        let (start, end) = info.data_offsets;
        let start = (start as u64).saturating_add(data_start);
        let end = (end as u64).saturating_add(data_start);
        let tensor_error = |problem| ModelError::Tensor {
            path: path.to_owned(),
            tensor: name.clone(),
            offset: start,
            problem,
        };
        if end < start || end > file {
            return Err(tensor_error(TensorProblem::OutOfRange { end, file }));
        }
        if start != expected {
            return Err(tensor_error(TensorProblem::Offset { expected }));
        }
        let elements = info
            .shape
            .iter()
            .try_fold(1u64, |product, &size| product.checked_mul(size as u64));
        let needed = elements
            .and_then(|elements| elements.checked_mul(info.dtype.bitsize() as u64))
            .map(|bits| bits.div_ceil(8));
        if needed != Some(end - start) {
            return Err(tensor_error(TensorProblem::Size {
                dtype: info.dtype,
                shape: info.shape,
                expected: needed,
                found: end - start,
            }));
        }
        expected = end;
        tensors.push(StoredTensor {
            name,
            dtype: info.dtype,
            shape: info.shape,
            start: index(start),
            end: index(end),
        });
    }
    Ok(tensors)
}

/// Returns an offset that was found to lie within a mapped file.
fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a mapped file's length is a usize")
}

/// The tensors a header describes.
struct Header(BTreeMap<String, TensorInfo>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object with a tensor for each key")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut tensors = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        match tensors.entry(name) {
                            Entry::Vacant(place) => place.insert(map.next_value()?),
                            Entry::Occupied(place) => {
                                let name = place.key();
                                let twice = format_args!("tensor `{name}` is there twice");
                                return Err(A::Error::custom(twice));
                            }
                        };
                    }
                }
                Ok(Header(tensors))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn opened(bytes: &[u8]) -> Result<TensorFile, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.safetensors");
        std::fs::write(&path, bytes).unwrap();
        let place = directory.path().display().to_string();
        TensorFile::open(&path).map_err(|error| error.to_string().replace(&place, "."))
    }

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u64).to_le_bytes();
        [&length[..], header.as_bytes(), data].concat()
    }

    const RIGHT: &str = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[1,2],"data_offsets":[8,12]}}"#;

    #[test]
    fn a_right_file_is_read() {
        let file = opened(&file(RIGHT, &[7; 12])).unwrap();
        let [a, b] = file.tensors() else { panic!() };
        assert_eq!((a.name.as_str(), file.data(a)), ("a", &[7; 8][..]));
        assert_eq!((b.name.as_str(), file.data(b)), ("b", &[7; 4][..]));
    }

    #[test]
    fn every_shortening_is_an_error() {
        let right = file(RIGHT, &[7; 12]);
        for length in 0..right.len() {
            let error = opened(&right[..length]).unwrap_err();
            assert!(error.contains("./model.safetensors`"), "{length}: {error}");
        }
    }

    #[test_case("8]}", "9]}", "tensor `a` at byte 119: F32 of shape [2] needs 8 bytes, it has 9"; "size")]
    #[test_case("[8,12]", "[4,12]", "tensor `b` at byte 123: expected its values at byte 127: tensors overlap, or leave a gap"; "overlap")]
    #[test_case("[8,12]", "[8,99]", "tensor `b` at byte 127: its values end at byte 218, the file at byte 131"; "after the end")]
    #[test_case("[8,12]", "[12,8]", "tensor `b` at byte 131: its values end at byte 127, the file at byte 131"; "backwards")]
    #[test_case("[8,12]", "[8,10]", "tensor `b` at byte 127: BF16 of shape [1, 2] needs 4 bytes, it has 2"; "too short")]
    #[test_case("[2]", "[4611686018427387904,4]", "tensor `a` at byte 139: F32 of shape [4611686018427387904, 4] needs more than 2^64 bytes, it has 8"; "huge shape")]
    #[test_case("[2]", "[-2]", "byte 8: the header is not valid: invalid value: integer `-2`"; "negative")]
    #[test_case("BF16", "BF17", "byte 8: the header is not valid: unknown variant `BF17`"; "unknown format")]
    #[test_case("\"b\"", "\"a\"", "byte 8: the header is not valid: tensor `a` is there twice"; "twice")]
    #[test_case("[8,12]", "[8,18446744073709551615]", "tensor `b` at byte 145: its values end at byte 18446744073709551615"; "huge offset")]
    fn a_wrong_header_is_named(from: &str, to: &str, expected: &str) {
        let changed = RIGHT.replacen(from, to, 1);
        assert_ne!(changed, RIGHT);
        let error = opened(&file(&changed, &[7; 12])).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_header_longer_than_the_file_is_not_read() {
        let mut bytes = file(RIGHT, &[7; 12]);
        bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        let error = opened(&bytes).unwrap_err();
        assert!(
            error.contains("said to have 18446744073709551615 bytes"),
            "{error}"
        );
        let mut bytes = file("{\"\u{fc}\":", &[]);
        bytes[11] = b'"';
        let error = opened(&bytes).unwrap_err();
        assert_eq!(
            error,
            "`./model.safetensors`, byte 10: the header is not UTF-8"
        );
    }

    #[test]
    fn bytes_after_the_last_tensor_are_refused() {
        let error = opened(&file(RIGHT, &[7; 13])).unwrap_err();
        assert!(
            error.ends_with("the tensors end at byte 131, the file at byte 132"),
            "{error}"
        );
    }

    #[test]
    fn an_empty_tensor_is_no_error() {
        let header = r#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#;
        assert_eq!(opened(&file(header, &[])).unwrap().tensors().len(), 1);
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let error = TensorFile::open(directory.path()).unwrap_err();
        assert!(error.to_string().ends_with("not a file"), "{error}");
    }
}
