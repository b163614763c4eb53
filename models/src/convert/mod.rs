//! Checkpoint in, GGUF out: merged, renamed, reordered, quantised and written tensor by tensor.

mod adapter;
mod error;
mod layout;
mod metadata;
mod plan;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::adapter::Adapter;
use crate::chat_template::ChatTemplates;
use crate::checkpoint::Checkpoint;
use crate::companions;
use crate::error::ModelError;
use crate::gguf::{Existing, TensorType, Writer};
use crate::metadata::FileType;
use crate::number_format::NumberFormat;
use crate::progress::{Progress, Reporter};
use crate::quantize;
use crate::weights::{OutputFormat, Plan, Rows};

pub use adapter::{ConvertAdapterOptions, ConvertedAdapter, LoraProblem, convert_adapter};
pub use error::ConvertProblem;
pub(crate) use layout::layer;
use layout::{Layout, RowOrder};
use plan::{ConvertedTensor, Origin};

/// Values that are in memory at a time.
const CHUNK: usize = 1 << 20;

/// How to convert.
#[derive(Clone, Debug)]
pub struct ConvertOptions {
    /// The file to make.
    pub output: PathBuf,
    /// What to store the weights as.
    pub file_type: FileType,
    /// What to do if the file is there.
    pub existing: Existing,
    /// Where tokenizer and chat template are, if not with the base.
    pub tokenizer: Option<PathBuf>,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// Tensors in all.
    pub tensors: usize,
    /// Bytes of the file.
    pub bytes: u64,
    /// Tensors and their bytes by type, in ggml's order of types.
    pub types: Vec<(TensorType, usize, u64)>,
    /// Tensors of which the rows do not fill the blocks of the type they should have had.
    pub fallbacks: usize,
    /// Tensors of the checkpoint that are no part of the language model.
    pub left_out: usize,
    /// What the adapter brings along too, and brings otherwise: `tokenizer.json`, `chat template`.
    pub differing: Vec<&'static str>,
}

/// Writes `base`, with `adapter` merged into it, as a GGUF file for llama.cpp.
///
/// The result is what merging with PEFT, llama.cpp's converter and llama-quantize give one after
/// another, without the two files between them: a merged weight is rounded once to the base's
/// own format (not for [`FileType::F32`]), then quantised. `on_progress` is called between chunks
/// and may stop it; then, as after any error, nothing is left behind.
pub fn convert(
    base: &Checkpoint,
    adapter: Option<&Adapter>,
    options: &ConvertOptions,
    on_progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Converted, ModelError> {
    let format = match options.file_type {
        FileType::F32 => OutputFormat::F32,
        _ => OutputFormat::Base,
    };
    let weights = Plan::new(base, adapter, format)?;
    let tokenizer = options.tokenizer.as_deref().unwrap_or(base.directory());
    let plan = plan::plan(base, adapter, &weights, options.file_type, tokenizer)?;
    let descriptions = plan.tensors.iter().map(|tensor| tensor.description.clone());
    let writer = Writer::begin(
        &options.output,
        &plan.key_values,
        descriptions.collect(),
        options.existing,
    )?;
    let total = plan
        .tensors
        .iter()
        .filter_map(|t| t.description.bytes())
        .sum();
    let mut job = Job {
        writer,
        reporter: Reporter::new(total, on_progress),
    };
    for tensor in &plan.tensors {
        job.write(adapter, tensor)?;
    }
    let bytes = job.writer.length();
    job.writer.finish()?;
    Ok(Converted {
        tensors: plan.tensors.len(),
        bytes,
        types: plan.types(),
        fallbacks: plan.fallbacks,
        left_out: plan.left_out,
        differing: match adapter {
            Some(adapter) => differing(tokenizer, adapter.directory())?,
            None => Vec::new(),
        },
    })
}

/// Returns what both directories have and do not agree on.
fn differing(taken: &Path, other: &Path) -> Result<Vec<&'static str>, ModelError> {
    let mut differing = Vec::new();
    let file = "tokenizer.json";
    if companions::differ(&taken.join(file), &other.join(file)) {
        differing.push(file);
    }
    let templates = ChatTemplates::read(other)?;
    if !templates.is_empty() && templates != ChatTemplates::read(taken)? {
        differing.push("chat template");
    }
    Ok(differing)
}

