//! Base and adapter in, one model out: streamed, so that memory does not grow with the model.

mod output;

use std::ops::ControlFlow;
use std::path::PathBuf;

use rayon::prelude::*;
use serde_json::{Map, Value, json};

use output::{OutputDirectory, OutputFile};

use crate::adapter::Adapter;
use crate::checkpoint::Checkpoint;
use crate::companions::{self, companions};
use crate::error::ModelError;
use crate::progress::{Progress, Reporter};
use crate::weights::{OutputFormat, Plan, Planned, PlannedFile, Rows};
use crate::{model_config, shard_index};

/// Values that are in memory at a time.
const CHUNK: usize = 1 << 20;

/// How to merge.
#[derive(Clone, Debug)]
pub struct MergeOptions {
    /// The directory to make.
    pub output: PathBuf,
    /// What to write the weights as.
    pub format: OutputFormat,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Names of the files, in the order they were written.
    pub files: Vec<String>,
    /// Tensors in all.
    pub tensors: usize,
    /// Tensors that the adapter changed or replaced.
    pub changed: usize,
    /// Bytes of weights.
    pub bytes: u64,
    /// Files of the adapter that differ from the base's file of that name, which was taken.
    pub differing: Vec<String>,
    /// Whether head and embedding were one tensor and are two now.
    pub untied: bool,
}

/// Writes `base` with `adapter` merged into it, sharded as the base is, as a new directory.
///
/// W + scale·B·A is computed in 32 bits and rounded once; for DoRA (Liu et al. 2024) the rows then
/// get their magnitudes. The order of operations is PEFT's. `on_progress` is called between
/// chunks and may stop it; then, as after any error, nothing is left behind.
/// Needs room on disk for the whole result, and memory for a few chunks and the smaller factors.
pub fn merge(
    base: &Checkpoint,
    adapter: &Adapter,
    options: &MergeOptions,
    on_progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Merged, ModelError> {
    let plan = Plan::new(base, Some(adapter), options.format)?;
    let inputs = [base.directory(), adapter.directory()];
    let output = OutputDirectory::begin(&options.output, inputs)?;
    let companions = companions(base.directory())?;
    let total = plan
        .files
        .iter()
        .flat_map(|file| &file.tensors)
        .map(Planned::bytes)
        .sum();
    let beside = companions.iter().map(|companion| companion.bytes);
    // Headers, configuration and index are small beside the slack.
    let slack = 1 << 20;
    // A file with holes may say that it has any number of bytes.
    output.reserve(beside.fold(total + slack, u64::saturating_add))?;

    let mut writer = Writer {
        adapter,
        reporter: Reporter::new(total, on_progress),
    };
    let mut files = Vec::new();
    for file in &plan.files {
        writer.write_file(&output, file)?;
        files.push(file.name.clone());
    }
    let mut write_json = |name: &str, value: Value| {
        let mut file = output.create(name)?;
        file.write(format!("{value:#}\n").as_bytes())?;
        files.push(name.to_owned());
        file.finish()
    };
    if base.is_sharded() {
        write_json(shard_index::FILE, index(&plan, total))?;
    }
    let dtype = options.format.config_name();
    let config = base.config().changed(dtype, plan.ties);
    write_json(model_config::FILE, Value::Object(config))?;
    let mut differing = Vec::new();
    for companion in companions {
        output.copy(&companion.path, &companion.name)?;
        if companions::differ(&companion.path, &adapter.directory().join(&companion.name)) {
            differing.push(companion.name.clone());
        }
        files.push(companion.name);
    }
    output.finish()?;
    let tensors = || plan.files.iter().flat_map(|file| &file.tensors);
    Ok(Merged {
        files,
        tensors: tensors().count(),
        changed: adapter.modules().len() + adapter.replacements().len(),
        bytes: total,
        differing,
        untied: plan.ties == Some(false),
    })
}

/// Returns the list of shards.
fn index(plan: &Plan<'_>, total: u64) -> Value {
    let mut shards: Vec<(String, Value)> = Vec::new();
    for file in &plan.files {
        for tensor in &file.tensors {
            shards.push((tensor.name.clone(), file.name.clone().into()));
        }
    }
    shards.sort_by(|(one, _), (other, _)| one.cmp(other));
    json!({
        "metadata": { "total_size": total },
        "weight_map": shards.into_iter().collect::<Map<_, _>>(),
    })
}

struct Writer<'a> {
    adapter: &'a Adapter,
    reporter: Reporter<'a>,
}

impl Writer<'_> {
    fn write_file(
        &mut self,
        output: &OutputDirectory,
        planned: &PlannedFile<'_>,
    ) -> Result<(), ModelError> {
        let mut tensors: Vec<&Planned<'_>> = planned.tensors.iter().collect();
        // Wide formats first, so that every tensor begins at a multiple of its own width.
        tensors.sort_by_key(|tensor| std::cmp::Reverse(tensor.dtype().bitsize()));
        let mut file = output.create(&planned.name)?;
        file.write(&header(&tensors))?;
        for tensor in tensors {
            self.write_tensor(&mut file, tensor)?;
        }
        file.finish()
    }

    fn write_tensor(
        &mut self,
        file: &mut OutputFile,
        tensor: &Planned<'_>,
    ) -> Result<(), ModelError> {
        let mut on_chunk = || self.reporter.ask();
        let rows = Rows::new(Some(self.adapter), tensor, &mut on_chunk)?;
        let (Some(rows), Some((_, to))) = (rows, tensor.formats) else {
            for piece in tensor.source.data.chunks(4 * CHUNK) {
                file.write(piece)?;
                self.reporter.advance(piece.len())?;
            }
            return Ok(());
        };
        let columns = rows.columns();
        // What is empty one way may be of any size the other way.
        if columns == 0 || rows.count() == 0 {
            return Ok(());
        }
        let chunk_rows = (CHUNK / columns).clamp(1, rows.count().max(1));
        let row_bytes = columns * to.size();
        let mut bytes = vec![0; chunk_rows * row_bytes];
        for start in (0..rows.count()).step_by(chunk_rows) {
            let count = chunk_rows.min(rows.count() - start);
            let bytes = &mut bytes[..count * row_bytes];
            bytes
                .par_chunks_mut(row_bytes)
                .enumerate()
                .map_init(
                    || (vec![0.0; columns], Vec::new()),
                    |(values, room), (idx, bytes)| {
                        rows.read(start + idx, values, room)?;
                        to.encode(values, bytes);
                        Ok::<(), ModelError>(())
                    },
                )
                // Whichever thread is quicker, the first bad row is named.
                .find_first(Result::is_err)
                .unwrap_or(Ok(()))?;
            file.write(bytes)?;
            self.reporter.advance(bytes.len())?;
        }
        Ok(())
    }
}

/// Returns the beginning of a safetensors file, padded to a multiple of eight bytes.
fn header(tensors: &[&Planned<'_>]) -> Vec<u8> {
    let mut entries = Map::new();
    // Readers in Python refuse a file that does not say which library it is for.
    entries.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut end = 0;
    for tensor in tensors {
        let start = end;
        end += tensor.bytes();
        let entry = json!({
            "dtype": tensor.dtype().to_string(),
            "shape": tensor.shape,
            "data_offsets": [start, end],
        });
        entries.insert(tensor.name.clone(), entry);
    }
    let mut text = Value::Object(entries).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.append(&mut text);
    header
}
