//! Holds the GGUF container against gguf-py's, byte for byte, and against files that lie.
//!
//! The data, the versions and the script that made them lie in `tests/golden/gguf`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use shipworthy_models::gguf::{
    Array, Existing, GgufFile, KeyValues, StringArray, TensorDescription, TensorType, Value, Writer,
};
use test_case::test_case;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/gguf")
}

/// Writes what was read once more.
fn rewrite(file: &GgufFile, to: &Path) {
    let tensors = file.tensors().iter();
    let described = tensors.map(|tensor| tensor.description().clone()).collect();
    let mut writer = Writer::begin(to, file.key_values(), described, Existing::Keep).unwrap();
    for tensor in file.tensors() {
        let data = file.data(tensor);
        let (head, tail) = data.split_at(data.len() / 3);
        writer.write(head).unwrap();
        writer.write(&[]).unwrap();
        writer.write(tail).unwrap();
        writer.end_tensor(tensor.name()).unwrap();
    }
    let length = writer.length();
    writer.finish().unwrap();
    assert_eq!(std::fs::metadata(to).unwrap().len(), length);
}

#[test_case("values.gguf")]
#[test_case("tensors.gguf")]
fn what_gguf_py_wrote_is_written_again_byte_for_byte(name: &str) {
    let place = tempfile::tempdir().unwrap();
    let original = folder().join(name);
    let copy = place.path().join("new/copy.gguf");
    rewrite(&GgufFile::open(&original).unwrap(), &copy);
    assert!(std::fs::read(&original).unwrap() == std::fs::read(&copy).unwrap());
}

