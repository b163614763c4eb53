//! A PEFT adapter in, llama.cpp's LoRA file out: renamed, reordered, its true scale kept.

mod alpha;
mod error;
mod plan;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub use error::LoraProblem;
use plan::Pair;

use super::CHUNK;
use super::layout::{self, RowOrder};
use crate::adapter::Adapter;
use crate::error::{ModelError, TensorProblem};
use crate::gguf::{Existing, TensorDescription, TensorType, Writer};
use crate::metadata::{FileType, Lineage, adapter_metadata};
use crate::model_config::ModelConfig;
use crate::number_format::NumberFormat;
use crate::progress::{Progress, Reporter};

/// How to write an adapter as a file of its own.
#[derive(Clone, Debug)]
pub struct ConvertAdapterOptions {
    /// The file to make.
    pub output: PathBuf,
    /// What to store A and B as: F32, F16 or BF16.
    pub file_type: FileType,
    /// What to do if the file is there.
    pub existing: Existing,
}

/// What was made.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvertedAdapter {
    /// Matrices that the file changes; it has two tensors for each.
    pub modules: usize,
    /// Bytes of the file.
    pub bytes: u64,
    /// What its tensors are stored as.
    pub tensor_type: TensorType,
    /// The file's alpha, by which llama.cpp multiplies after dividing it by the rank.
    pub alpha: f32,
    /// Matrices of which B was multiplied, because their scale is not alpha over their rank.
    pub rescaled: usize,
    /// Tensors and modules of the adapter that are no part of the language model.
    pub left_out: usize,
    /// Tensors of the base that the adapter brings, and that could not be compared because the base's
    /// weights are not there.
    pub not_compared: Vec<String>,
}

/// Writes `adapter` as a GGUF file that llama.cpp applies to a base when it loads it.
///
/// `base`: the directory of the model it was trained on; `config.json` is enough. What llama.cpp
/// computes is the adapter's true change: also for rsLoRA and where patterns give modules ranks or
/// alphas of their own, which llama.cpp's own converter passes over. Plain LoRA gives that converter's
/// tensors and values.
///
/// Errors with [`LoraProblem`] for what such a file cannot carry, and where the shapes are not those
/// of the base. `on_progress` is called between chunks and may stop it; then, as after any error,
/// nothing is left behind.
pub fn convert_adapter(
    base: &Path,
    adapter: &Adapter,
    options: &ConvertAdapterOptions,
    on_progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<ConvertedAdapter, ModelError> {
    let (tensor_type, format) = match options.file_type {
        FileType::F32 => (TensorType::F32, NumberFormat::F32),
        FileType::F16 => (TensorType::F16, NumberFormat::F16),
        FileType::Bf16 => (TensorType::BF16, NumberFormat::Bf16),
        other => {
            let found = other.name();
            return Err(LoraProblem::Type { found }.into());
        }
    };
    let config = ModelConfig::read(base)?;
    let parameters = config.hyper_parameters()?;
    let plan = plan::plan(base, &config, &parameters, adapter)?;
    let changed = plan.pairs.iter().map(|pair| pair.changed);
    let changed = changed.fold(0, u64::saturating_add);
    let lineage = Lineage::of_adapter(adapter.directory(), adapter.config(), changed)?;
    let key_values = adapter_metadata(config.family(), &lineage, plan.alpha);
    let factors: Vec<Factor<'_>> = plan
        .pairs
        .iter()
        .flat_map(|pair| [Factor::a(adapter, pair), Factor::b(adapter, pair)])
        .collect();
    let descriptions = factors.iter().map(|factor| factor.description(tensor_type));
    let writer = Writer::begin(
        &options.output,
        &key_values,
        descriptions.collect(),
        options.existing,
    )?;
    let values: usize = factors.iter().map(|f| f.rows * f.columns).sum();
    let total = values as u64 * format.size() as u64;
    let mut job = Job {
        writer,
        format,
        type_name: tensor_type.name(),
        reporter: Reporter::new(total, on_progress),
    };
    for factor in &factors {
        job.write(adapter, factor)?;
    }
    let bytes = job.writer.length();
    job.writer.finish()?;
    Ok(ConvertedAdapter {
        modules: plan.pairs.len(),
        bytes,
        tensor_type,
        alpha: plan.alpha,
        rescaled: plan.pairs.iter().filter(|p| p.factor != 1.0).count(),
        left_out: plan.left_out,
        not_compared: plan.not_compared,
    })
}

/// One tensor of the file: A or B of a matrix.
struct Factor<'a> {
    name: String,
    /// Where its values are in the adapter.
    tensor_idx: usize,
    format: NumberFormat,
    data: &'a [u8],
    /// Rows and columns in the file.
    rows: usize,
    columns: usize,
    is_transposed: bool,
    order: RowOrder,
    head_rows: usize,
    multiplier: f32,
}