struct Job<'a> {
    writer: Writer,
    reporter: Reporter<'a>,
}

impl Job<'_> {
    fn write(
        &mut self,
        adapter: Option<&Adapter>,
        tensor: &ConvertedTensor<'_>,
    ) -> Result<(), ModelError> {
        let name = &tensor.description.name;
        match &tensor.origin {
            Origin::Computed(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                self.writer.write(&bytes)?;
                self.reporter.advance(bytes.len())?;
            }
            Origin::Weights {
                planned,
                layout,
                head_rows,
                rows: kept,
            } => {
                let mut on_chunk = || self.reporter.ask();
                let rows = Rows::new(adapter, planned, &mut on_chunk)?;
                let rows = rows.expect("a planned conversion has floating-point values");
                let source = Source {
                    rows,
                    kept: *kept,
                    layout,
                    head_rows: *head_rows,
                };
                self.write_rows(&source, name, tensor.description.tensor_type)?;
            }
        }
        self.writer.end_tensor(name)
    }

    fn write_rows(
        &mut self,
        source: &Source<'_>,
        name: &str,
        to: TensorType,
    ) -> Result<(), ModelError> {
        let columns = source.rows.columns();
        let row_bytes = to
            .row_bytes(columns as u64)
            .and_then(|n| usize::try_from(n).ok());
        let row_bytes = row_bytes.expect("the writer has counted the bytes");
        if row_bytes == 0 {
            return Ok(());
        }
        let chunk_rows = (CHUNK / columns).clamp(1, source.kept.max(1));
        let mut bytes = vec![0; chunk_rows * row_bytes];
        for start in (0..source.kept).step_by(chunk_rows) {
            let count = chunk_rows.min(source.kept - start);
            let bytes = &mut bytes[..count * row_bytes];
            bytes
                .par_chunks_mut(row_bytes)
                .enumerate()
                .map_init(
                    || (vec![0.0; columns], Vec::new()),
                    |(values, room), (idx, bytes)| {
                        source.read(start + idx, values, room)?;
                        store(name, start + idx, to, values, bytes)
                    },
                )
                // Whichever thread is quicker, the first bad row is named.
                .find_first(Result::is_err)
                .unwrap_or(Ok(()))?;
            self.writer.write(bytes)?;
            self.reporter.advance(bytes.len())?;
        }
        Ok(())
    }
}

/// Where the rows of one tensor of the file come from.
struct Source<'a> {
    rows: Rows<'a>,
    kept: usize,
    layout: &'a Layout,
    head_rows: usize,
}

impl Source<'_> {
    /// Reads what is row `row` of the file.
    fn read(&self, row: usize, values: &mut [f32], room: &mut Vec<f32>) -> Result<(), ModelError> {
        let is_kept = self.layout.order == RowOrder::Kept;
        if is_kept {
            self.rows.read(row, values, room)?;
        } else if self.rows.count() > 1 {
            let from = layout::interleaved(row, self.head_rows);
            self.rows.read(from, values, room)?;
        } else {
            self.rows.read(row, values, room)?;
            let read = values.to_vec();
            for (idx, value) in values.iter_mut().enumerate() {
                *value = read[layout::interleaved(idx, self.head_rows)];
            }
        }
        if self.layout.adds_one {
            for value in values {
                *value += 1.0;
            }
        }
        Ok(())
    }
}

/// Stores one row.
fn store(
    tensor: &str,
    row: usize,
    to: TensorType,
    values: &[f32],
    bytes: &mut [u8],
) -> Result<(), ModelError> {
    let format = match to {
        TensorType::F32 => NumberFormat::F32,
        TensorType::F16 => NumberFormat::F16,
        TensorType::BF16 => NumberFormat::Bf16,
        _ => {
            quantize::quantize_rows(to, values, values.len(), bytes)?;
            return Ok(());
        }
    };
    if format.encode(values, bytes) {
        Ok(())
    } else {
        let problem = ConvertProblem::Overflow { row, to: to.name() };
        Err(ModelError::Convert {
            tensor: tensor.to_owned(),
            problem,
        })
    }
}
