//! A PEFT adapter directory: its configuration and its tensors, sorted by what they are for.

mod config;
mod pattern;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use config::AdapterConfig;
pub(crate) use config::FILE as CONFIG;

use crate::error::{AdapterProblem, ModelError};
use crate::number_format::NumberFormat;
use crate::tensor_file::{StoredTensor, TensorFile};
use crate::tensor_view::TensorView;

/// Name of the file with an adapter's tensors.
pub(crate) const WEIGHTS: &str = "adapter_model.safetensors";
/// What PEFT puts before a model's own names.
const PREFIX: &str = "base_model.model.";

/// A PEFT LoRA adapter, its files read and its tensors known.
#[derive(Debug)]
pub struct Adapter {
    directory: PathBuf,
    config: AdapterConfig,
    file: TensorFile,
    modules: BTreeMap<String, Lora>,
    replacements: BTreeMap<String, Replacement>,
}

/// The low-rank change of one module's weight.
#[derive(Clone, Debug)]
pub(crate) struct Lora {
    /// Whether the weight is an embedding, whose change is the product's transpose.
    pub(crate) is_embedding: bool,
    /// A: (rank, inputs).
    pub(crate) a: usize,
    /// B: (outputs, rank).
    pub(crate) b: usize,
    pub(crate) magnitude: Option<usize>,
    /// What is added to the module's bias, before scaling.
    pub(crate) bias: Option<usize>,
    pub(crate) rank: usize,
    pub(crate) scale: f64,
}

/// A tensor that takes the place of the base's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replacement {
    pub(crate) tensor_idx: usize,
    /// Whether it is what a low-rank change was trained upon.
    pub(crate) is_base_layer: bool,
}

/// What a tensor is to its module.
enum Role {
    A { is_embedding: bool },
    B { is_embedding: bool },
    Magnitude,
    Bias,
}

/// Ends of names, with the role they give. Current PEFT leaves the adapter's name out.
const ROLES: [(&str, Role); 7] = [
    (
        ".lora_A.weight",
        Role::A {
            is_embedding: false,
        },
    ),
    (
        ".lora_B.weight",
        Role::B {
            is_embedding: false,
        },
    ),
    (".lora_embedding_A", Role::A { is_embedding: true }),
    (".lora_embedding_B", Role::B { is_embedding: true }),
    (".lora_magnitude_vector", Role::Magnitude),
    (".lora_magnitude_vector.weight", Role::Magnitude),
    (".lora_B.bias", Role::Bias),
];

/// The tensors of one module, as far as seen.
#[derive(Default)]
struct Parts {
    is_embedding: bool,
    a: Option<usize>,
    b: Option<usize>,
    magnitude: Option<usize>,
    bias: Option<usize>,
}

impl Adapter {
    /// Opens a directory with `adapter_config.json` and `adapter_model.safetensors`.
    ///
    /// Refuses what is not LoRA, options that are not merged rightly, and tensors of unknown kind.
    pub fn open(directory: &Path) -> Result<Self, ModelError> {
        let config = AdapterConfig::read(directory)?;
        let file = TensorFile::open(&directory.join(WEIGHTS))?;
        let wrong = |problem| ModelError::Adapter {
            path: file.path().to_owned(),
            problem,
        };
        let (parts, replacements) = sort(file.tensors()).map_err(wrong)?;
        let modules = parts
            .into_iter()
            .map(|(module, parts)| {
                let lora = complete(&module, &parts, &config, file.tensors())?;
                Ok((module, lora))
            })
            .collect::<Result<BTreeMap<_, _>, _>>()
            .map_err(wrong)?;
        if modules.is_empty() && replacements.is_empty() {
            return Err(wrong(AdapterProblem::Empty));
        }
        Ok(Self {
            directory: directory.to_owned(),
            config,
            file,
            modules,
            replacements,
        })
    }

    /// Returns where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns what `adapter_config.json` says.
    pub fn config(&self) -> &AdapterConfig {
        &self.config
    }

    /// Returns the modules with a low-rank change, sorted.
    pub fn module_names(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// Returns its tensors, as they lie in the file.
    pub fn tensors(&self) -> impl Iterator<Item = TensorView<'_>> {
        let tensors = self.file.tensors().iter();
        tensors.map(|tensor| TensorView::new(&self.file, tensor).expect("looked at when opened"))
    }

    pub(crate) fn modules(&self) -> &BTreeMap<String, Lora> {
        &self.modules
    }

    /// Returns what takes a tensor's place, by the tensor's name.
    pub(crate) fn replacements(&self) -> &BTreeMap<String, Replacement> {
        &self.replacements
    }

    pub(crate) fn file(&self) -> &TensorFile {
        &self.file
    }

