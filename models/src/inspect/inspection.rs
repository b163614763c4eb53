use std::fs::File;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::adapter::AdapterDescription;
use super::adapter_findings::not_finite;
use super::chat::ChatDescription;
use super::checkpoint::{CheckpointDescription, Examined};
use super::error::InspectError;
use super::finding::Finding;
use super::finite::first_not_finite;
use super::gguf::GgufDescription;
use crate::checkpoint::Checkpoint;
use crate::error::ModelError;
use crate::gguf::GgufFile;
use crate::progress::Progress;
use crate::{adapter, model_config};

/// Bytes of weights looked at between two reports of progress.
const STEP: usize = 64 << 20;
/// Entries of a directory looked at for what could be meant.
const NEAR_LIMIT: usize = 1000;

/// How closely to look.
#[derive(Clone, Debug, Default)]
pub struct InspectOptions {
    /// The base to compare an adapter with.
    pub base: Option<PathBuf>,
    /// Whether to read all weights of a checkpoint.
    pub deep: bool,
}

/// What a path is, and what a person should know of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// What it is.
    pub subject: Subject,
    /// What is doubtful about it, warnings first.
    pub findings: Vec<Finding>,
}

/// What a path is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A directory with `config.json`.
    Checkpoint(Box<CheckpointDescription>),
    /// A directory with `adapter_config.json`.
    Adapter(Box<AdapterDescription>),
    /// A GGUF file.
    Gguf {
        /// What it says.
        file: Box<GgufDescription>,
        /// What its chat template does, if it has one.
        chat: Option<ChatDescription>,
    },
}

/// Tells what a path is: a checkpoint's or an adapter's directory, or a GGUF file, by its content.
///
/// Reads headers and descriptions only, of an adapter also its values, of a checkpoint if
/// [`InspectOptions::deep`]. Errors if it is none of them, is damaged, or is of a family that is not
/// supported. `on_progress` hears how many bytes of weights were looked at, and may stop it.
pub fn inspect(
    path: &Path,
    options: &InspectOptions,
    on_progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Inspection, InspectError> {
    let metadata = std::fs::metadata(path).map_err(ModelError::io("read", path))?;
    let mut inspection = if metadata.is_dir() {
        inspect_directory(path, options, on_progress)?
    } else {
        inspect_file(path)?
    };
    if options.base.is_some() && !matches!(inspection.subject, Subject::Adapter(_)) {
        return Err(InspectError::NoAdapter {
            path: path.to_owned(),
        });
    }
    inspection.findings.sort_by_key(|finding| finding.level);
    Ok(inspection)
}

fn inspect_directory(
    path: &Path,
    options: &InspectOptions,
    on_progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Inspection, InspectError> {
    let has = |name: &str| path.join(name).is_file();
    match (has(model_config::FILE), has(adapter::CONFIG)) {
        (true, true) => Err(InspectError::Both {
            path: path.to_owned(),
        }),
        (false, false) => Err(InspectError::Neither {
            path: path.to_owned(),
            near: near(path),
        }),
        (true, false) => {
            let examined = Examined::read(path)?;
            let mut findings = examined.findings();
            if let Some(checkpoint) = examined.checkpoint.as_ref().filter(|_| options.deep) {
                findings.extend(look_at_values(checkpoint, on_progress)?);
            }
            Ok(Inspection {
                subject: Subject::Checkpoint(Box::new(examined.description)),
                findings,
            })
        }
        (false, true) => {
            let pickled = path.join("adapter_model.bin");
            if pickled.is_file() && !has(adapter::WEIGHTS) {
                return Err(InspectError::Pickled { path: pickled });
            }
            let description = AdapterDescription::read(path, options.base.as_deref())?;
            Ok(Inspection {
                findings: description.findings(),
                subject: Subject::Adapter(Box::new(description)),
            })
        }
    }
}

fn inspect_file(path: &Path) -> Result<Inspection, InspectError> {
    let mut beginning = Vec::new();
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        // Anything else, e.g. a pipe, might never end; opening it as a GGUF file says so.
        let file = File::open(path).map_err(ModelError::io("read", path))?;
        file.take(9)
            .read_to_end(&mut beginning)
            .map_err(ModelError::io("read", path))?;
    }
    if let Some((found, mend)) = other_file(&beginning) {
        return Err(InspectError::File {
            path: path.to_owned(),
            found,
            mend,
        });
    }
    let file = GgufFile::open(path)?;
    let description = GgufDescription::of(&file);
    Ok(Inspection {
        findings: description.findings(&file),
        subject: Subject::Gguf {
            chat: description.chat(&file),
            file: Box::new(description),
        },
    })
}

/// Recognises files that people have beside a model, by their first bytes.
fn other_file(beginning: &[u8]) -> Option<(&'static str, &'static str)> {
    let name_directory = "name the directory that it lies in";
    if beginning.is_empty() || beginning.starts_with(b"GGUF") {
        return None;
    }
    Some(match beginning {
        [_, _, _, _, _, _, _, 0, b'{'] => ("a safetensors file", name_directory),
        [b'{', ..] => ("JSON", name_directory),
        [b'P', b'K', 3, 4, ..] | [0x80, 2..=5, ..] => (
            "pickled by Python",
            "save the model as safetensors (`save_pretrained` does)",
        ),
        [b'l' | b't', b'm' | b'j', b'g', b'g', ..] => (
            "a file of ggml's from before GGUF",
            "convert the checkpoint again",
        ),
        _ => ("something else", "see that it was downloaded whole"),
    })
}

/// Returns names in a directory that could have been meant: of GGUF files and of directories with a
/// description.
fn near(path: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(path) else {
        return Vec::new();
    };
    let is_meant = |path: &Path| {
        let is_gguf = path
            .extension()
            .is_some_and(|extension| extension == "gguf");
        let has = |name: &str| path.join(name).is_file();
        is_gguf || has(model_config::FILE) || has(adapter::CONFIG)
    };
    let mut names: Vec<String> = entries
        .take(NEAR_LIMIT)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_meant(path))
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names.truncate(3);
    names
}

/// Reads all weights; finds the first value that is infinite or NaN.
fn look_at_values(
    checkpoint: &Checkpoint,
    on_progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Option<Finding>, ModelError> {
    let shards = || checkpoint.shards().iter();
    let all = shards().flat_map(|shard| shard.tensors().iter().map(|tensor| shard.data(tensor)));
    let total = all.map(|data| data.len() as u64).sum();
    let mut done = 0;
    for shard in shards() {
        for tensor in shard.tensors() {
            let steps = shard.data(tensor).chunks(STEP).enumerate();
            for (idx, step) in steps {
                if let Some(within) = first_not_finite(tensor.dtype, step) {
                    let offset = tensor.offset() + (idx * STEP + within) as u64;
                    let name = shard.path().file_name().unwrap_or_default();
                    let found = not_finite(&name.to_string_lossy(), &tensor.name, offset);
                    return Ok(Some(found));
                }
                done += step.len() as u64;
                if on_progress(Progress { done, total }).is_break() {
                    return Err(ModelError::Interrupted);
                }
            }
        }
    }
    Ok(None)
}