impl<'a> Factor<'a> {
    fn a(adapter: &'a Adapter, pair: &Pair<'_>) -> Self {
        let inputs = adapter.tensor(pair.lora.a).shape[1];
        let rank = pair.lora.rank;
        // llama.cpp looks up a token's row in an embedding's A.
        let is_transposed = pair.lora.is_embedding;
        let (rows, columns) = if is_transposed {
            (inputs, rank)
        } else {
            (rank, inputs)
        };
        Self {
            name: format!("{}.lora_a", pair.name),
            tensor_idx: pair.lora.a,
            format: adapter.format(pair.lora.a),
            data: adapter.data(pair.lora.a),
            rows,
            columns,
            is_transposed,
            order: RowOrder::Kept,
            head_rows: 1,
            multiplier: 1.0,
        }
    }

    fn b(adapter: &'a Adapter, pair: &Pair<'_>) -> Self {
        Self {
            name: format!("{}.lora_b", pair.name),
            tensor_idx: pair.lora.b,
            format: adapter.format(pair.lora.b),
            data: adapter.data(pair.lora.b),
            rows: adapter.tensor(pair.lora.b).shape[0],
            columns: pair.lora.rank,
            is_transposed: false,
            order: pair.order,
            head_rows: pair.head_rows,
            multiplier: pair.factor,
        }
    }

    fn description(&self, tensor_type: TensorType) -> TensorDescription {
        TensorDescription {
            name: self.name.clone(),
            dimensions: vec![self.columns as u64, self.rows as u64],
            tensor_type,
        }
    }

    /// Reads what is row `row` of the file, not yet multiplied.
    fn read(&self, row: usize, values: &mut [f32]) {
        if self.is_transposed {
            for (k, value) in values.iter_mut().enumerate() {
                *value = self.format.value(self.data, k * self.rows + row);
            }
            return;
        }
        let row = match self.order {
            RowOrder::Kept => row,
            RowOrder::Queries | RowOrder::Keys => layout::interleaved(row, self.head_rows),
        };
        let bytes = self.columns * self.format.size();
        self.format
            .decode(&self.data[row * bytes..(row + 1) * bytes], values);
    }

    /// Returns the error of the tensor's first value that is infinite or NaN.
    fn not_finite(&self, adapter: &Adapter) -> ModelError {
        let size = self.format.size();
        let mut values = (0..self.rows * self.columns).map(|idx| self.format.value(self.data, idx));
        let idx = values.position(|value| !value.is_finite()).unwrap_or(0);
        let tensor = adapter.tensor(self.tensor_idx);
        ModelError::Tensor {
            path: adapter.file().path().to_owned(),
            tensor: tensor.name.clone(),
            offset: tensor.offset() + (idx * size) as u64,
            problem: TensorProblem::NotFinite,
        }
    }
}

struct Job<'a> {
    writer: Writer,
    format: NumberFormat,
    type_name: &'static str,
    reporter: Reporter<'a>,
}

impl Job<'_> {
    fn write(&mut self, adapter: &Adapter, factor: &Factor<'_>) -> Result<(), ModelError> {
        let row_bytes = factor.columns * self.format.size();
        let chunk_rows = (CHUNK / factor.columns).clamp(1, factor.rows);
        let mut values = vec![0.0; factor.columns];
        let mut bytes = vec![0; chunk_rows * row_bytes];
        for start in (0..factor.rows).step_by(chunk_rows) {
            let count = chunk_rows.min(factor.rows - start);
            let bytes = &mut bytes[..count * row_bytes];
            for (idx, bytes) in bytes.chunks_exact_mut(row_bytes).enumerate() {
                let row = start + idx;
                factor.read(row, &mut values);
                if !values.iter().all(|value| value.is_finite()) {
                    return Err(factor.not_finite(adapter));
                }
                if factor.multiplier != 1.0 {
                    for value in &mut values {
                        *value *= factor.multiplier;
                    }
                }
                if !self.format.encode(&values, bytes) {
                    return Err(LoraProblem::Overflow {
                        tensor: factor.name.clone(),
                        row,
                        to: self.type_name,
                    }
                    .into());
                }
            }
            self.writer.write(bytes)?;
            self.reporter.advance(bytes.len())?;
        }
        self.writer.end_tensor(&factor.name)
    }
}
