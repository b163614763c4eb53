use std::collections::BTreeMap;
use std::io::Write as _;

use candle_core::{DType, Device, Tensor};
use test_case::test_case;

use super::*;

fn tensors() -> [(&'static str, Tensor); 3] {
    let cpu = &Device::Cpu;
    [
        (
            "b",
            Tensor::new(&[[1.5_f32, -2.0], [0.1, 4.0]], cpu).unwrap(),
        ),
        ("c", Tensor::new(7_u32, cpu).unwrap()),
        ("a", Tensor::new(&[1_u8, 2, 3], cpu).unwrap()),
    ]
}

fn by_name<'a>(tensors: &'a [(&'static str, Tensor)]) -> BTreeMap<&'a str, StoredTensor<'a>> {
    let named = tensors.iter();
    named
        .map(|(name, tensor)| (*name, StoredTensor::Tensor(tensor)))
        .collect()
}

#[test]
fn what_is_written_is_read_and_has_its_digest() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.safetensors");
    let tensors = tensors();
    let by_name = by_name(&tensors);
    let mut file = DigestedFile::create(&path).unwrap();
    write_tensors(&mut file, &by_name, None).unwrap();
    let digest = file.finish().unwrap();
    assert_eq!(digest, file_digest(&path).unwrap());
    let read = NamedTensors::open(&path).unwrap();
    assert_eq!(read.names().collect::<Vec<_>>(), ["a", "b", "c"]);
    let b = read.read("b", &[2, 2], DType::F32, &Device::Cpu).unwrap();
    assert_eq!(b.to_vec2::<f32>().unwrap(), [[1.5, -2.0], [0.1, 4.0]]);
    let a = read.read("a", &[3], DType::U8, &Device::Cpu).unwrap();
    assert_eq!(a.to_vec1::<u8>().unwrap(), [1, 2, 3]);
    let c = read.read("c", &[], DType::U32, &Device::Cpu).unwrap();
    assert_eq!(c.to_scalar::<u32>().unwrap(), 7);
    // The reference reader agrees.
    let bytes = std::fs::read(&path).unwrap();
    let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(reference.tensor("b").unwrap().shape(), [2, 2]);
}

#[test_case("d", &[2, 2], DType::F32, "absent"; "no such tensor")]
#[test_case("b", &[4], DType::F32, "f32 [2, 2]"; "another shape")]
#[test_case("b", &[2, 2], DType::U8, "f32 [2, 2]"; "another format")]
fn another_tensor_than_expected_is_said(name: &str, shape: &[usize], dtype: DType, said: &str) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.safetensors");
    let tensors = tensors();
    let by_name = by_name(&tensors);
    let mut file = DigestedFile::create(&path).unwrap();
    write_tensors(&mut file, &by_name, None).unwrap();
    file.finish().unwrap();
    let read = NamedTensors::open(&path).unwrap();
    let fault = read.read(name, shape, dtype, &Device::Cpu).unwrap_err();
    assert!(
        matches!(&fault, TensorFault::Other(found) if found == said),
        "{fault:?}"
    );
}

#[test_case(b"1234", "has 4 bytes"; "short")]
#[test_case(&[255; 16], "a header of 18446744073709551615 bytes in a file of 16"; "hostile length")]
#[test_case(b"\x02\0\0\0\0\0\0\0{}rest", "0 bytes of values in the header, 4 in the file"; "too long")]
#[test_case(b"\x02\0\0\0\0\0\0\0[}", ""; "no header")]
fn a_file_of_another_kind_is_an_error(bytes: &[u8], expected: &str) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.safetensors");
    std::fs::File::create(&path)
        .unwrap()
        .write_all(bytes)
        .unwrap();
    let fault = NamedTensors::open(&path).err().unwrap();
    assert!(
        matches!(&fault, TensorFault::Format(said) if said.contains(expected)),
        "{fault:?}"
    );
}
