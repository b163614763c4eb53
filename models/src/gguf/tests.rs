//! Files that lie, and writing that stops half way.

use std::path::Path;

use test_case::test_case;

use super::*;

fn opened(bytes: &[u8]) -> Result<GgufFile, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.gguf");
    std::fs::write(&path, bytes).unwrap();
    let place = directory.path().display().to_string();
    GgufFile::open(&path).map_err(|error| error.to_string().replace(&place, "."))
}

/// Begins a file: magic, version and counts.
fn start(version: u32, tensors: u64, keys: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend(tensors.to_le_bytes());
    bytes.extend(keys.to_le_bytes());
    bytes
}

fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A file with one key whose value, with its type, is `value`.
fn key(name: &str, value: &[u8]) -> Vec<u8> {
    [
        &start(3, 0, 1),
        &string(name.as_bytes())[..],
        value,
        &[0; 64],
    ]
    .concat()
}

/// A tensor in a header.
fn tensor(name: &[u8], dimensions: &[u64], tensor_type: u32, offset: u64) -> Vec<u8> {
    let mut bytes = string(name);
    bytes.extend(u32::try_from(dimensions.len()).unwrap().to_le_bytes());
    for size in dimensions {
        bytes.extend(size.to_le_bytes());
    }
    bytes.extend(tensor_type.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes
}

/// A file of tensors, with 128 bytes of values.
fn with_tensors(tensors: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = start(2, tensors.len() as u64, 0);
    bytes.extend(tensors.concat());
    bytes.resize(bytes.len().next_multiple_of(32) + 128, 7);
    bytes
}

#[test]
fn version_2_is_read_and_the_last_padding_may_be_missing() {
    let mut bytes = with_tensors(&[tensor(b"a", &[3], 0, 0), tensor(b"b", &[2, 2], 1, 32)]);
    let file = opened(&bytes).unwrap();
    assert_eq!((file.version(), file.tensors().len()), (2, 2));
    bytes.truncate(bytes.len() - 128 + 32 + 8);
    let file = opened(&bytes).unwrap();
    assert_eq!(file.data(&file.tensors()[1]), [7; 8]);
    bytes.pop();
    let error = opened(&bytes).unwrap_err();
    let expected =
        "`./m.gguf`, byte 57, tensor `b`: its values end at byte 168, the file at byte 167";
    assert_eq!(error, expected);
}

#[test_case(Vec::new(), "byte 0, header: expected a GGUF file, which begins with `GGUF`"; "empty")]
#[test_case(b"GGML\x03\0\0\0", "byte 0, header: expected a GGUF file"; "another kind")]
#[test_case(start(1, 0, 0), "byte 4, header: GGUF version 1 is not supported, 2 and 3 are"; "too old")]
#[test_case(start(4, 0, 0), "byte 4, header: GGUF version 4 is not supported"; "too new")]
#[test_case(start(3 << 24, 0, 0), "byte 4, header: the file is big-endian"; "big endian")]
#[test_case(b"GGUF\x03\0\0", "byte 4, header: 4 bytes are needed, the file has 3 more"; "cut short")]
#[test_case(start(3, 0, u64::MAX), "byte 16, header: 18446744073709551615 keys are said to follow; the 0 bytes left have room for 0"; "many keys")]
#[test_case(start(3, 1 << 40, 0), "byte 8, header: 1099511627776 tensors are said"; "many tensors")]
#[test_case(key("", &[0; 5]), "byte 24, key number 0: it has no name"; "key without a name")]
#[test_case([start(3, 0, 1), vec![255; 40]].concat(), "byte 24, key number 0: 18446744073709551615 bytes of a string"; "long key")]
#[test_case([start(3, 0, 1), string(b"ab\xff"), vec![0; 40]].concat(), "byte 34, key number 0: the string is not UTF-8"; "key is no text")]
#[test_case(key("k", &[words(&[8]), string(b"a\xc3")].concat()), "byte 46, key `k`: the string is not UTF-8"; "value is no text")]
#[test_case(key("k", &words(&[13])), "byte 33, key `k`: 13 stands for no type of value"; "type of value")]
#[test_case(key("k", &[7, 0, 0, 0, 2]), "byte 37, key `k`: expected 0 or 1 for a bool, found 2"; "bool")]
#[test_case(key("k", &words(&[9, 4, 17, 0])), "byte 41, key `k`: 17 values are said to follow; the 64 bytes left have room for 16"; "long array")]
#[test_case(key("k", &words(&[9, 8, u32::MAX, u32::MAX])), "18446744073709551615 values are said"; "very long array")]
#[test_case(key("k", &words(&[9, 9, 1, 0, 9, 1, 0, 9, 1, 0, 9, 1, 0, 0, 0, 0])), "key `k`: arrays stand in arrays more than 4 deep"; "deep arrays")]
#[test_case(key(ALIGNMENT_KEY, &words(&[4, 33])), "key `general.alignment`: expected a u32 that is a power of two, found 33"; "odd alignment")]
#[test_case(key(ALIGNMENT_KEY, &words(&[4, 0])), "power of two, found 0"; "no alignment")]
#[test_case(key(ALIGNMENT_KEY, &words(&[5, 32])), "power of two, found i32"; "alignment of another type")]
#[test_case([start(3, 0, 2), string(b"k"), words(&[4, 1]), string(b"k"), words(&[4, 1])].concat(), "byte 41, key `k`: it is there twice"; "key twice")]
#[test_case(with_tensors(&[tensor(b"a\xff", &[1], 0, 0)]), "byte 33, tensor number 0: the string is not UTF-8"; "name is no text")]
#[test_case(with_tensors(&[tensor(b"", &[1], 0, 0)]), "tensor ``: it has no name"; "tensor without a name")]
#[test_case(with_tensors(&[tensor(&[b'a'; 64], &[1], 0, 0)]), "tensor number 0: its name has 64 bytes, more than the 63"; "long name")]
#[test_case(with_tensors(&[tensor(b"a", &[1; 5], 0, 0)]), "byte 33, tensor `a`: it has 5 dimensions"; "dimensions")]
#[test_case(with_tensors(&[tensor(b"a", &[4, 0], 0, 0)]), "tensor `a`: it has no values: its dimensions are [4, 0]"; "empty tensor")]
#[test_case(with_tensors(&[tensor(b"a", &[32], 4, 0)]), "byte 45, tensor `a`: 4 stands for no known type of tensor"; "removed type")]
#[test_case(with_tensors(&[tensor(b"a", &[31], 8, 0)]), "tensor `a`: Q8_0 of dimensions [31] cannot be: rows are blocks of 32"; "half a block")]
#[test_case(with_tensors(&[tensor(b"a", &[1 << 33, 1 << 33], 0, 0)]), "tensor `a`: F32 of dimensions"; "more than can be counted")]
#[test_case(with_tensors(&[tensor(b"a", &[1 << 60], 1, 0)]), "tensor `a`: its values end at byte"; "past the end")]
#[test_case(with_tensors(&[tensor(b"a", &[9], 0, 0), tensor(b"b", &[1], 0, 32)]), "tensor `b`: its values are said to be at 32 of the data, expected 64"; "overlap")]
#[test_case(with_tensors(&[tensor(b"a", &[1], 0, 0), tensor(b"b", &[1], 0, 64)]), "said to be at 64 of the data, expected 32"; "gap")]
#[test_case(with_tensors(&[tensor(b"a", &[1], 0, 0), tensor(b"b", &[1], 0, 4)]), "not aligned to 32 bytes"; "not aligned")]
#[test_case(with_tensors(&[tensor(b"a", &[1], 0, u64::MAX)]), "said to be at 18446744073709551615"; "offset at the end of the world")]
#[test_case(with_tensors(&[tensor(b"a", &[1], 0, 0), tensor(b"a", &[1], 0, 32)]), "tensor `a`: it is there twice"; "tensor twice")]
fn files_that_lie_are_errors(bytes: impl AsRef<[u8]>, expected: &str) {
    let error = opened(bytes.as_ref()).unwrap_err();
    assert!(error.contains(expected), "{error}");
    assert!(error.starts_with("`./m.gguf`, byte "), "{error}");
}

#[test]
fn a_header_that_goes_on_and_on_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.gguf");
    // An array of bytes that the file has: all of them a hole.
    let bytes = key("k", &words(&[9, 0, 1 << 31, 0]));
    std::fs::write(&path, bytes).unwrap();
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    file.set_len(1 << 32).unwrap();
    let error = GgufFile::open(&path).unwrap_err().to_string();
    let expected = "byte 41, key `k`: the header goes on after the 134217728 bytes it may have";
    assert!(error.ends_with(expected), "{error}");
}

