//! Measures the loops over many values, with one thread: `cargo run --example throughput`.

#![expect(clippy::print_stdout, reason = "it is a program")]

use std::hint::black_box;
use std::time::Instant;

use candle_core::{Device, Tensor};
use shipworthy_datasets::TokenisedExample;
use shipworthy_native::{
    Batch, Dropout, Gradients, NativeError, Nf4Error, Nf4Matrix, Optimiser, OptimiserKind,
    Parameter, Parameters, clip_gradients,
};

/// Runs `work` for `count` values until a second is over, and prints the fastest.
fn measure(what: &str, count: usize, mut work: impl FnMut()) {
    let start = Instant::now();
    let mut fastest = f64::INFINITY;
    while start.elapsed().as_secs_f64() < 1.0 {
        let round = Instant::now();
        work();
        fastest = fastest.min(round.elapsed().as_secs_f64());
    }
    println!(
        "{what}: {:.2} G values a second",
        count as f64 / fastest / 1e9
    );
}

fn nf4() -> Result<(), Nf4Error> {
    let (rows, columns) = (4096, 4096);
    let values: Vec<f32> = (0..rows * columns)
        .map(|idx| ((idx * 7919) % 10_007) as f32 / 5003.0 - 1.0)
        .collect();
    measure("quantise NF4", values.len(), || {
        black_box(Nf4Matrix::quantise(rows, columns, black_box(&values), true)).ok();
    });
    for double_quant in [false, true] {
        let matrix = Nf4Matrix::quantise(rows, columns, &values, double_quant)?;
        let mut read = vec![0.0; values.len()];
        let what = format!("read NF4, nested scales {double_quant}");
        measure(&what, read.len(), || {
            matrix.dequantise_rows(0..rows, black_box(&mut read));
        });
        let mut tile = vec![0.0; 16 * columns];
        measure(&format!("{what}, 16 rows at a time"), read.len(), || {
            for row in (0..rows).step_by(16) {
                matrix.dequantise_rows(row..row + 16, black_box(&mut tile));
            }
        });
    }
    Ok(())
}

fn optimiser() -> Result<(), NativeError> {
    let count = 1 << 22;
    let values: Vec<f32> = (0..count)
        .map(|idx| ((idx * 7919) % 10_007) as f32 / 5003.0 - 1.0)
        .collect();
    let value = Tensor::new(values, &Device::Cpu)?;
    let mut parameters = Parameters::default();
    let id = parameters.add(Parameter {
        name: "weight".to_owned(),
        value: value.clone(),
        decays: true,
    });
    let mut gradients = Gradients::new(&parameters);
    gradients.set(id, value);
    measure("norm of gradients", count, || {
        black_box(clip_gradients(&mut gradients, &parameters, 0.0)).ok();
    });
    for kind in [OptimiserKind::AdamW, OptimiserKind::AdamW8bit] {
        let mut optimiser = Optimiser::new(kind, (0.9, 0.999), 1e-8, 0.01, &parameters);
        measure(&format!("{kind:?}"), count, || {
            optimiser.step(&mut parameters, &gradients, 1e-4).ok();
        });
    }
    Ok(())
}

fn dropout() -> Result<(), NativeError> {
    let (tokens, features) = (2048, 2048);
    let example = TokenisedExample {
        id: String::new(),
        tokens: vec![0; tokens],
        labelled: vec![false; tokens],
    };
    let batch = Batch::new([(&example, 1)]);
    let mut values = vec![1.0; tokens * features];
    let dropout = Dropout::new(0.05)?;
    measure("dropout", values.len(), || {
        dropout.apply(&batch, 1, 1, black_box(&mut values));
    });
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build_global()?;
    nf4()?;
    optimiser()?;
    dropout()?;
    Ok(())
}