    pub(crate) fn tensor(&self, idx: usize) -> &StoredTensor {
        &self.file.tensors()[idx]
    }

    pub(crate) fn data(&self, idx: usize) -> &[u8] {
        self.file.data(self.tensor(idx))
    }

    /// Returns a tensor's values.
    pub(crate) fn values(&self, idx: usize) -> Vec<f32> {
        let format = self.format(idx);
        let data = self.data(idx);
        let mut values = vec![0.0; data.len() / format.size()];
        format.decode(data, &mut values);
        values
    }

    pub(crate) fn format(&self, idx: usize) -> NumberFormat {
        NumberFormat::of(self.tensor(idx).dtype).expect("looked at when opened")
    }
}

type Sorted = (BTreeMap<String, Parts>, BTreeMap<String, Replacement>);

fn sort(tensors: &[StoredTensor]) -> Result<Sorted, AdapterProblem> {
    let mut modules: BTreeMap<String, Parts> = BTreeMap::new();
    let mut replacements = BTreeMap::new();
    for (tensor_idx, tensor) in tensors.iter().enumerate() {
        let twice = || AdapterProblem::Twice {
            tensor: tensor.name.clone(),
        };
        if NumberFormat::of(tensor.dtype).is_none() {
            return Err(AdapterProblem::Format {
                tensor: tensor.name.clone(),
                dtype: tensor.dtype,
            });
        }
        let name = tensor.name.strip_prefix(PREFIX).unwrap_or(&tensor.name);
        let role = ROLES
            .iter()
            .find_map(|(end, role)| Some((name.strip_suffix(end)?, role)));
        if let Some((module, role)) = role {
            let parts = modules.entry(module.to_owned()).or_default();
            let place = match role {
                Role::A { is_embedding } => {
                    parts.is_embedding |= is_embedding;
                    &mut parts.a
                }
                Role::B { is_embedding } => {
                    parts.is_embedding |= is_embedding;
                    &mut parts.b
                }
                Role::Magnitude => &mut parts.magnitude,
                Role::Bias => &mut parts.bias,
            };
            if place.replace(tensor_idx).is_some() {
                return Err(twice());
            }
            continue;
        }
        let is_whole = [".weight", ".bias"].iter().any(|end| name.ends_with(end));
        if !is_whole || name.contains("lora_") || name.contains("token_adapter") {
            return Err(AdapterProblem::Unknown {
                tensor: tensor.name.clone(),
            });
        }
        let replacement = Replacement {
            tensor_idx,
            is_base_layer: name.contains(".base_layer."),
        };
        let name = name
            .replace(".base_layer.", ".")
            .replace(".modules_to_save.", ".");
        if replacements.insert(name, replacement).is_some() {
            return Err(twice());
        }
    }
    Ok((modules, replacements))
}

/// Checks that a module has all its tensors, in shapes that fit each other.
fn complete(
    module: &str,
    parts: &Parts,
    config: &AdapterConfig,
    tensors: &[StoredTensor],
) -> Result<Lora, AdapterProblem> {
    let half = |missing| AdapterProblem::Half {
        module: module.to_owned(),
        missing,
    };
    let a = parts.a.ok_or_else(|| half("lora_A"))?;
    let b = parts.b.ok_or_else(|| half("lora_B"))?;
    let scale = config.scale_of(module)?;
    let rank = config.rank_of(module);
    let shape = |idx: usize, expected: &str| AdapterProblem::Shape {
        tensor: tensors[idx].name.clone(),
        found: tensors[idx].shape.clone(),
        expected: expected.to_owned(),
    };
    let [a_rank, _] = tensors[a].shape[..] else {
        return Err(shape(a, "(rank, inputs)"));
    };
    if a_rank != rank {
        return Err(shape(a, &format!("rank {rank} × inputs")));
    }
    let [_, b_rank] = tensors[b].shape[..] else {
        return Err(shape(b, "(outputs, rank)"));
    };
    if b_rank != rank {
        return Err(shape(b, &format!("outputs × rank {rank}")));
    }
    if parts.magnitude.is_some() != config.use_dora {
        return Err(AdapterProblem::Dora {
            module: module.to_owned(),
            use_dora: config.use_dora,
        });
    }
    let outputs = tensors[b].shape[0];
    for idx in parts.magnitude.iter().chain(&parts.bias) {
        if tensors[*idx].shape != [outputs] {
            return Err(shape(*idx, &format!("[{outputs}]")));
        }
    }
    Ok(Lora {
        is_embedding: parts.is_embedding,
        a,
        b,
        magnitude: parts.magnitude,
        bias: parts.bias,
        rank,
        scale,
    })
}
