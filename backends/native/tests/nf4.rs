//! Holds NF4 against bitsandbytes': the same bytes, the same scales, the same values read back.
//!
//! What it made, the versions and the script that ran it lie in `tests/golden/nf4`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use shipworthy_native::{Nf4Absmax, Nf4Matrix};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/nf4")
}

/// Returns values as they are kept in a file.
fn bytes(values: &[f32], dtype: Dtype) -> Vec<u8> {
    let values = values.iter();
    match dtype {
        Dtype::F32 => values.flat_map(|value| value.to_le_bytes()).collect(),
        Dtype::F16 => values
            .flat_map(|&value| f16::from_f32(value).to_le_bytes())
            .collect(),
        Dtype::BF16 => values
            .flat_map(|&value| bf16::from_f32(value).to_le_bytes())
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// Returns a tensor's values, widened.
fn widened(tensor: &TensorView) -> Vec<f32> {
    let twos = || tensor.data().as_chunks().0.iter().copied();
    match tensor.dtype() {
        Dtype::F32 => tensor
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|&four| f32::from_le_bytes(four))
            .collect(),
        Dtype::F16 => twos().map(|two| f16::from_le_bytes(two).to_f32()).collect(),
        Dtype::BF16 => twos()
            .map(|two| bf16::from_le_bytes(two).to_f32())
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn dequantised(matrix: &Nf4Matrix) -> Vec<f32> {
    let mut values = vec![f32::NAN; matrix.rows() * matrix.columns()];
    matrix.dequantise_rows(0..matrix.rows(), &mut values);
    values
}

#[test]
fn small_matrices_are_bitsandbytes() {
    let file = std::fs::read(golden().join("small.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let mut names: Vec<_> = tensors
        .names()
        .into_iter()
        .filter_map(|name| name.strip_suffix(".input"))
        .collect();
    names.sort_unstable();
    assert_eq!(names.len(), 19);
    for name in names {
        let input = tensors.tensor(&format!("{name}.input")).unwrap();
        let &[rows, columns] = input.shape() else {
            panic!("{name} is no matrix")
        };
        let values = widened(&input);
        for (way, double_quant) in [("plain", false), ("nested", true)] {
            let matrix = Nf4Matrix::quantise(rows, columns, &values, double_quant).unwrap();
            let expect = |what: &str, found: &[u8]| {
                let expected = tensors.tensor(&format!("{name}.{way}.{what}")).unwrap();
                assert_eq!(expected.data(), found, "{name}, {way}: {what}");
            };
            expect("packed", matrix.packed());
            match matrix.absmax() {
                Nf4Absmax::Plain(absmax) => expect("absmax", &bytes(absmax, Dtype::F32)),
                Nf4Absmax::Nested {
                    codes,
                    absmax,
                    offset,
                } => {
                    expect("offset", &offset.to_le_bytes());
                    expect("nested_absmax", &bytes(absmax, Dtype::F32));
                    expect("absmax", codes);
                }
            }
            expect("dequantised", &bytes(&dequantised(&matrix), input.dtype()));
        }
    }
}

#[test]
fn the_dynamic_code_is_bitsandbytes() {
    let file = std::fs::read(golden().join("small.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&file).unwrap();
    let found: Vec<f32> = (0..=u8::MAX).map(Nf4Absmax::code).collect();
    assert_eq!(
        expected.tensor("dynamic").unwrap().data(),
        bytes(&found, Dtype::F32)
    );
}

#[derive(Deserialize)]
struct Large {
    rows: usize,
    columns: usize,
    seed: u64,
    offset: f64,
    packed: String,
    absmax: String,
    nested_absmax: String,
    dequantised: String,
}

/// Returns the values that the script makes for a matrix.
fn made(count: usize, seed: u64) -> Vec<f32> {
    (0..count as u64)
        .map(|idx| {
            let mut mixed = idx + (seed << 40);
            for _ in 0..2 {
                mixed = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                mixed ^= mixed >> 32;
            }
            let parts = [0, 16, 32, 48].map(|shift| (mixed >> shift & 0xFFFF) as f32);
            let plain = (parts.iter().sum::<f32>() - 131_070.0) / 1_048_576.0;
            plain + plain * plain * plain
        })
        .collect()
}

#[test]
fn large_matrices_are_bitsandbytes() {
    let json = std::fs::read(golden().join("large.json")).unwrap();
    let cases: Vec<Large> = serde_json::from_slice(&json).unwrap();
    assert_eq!(cases.len(), 25);
    for case in cases {
        let values = made(case.rows * case.columns, case.seed);
        let matrix = Nf4Matrix::quantise(case.rows, case.columns, &values, true).unwrap();
        let expect = |what: &str, expected: &str, found: &[u8]| {
            let found = Sha256::digest(found)
                .iter()
                .fold(String::new(), |mut hex, byte| {
                    write!(hex, "{byte:02x}").unwrap();
                    hex
                });
            assert_eq!(expected, found, "{} × {}: {what}", case.rows, case.columns);
        };
        let Nf4Absmax::Nested {
            codes,
            absmax,
            offset,
        } = matrix.absmax()
        else {
            panic!("scales are not nested")
        };
        expect("packed", &case.packed, matrix.packed());
        assert_eq!(
            f64::from(*offset),
            case.offset,
            "{} × {}",
            case.rows,
            case.columns
        );
        expect(
            "nested absmax",
            &case.nested_absmax,
            &bytes(absmax, Dtype::F32),
        );
        expect("absmax", &case.absmax, codes);
        expect(
            "dequantised",
            &case.dequantised,
            &bytes(&dequantised(&matrix), Dtype::F32),
        );
    }
}