fn described(name: &str, dimensions: &[u64]) -> TensorDescription {
    TensorDescription {
        name: name.to_owned(),
        dimensions: dimensions.to_vec(),
        tensor_type: TensorType::F32,
    }
}

fn begin(path: &Path, existing: Existing) -> Result<Writer, crate::ModelError> {
    let tensors = vec![described("a", &[2]), described("b", &[1])];
    Writer::begin(path, &KeyValues::new(), tensors, existing)
}

fn count(directory: &Path) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

#[test]
fn nothing_is_left_of_a_file_that_is_not_finished() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("m.gguf");
    let mut writer = begin(&path, Existing::Keep).unwrap();
    writer.write(&[0; 8]).unwrap();
    assert_eq!((count(place.path()), path.exists()), (1, false));
    drop(writer);
    assert_eq!(count(place.path()), 0);
    let mut writer = begin(&path, Existing::Keep).unwrap();
    writer.write_tensor("a", &[0; 8]).unwrap();
    let error = writer.finish().unwrap_err().to_string();
    assert!(
        error.ends_with("m.gguf`: tensor `b`: only 0 bytes came, it has 4"),
        "{error}"
    );
    assert_eq!(count(place.path()), 0);
}

#[test]
fn a_tensors_bytes_are_counted() {
    let place = tempfile::tempdir().unwrap();
    let mut writer = begin(&place.path().join("m.gguf"), Existing::Keep).unwrap();
    let refused = |expected: &str, result: Result<(), crate::ModelError>| {
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    };
    refused("tensor `a`: 9 bytes came, it has 8", writer.write(&[0; 9]));
    refused(
        "tensor `b` came, `a` is due",
        writer.write_tensor("b", &[0; 4]),
    );
    writer.write(&[0; 7]).unwrap();
    refused(
        "tensor `a`: only 7 bytes came, it has 8",
        writer.end_tensor("a"),
    );
    writer.write(&[0]).unwrap();
    refused("tensor `b` came, `a` is due", writer.end_tensor("b"));
    writer.end_tensor("a").unwrap();
    assert_eq!(writer.due().unwrap().name, "b");
    writer.write_tensor("b", &[0; 4]).unwrap();
    refused("1 bytes came after the last tensor", writer.write(&[0]));
    refused("tensor `b` came, none is due", writer.end_tensor("b"));
    writer.finish().unwrap();
}