#[test]
fn every_type_of_value_is_read() {
    let file = GgufFile::open(&folder().join("values.gguf")).unwrap();
    assert_eq!((file.version(), file.alignment()), (3, 32));
    let strings = |strings: &[&str]| strings.iter().collect::<StringArray>();
    let expected: [(&str, Value); 21] = [
        ("general.architecture", "llama".into()),
        ("u8", 255u8.into()),
        ("i8", (-128i8).into()),
        ("u16", 65535u16.into()),
        ("i16", (-32768i16).into()),
        ("u32", u32::MAX.into()),
        ("i32", i32::MIN.into()),
        ("f32", 1e-5f32.into()),
        ("true", true.into()),
        ("false", false.into()),
        ("string", "häß\n€𝄞".into()),
        ("u64", u64::MAX.into()),
        ("i64", i64::MIN.into()),
        ("f64", 0.1f64.into()),
        ("bytes", vec![0u8, 1, 255].into()),
        ("integers", vec![1i32, -2, 3].into()),
        ("floats", vec![0.5f32, -1.25].into()),
        ("bools", vec![true, false].into()),
        ("strings", strings(&["", "a", "▁b"]).into()),
        (
            "arrays",
            Array::Array(vec![
                Array::String(strings(&["a"])),
                Array::I32(vec![1, 2]),
                Array::Array(vec![Array::Bool(vec![true])]),
            ])
            .into(),
        ),
        ("doubles", vec![0.1f64, 0.2].into()),
    ];
    let found: Vec<(&str, Value)> = file
        .key_values()
        .iter()
        .map(|(key, value)| (key, value.clone()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn tensors_are_found_where_they_are() {
    let file = GgufFile::open(&folder().join("tensors.gguf")).unwrap();
    assert_eq!(file.alignment(), 64);
    let found: Vec<_> = file
        .tensors()
        .iter()
        .map(|tensor| {
            assert_eq!(tensor.offset() % 64, 0);
            assert_eq!(file.data(tensor).len() as u64, tensor.bytes());
            let type_name = tensor.tensor_type().name();
            (tensor.name(), tensor.dimensions().to_vec(), type_name)
        })
        .collect();
    let expected = [
        ("token_embd.weight", vec![5, 3], "F32"),
        ("output_norm.weight", vec![7], "F16"),
        ("blk.0.Q8_0.weight", vec![32, 2], "Q8_0"),
        ("blk.0.Q4_0.weight", vec![64, 1], "Q4_0"),
        ("blk.0.Q5_1.weight", vec![32, 2], "Q5_1"),
        ("blk.0.BF16.weight", vec![1, 2, 3], "BF16"),
        ("indices", vec![3], "I64"),
    ];
    assert_eq!(found, expected);
    let indices = file.tensor("indices").unwrap();
    let expected: Vec<u8> = (0..3i64).flat_map(i64::to_le_bytes).collect();
    assert_eq!(file.data(indices), expected);
    assert_eq!(indices.elements(), 3);
    assert!(file.tensor("Indices").is_none());
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<u16>().prop_map(Value::U16),
        any::<i16>().prop_map(Value::I16),
        any::<u32>().prop_map(Value::U32),
        any::<i32>().prop_map(Value::I32),
        any::<f32>().prop_map(Value::F32),
        any::<bool>().prop_map(Value::Bool),
        any::<String>().prop_map(Value::String),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        any::<f64>().prop_map(Value::F64),
    ]
}

fn array() -> impl Strategy<Value = Array> {
    use prop::collection::vec;
    let flat = prop_oneof![
        vec(any::<u8>(), 0..9).prop_map(Array::U8),
        vec(any::<i16>(), 0..9).prop_map(Array::I16),
        vec(any::<i32>(), 0..9).prop_map(Array::I32),
        vec(any::<f32>(), 0..9).prop_map(Array::F32),
        vec(any::<bool>(), 0..9).prop_map(Array::Bool),
        vec(any::<u64>(), 0..9).prop_map(Array::U64),
        vec(any::<String>(), 0..9).prop_map(|strings| Array::String(strings.iter().collect())),
    ];
    flat.prop_recursive(3, 12, 3, |inner| vec(inner, 0..3).prop_map(Array::Array))
}

fn key_values() -> impl Strategy<Value = KeyValues> {
    let value = prop_oneof![scalar(), array().prop_map(Value::Array)];
    let entries = prop::collection::vec(("[a-z.é]{1,9}", value), 0..9);
    let alignment = prop::option::of((0u32..9).prop_map(|power| 1u32 << power));
    (entries, alignment).prop_map(|(entries, alignment)| {
        let mut key_values = KeyValues::new();
        key_values.extend(entries);
        if let Some(alignment) = alignment {
            key_values.insert("general.alignment", alignment);
        }
        key_values
    })
}

fn tensors() -> impl Strategy<Value = Vec<(TensorDescription, Vec<u8>)>> {
    let types = [
        TensorType::F32,
        TensorType::BF16,
        TensorType::Q8_0,
        TensorType::Q6_K,
    ];
    let one = (
        prop::sample::select(types.to_vec()),
        prop::collection::vec(1u64..4, 0..4),
    );
    prop::collection::vec((one, any::<u8>()), 0..5).prop_map(|all| {
        let all = all.into_iter().enumerate();
        all.map(|(idx, ((tensor_type, mut dimensions), fill))| {
            if let Some(row) = dimensions.first_mut() {
                *row *= tensor_type.block_size();
            } else if tensor_type.block_size() > 1 {
                dimensions = vec![tensor_type.block_size()];
            }
            let tensor = TensorDescription {
                name: format!("t{idx}"),
                dimensions,
                tensor_type,
            };
            let bytes = usize::try_from(tensor.bytes().unwrap()).unwrap();
            (tensor, vec![fill; bytes])
        })
        .collect()
    })
}

fn write(path: &Path, key_values: &KeyValues, tensors: &[(TensorDescription, Vec<u8>)]) {
    let described = tensors.iter().map(|(tensor, _)| tensor.clone()).collect();
    let mut writer = Writer::begin(path, key_values, described, Existing::Overwrite).unwrap();
    for (tensor, bytes) in tensors {
        writer.write_tensor(&tensor.name, bytes).unwrap();
    }
    writer.finish().unwrap();
}

/// Compares also numbers that are no numbers.
fn bits(key_values: &KeyValues) -> String {
    format!("{:?}", key_values.iter().collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_written_is_read(key_values in key_values(), tensors in tensors()) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("model.gguf");
        write(&path, &key_values, &tensors);
        let file = GgufFile::open(&path).unwrap();
        prop_assert_eq!(bits(file.key_values()), bits(&key_values));
        prop_assert_eq!(file.tensors().len(), tensors.len());
        for (found, (tensor, bytes)) in file.tensors().iter().zip(&tensors) {
            prop_assert_eq!(found.description(), tensor);
            prop_assert_eq!(file.data(found), bytes);
            prop_assert_eq!(found.offset() % u64::from(file.alignment()), 0);
        }
        let copy = place.path().join("copy.gguf");
        rewrite(&file, &copy);
        prop_assert!(std::fs::read(&path).unwrap() == std::fs::read(&copy).unwrap());
    }

    #[test]
    fn a_broken_file_is_an_error_or_another_file(
        which in prop::sample::select(vec!["values.gguf", "tensors.gguf"]),
        place_of in any::<prop::sample::Index>(),
        put in prop::collection::vec(any::<u8>(), 1..9),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = std::fs::read(folder().join(which)).unwrap();
        let start = place_of.index(bytes.len());
        for (byte, put) in bytes[start..].iter_mut().zip(put) {
            *byte = put;
        }
        if cut.index(4) == 0 {
            bytes.truncate(cut.index(bytes.len()));
        }
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("model.gguf");
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(file) = GgufFile::open(&path) {
            for tensor in file.tensors() {
                prop_assert_eq!(file.data(tensor).len() as u64, tensor.bytes());
            }
        }
    }
}