#[test]
fn what_is_there_stays_unless_it_is_to_go() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("m.gguf");
    let finish = |mut writer: Writer| {
        writer.write_tensor("a", &[0; 8]).unwrap();
        writer.write_tensor("b", &[0; 4]).unwrap();
        writer.finish().map_err(|error| error.to_string())
    };
    let writer = begin(&path, Existing::Keep).unwrap();
    std::fs::write(&path, "mine").unwrap();
    // It came while the other was written.
    assert!(finish(writer).unwrap_err().contains("is there already"));
    let error = begin(&path, Existing::Keep).unwrap_err().to_string();
    assert!(error.ends_with("is there already"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    finish(begin(&path, Existing::Overwrite).unwrap()).unwrap();
    assert_eq!(GgufFile::open(&path).unwrap().tensors().len(), 2);
    assert_eq!(count(place.path()), 1);
    let error = begin(place.path(), Existing::Overwrite).unwrap_err();
    assert!(
        error.to_string().ends_with("is not a file's name"),
        "{error}"
    );
}

#[test_case(described("a", &[0]), "tensor `a`: it has no values"; "empty")]
#[test_case(described("b", &[1]), "tensor `b`: it is there twice"; "twice")]
#[test_case(described(&"n".repeat(64), &[1]), "its name has 64 bytes"; "long name")]
#[test_case(described("a", &[1; 5]), "tensor `a`: it has 5 dimensions"; "dimensions")]
#[test_case(described("a", &[1 << 62]), "tensor `a`: F32 of dimensions"; "more than can be counted")]
#[test_case(described("a", &[1 << 61]), "bytes, "; "more than the disk has")]
fn a_header_that_nobody_could_read_is_not_written(tensor: TensorDescription, expected: &str) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("m.gguf");
    let tensors = vec![described("b", &[1]), tensor];
    let result = Writer::begin(&path, &KeyValues::new(), tensors, Existing::Keep);
    let error = result.unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert_eq!(count(place.path()), 0);
}

#[test_case("", Value::U8(1), "key number 0: it has no name"; "no name")]
#[test_case(ALIGNMENT_KEY, Value::U32(48), "found 48"; "odd")]
#[test_case(ALIGNMENT_KEY, Value::U32(1 << 17), "found 131072"; "large")]
fn keys_that_nobody_could_read_are_not_written(key: &str, value: Value, expected: &str) {
    let place = tempfile::tempdir().unwrap();
    let mut values = KeyValues::new();
    values.insert(key, value);
    let path = place.path().join("m.gguf");
    let result = Writer::begin(&path, &values, Vec::new(), Existing::Keep);
    let error = result.unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}
