//! From a checkpoint to a decoder.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use shipworthy_models::{Checkpoint, Family, HyperParameters, LayerType};

use super::Decoder;
use super::angles::ModelFrequencies;
use super::embedding::Embedding;
use super::frozen::FrozenWeight;
use super::head::Head;
use super::layer::Layer;
use super::linear::{Linear, LowRank, Vector, Weight};
use super::norm::Norm;
use crate::adaptation::{Adaptation, Bias, LoraOptions, TargetModules, is_called};
use crate::compute::Compute;
use crate::dropout::Dropout;
use crate::error::NativeError;
use crate::ops::attention::Attention;
use crate::ops::rms_norm::RmsNorm;
use crate::parameters::{Parameter, ParameterId, Parameters};

/// What PEFT puts before a model's own names.
const PREFIX: &str = "base_model.model.";
/// The end of the name that tells where a checkpoint's names begin.
const EMBEDDING: &str = "embed_tokens.weight";

impl Decoder {
    /// Loads a checkpoint, and makes what is trained of it: low-rank changes begin as nothing, their A
    /// drawn with `seed` as PEFT draws it, uniform within ± 1/√inputs.
    ///
    /// `progress` is told how many of how many modules are there. Errors with the file and tensor that is
    /// missing, of another shape, or not finite, and with the name that is no module's.
    pub fn load(
        checkpoint: &Arc<Checkpoint>,
        adaptation: &Adaptation,
        compute: &Compute,
        seed: u64,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self, NativeError> {
        let hyper_parameters = checkpoint.config().hyper_parameters()?;
        let embedding = checkpoint
            .tensor_names()
            .find(|name| name.ends_with(EMBEDDING));
        let Some(embedding) = embedding else {
            // The error names what is missing as it is usually called.
            checkpoint.view("model.embed_tokens.weight")?;
            unreachable!("no name ends so");
        };
        let prefix = embedding
            .strip_suffix(EMBEDDING)
            .unwrap_or_default()
            .to_owned();
        let lora = match adaptation {
            Adaptation::Lora(options) => Some(options.clone()),
            Adaptation::None | Adaptation::Full => None,
        };
        let mut loading = Loading {
            checkpoint,
            compute,
            family: checkpoint.config().family(),
            sizes: &hyper_parameters,
            modules: modules(&prefix),
            prefix,
            lora: lora.as_ref(),
            is_full: matches!(adaptation, Adaptation::Full),
            parameters: Parameters::default(),
            random: ChaCha8Rng::seed_from_u64(seed),
            ordinal: 0,
            target_modules: Vec::new(),
            known: Vec::new(),
            frozen_bytes: 0,
        };
        let count = hyper_parameters.num_hidden_layers as usize;
        let embedding = loading.embedding()?;
        let mut layers = Vec::with_capacity(count);
        for idx in 0..count {
            progress(idx, count + 1);
            layers.push(loading.layer(idx)?);
        }
        let norm = loading.norm("norm", hyper_parameters.hidden_size)?;
        progress(count, count + 1);
        let head = loading.head(&embedding)?;
        loading.check_names()?;
        progress(count + 1, count + 1);
        let Loading {
            parameters,
            mut target_modules,
            frozen_bytes,
            ..
        } = loading;
        target_modules.sort();
        Ok(Self {
            frequencies: ModelFrequencies::new(&hyper_parameters),
            compute: compute.clone(),
            dropout: Dropout::new(lora.as_ref().map_or(0.0, |lora| lora.dropout))?,
            lora,
            parameters,
            embedding,
            layers,
            norm,
            head,
            target_modules,
            frozen_bytes,
            hyper_parameters,
        })
    }
}

/// Returns what stands before a module's name in the model that transformers makes of a checkpoint whose
/// tensors begin with `prefix`.
fn modules(prefix: &str) -> String {
    match prefix {
        "language_model.model." => "model.language_model.".to_owned(),
        prefix => prefix.to_owned(),
    }
}

struct Loading<'a> {
    checkpoint: &'a Arc<Checkpoint>,
    compute: &'a Compute,
    family: Family,
    sizes: &'a HyperParameters,
    /// What stands before tensors' names, and before modules'.
    prefix: String,
    modules: String,
    lora: Option<&'a LoraOptions>,
    is_full: bool,
    parameters: Parameters,
    random: ChaCha8Rng,
    ordinal: u32,
    target_modules: Vec<String>,
    /// Modules that could be trained, and whether they are linear.
    known: Vec<(String, bool)>,
    frozen_bytes: usize,
}

impl Loading<'_> {
    fn embedding(&mut self) -> Result<Embedding, NativeError> {
        let (vocab_size, hidden_size) = (self.sizes.vocab_size, self.sizes.hidden_size);
        let shape = [vocab_size as usize, hidden_size as usize];
        let tensor = format!("{}{EMBEDDING}", self.prefix);
        let module = format!("{}embed_tokens", self.modules);
        self.known.push((module.clone(), false));
        let is_trained = self.trained_name(&tensor, &module, "weight").is_some();
        let weight = if is_trained || self.sizes.tie_word_embeddings {
            self.weight(&tensor, &module, shape, false)?
        } else {
            // A step needs few of its rows, and no product with it: a card is spared it.
            Weight::Frozen(Arc::new(FrozenWeight::mapped(
                self.checkpoint,
                &tensor,
                shape,
            )?))
        };
        let scales = self.family == Family::Gemma3;
        Ok(Embedding {
            weight,
            vocab_size: shape[0],
            hidden_size: shape[1],
            scale: scales.then(|| f64::from(hidden_size).sqrt()),
        })
    }

    fn head(&mut self, embedding: &Embedding) -> Result<Head, NativeError> {
        let shape = [embedding.vocab_size, embedding.hidden_size];
        let module = "lm_head".to_owned();
        self.known.push((module.clone(), true));
        let own = self
            .checkpoint
            .tensor_names()
            .find(|name| name.ends_with("lm_head.weight"));
        let tied = format!("{}{EMBEDDING}", self.prefix);
        let is_saved = self.lora.is_some_and(|lora| lora.saves(&module));
        let weight = match own {
            _ if self.sizes.tie_word_embeddings && !is_saved => {
                // An embedding that is trained beside a tied head is a copy of its own, in PEFT too.
                match (&embedding.weight, self.lora) {
                    (Weight::Trained(_), Some(_)) => self.weight(&tied, &module, shape, false)?,
                    (weight, _) => weight.clone(),
                }
            }
            Some(own) if !self.sizes.tie_word_embeddings => {
                let own = own.to_owned();
                self.weight(&own, &module, shape, false)?
            }
            _ if self.sizes.tie_word_embeddings => self.weight(&tied, &module, shape, false)?,
            _ => self.weight("lm_head.weight", &module, shape, false)?,
        };
        let low_rank = self.low_rank(&module, shape, true)?;
        Ok(Head {
            linear: Linear {
                outputs: shape[0],
                inputs: shape[1],
                weight,
                bias: None,
                low_rank,
            },
            softcap: self.sizes.final_logit_softcapping,
        })
    }

    fn layer(&mut self, idx: usize) -> Result<Layer, NativeError> {
        let sizes = self.sizes;
        let (hidden, inner) = (sizes.hidden_size, sizes.intermediate_size);
        let (query, key) = (
            sizes.num_attention_heads * sizes.head_dim,
            sizes.num_key_value_heads * sizes.head_dim,
        );
        let name = |module: &str| format!("layers.{idx}.{module}");
        let layer_type = sizes.layer_types[idx];
        let (gemma, qwen3) = (self.family == Family::Gemma3, self.family == Family::Qwen3);
        let norms_heads = gemma || qwen3;
        let bias = sizes.qkv_bias;
        let scale = sizes
            .query_pre_attn_scalar
            .unwrap_or(f64::from(sizes.head_dim));
        let input_norm = self.norm(&name("input_layernorm"), hidden)?;
        let query = self.linear(&name("self_attn.q_proj"), [query, hidden], bias)?;
        let key_projection = self.linear(&name("self_attn.k_proj"), [key, hidden], bias)?;
        let value = self.linear(&name("self_attn.v_proj"), [key, hidden], bias)?;
        let head_norm = |loading: &mut Self, module: &str| {
            let norm = norms_heads.then(|| loading.norm(&name(module), sizes.head_dim));
            norm.transpose()
        };
        let query_norm = head_norm(self, "self_attn.q_norm")?;
        let key_norm = head_norm(self, "self_attn.k_norm")?;
        let width = sizes.num_attention_heads * sizes.head_dim;
        let output = self.linear(
            &name("self_attn.o_proj"),
            [hidden, width],
            sizes.output_bias,
        )?;
        let after_attention = self.norm(&name("post_attention_layernorm"), hidden)?;
        let (attention_norm, mlp_input_norm, mlp_norm) = if gemma {
            (
                Some(after_attention),
                self.norm(&name("pre_feedforward_layernorm"), hidden)?,
                Some(self.norm(&name("post_feedforward_layernorm"), hidden)?),
            )
        } else {
            (None, after_attention, None)
        };
        let window = sizes
            .sliding_window
            .filter(|_| layer_type == LayerType::Sliding);
        Ok(Layer {
            layer_type,
            input_norm,
            query,
            key: key_projection,
            value,
            query_norm,
            key_norm,
            attention: Attention {
                num_attention_heads: sizes.num_attention_heads as usize,
                num_key_value_heads: sizes.num_key_value_heads as usize,
                head_dim: sizes.head_dim as usize,
                scale: scale.powf(-0.5),
                window: window.map(|window| window as usize),
            },
            output,
            attention_norm,
            mlp_input_norm,
            gate: self.linear(&name("mlp.gate_proj"), [inner, hidden], sizes.mlp_bias)?,
            up: self.linear(&name("mlp.up_proj"), [inner, hidden], sizes.mlp_bias)?,
            activation: sizes.activation,
            down: self.linear(&name("mlp.down_proj"), [hidden, inner], sizes.mlp_bias)?,
            mlp_norm,
        })
    }

    fn linear(
        &mut self,
        name: &str,
        shape: [u32; 2],
        has_bias: bool,
    ) -> Result<Linear, NativeError> {
        let shape = shape.map(|size| size as usize);
        let module = format!("{}{name}", self.modules);
        self.known.push((module.clone(), true));
        let tensor = format!("{}{name}.weight", self.prefix);
        let weight = self.weight(&tensor, &module, shape, true)?;
        let is_target = self.lora.is_some_and(|lora| lora.targets(&module, false));
        let is_trained = self.lora.is_some_and(|lora| match lora.bias {
            Bias::None => false,
            Bias::All => true,
            Bias::LoraOnly => is_target,
        });
        let bias = has_bias.then(|| {
            let tensor = format!("{}{name}.bias", self.prefix);
            // PEFT wraps a target, whose own values are then its base layer's.
            let within = if is_target { ".base_layer" } else { "" };
            let called = format!("{PREFIX}{module}{within}.bias");
            self.vector(&tensor, &module, shape[0], is_trained.then_some(called))
        });
        Ok(Linear {
            outputs: shape[0],
            inputs: shape[1],
            weight,
            bias: bias.transpose()?,
            low_rank: self.low_rank(&module, shape, false)?,
        })
    }

    fn norm(&mut self, name: &str, features: u32) -> Result<Norm, NativeError> {
        let module = format!("{}{name}", self.modules);
        self.known.push((module.clone(), false));
        let tensor = format!("{}{name}.weight", self.prefix);
        Ok(Norm {
            operation: RmsNorm {
                epsilon: self.sizes.rms_norm_eps,
                adds_one: self.family == Family::Gemma3,
            },
            weight: self.vector(&tensor, &module, features as usize, None)?,
        })
    }

    /// Returns a matrix, trained if its module is.
    fn weight(
        &mut self,
        tensor: &str,
        module: &str,
        shape: [usize; 2],
        quantises: bool,
    ) -> Result<Weight, NativeError> {
        if let Some(name) = self.trained_name(tensor, module, "weight") {
            return Ok(Weight::Trained(self.parameter(tensor, &shape, name)?));
        }
        let weight = FrozenWeight::load(self.checkpoint, tensor, shape, self.compute, quantises)?;
        self.frozen_bytes += weight.byte_count();
        Ok(Weight::Frozen(Arc::new(weight)))
    }

    /// Returns a vector, trained if its module is or if a name is given.
    fn vector(
        &mut self,
        tensor: &str,
        module: &str,
        features: usize,
        name: Option<String>,
    ) -> Result<Vector, NativeError> {
        let end = tensor.rsplit('.').next().unwrap_or_default();
        if let Some(name) = self.trained_name(tensor, module, end).or(name) {
            return Ok(Vector::Trained(self.parameter(
                tensor,
                &[features],
                name,
            )?));
        }
        let value = self
            .values(tensor, &[features])?
            .to_dtype(self.compute.dtype)?;
        self.frozen_bytes += features * self.compute.dtype.size_in_bytes();
        Ok(Vector::Frozen(value))
    }

    /// Returns what a tensor of a module is saved as, if the module is trained in full.
    fn trained_name(&self, tensor: &str, module: &str, end: &str) -> Option<String> {
        let is_saved = self.lora.is_some_and(|lora| lora.saves(module));
        let saved = is_saved.then(|| format!("{PREFIX}{module}.{end}"));
        saved.or_else(|| self.is_full.then(|| tensor.to_owned()))
    }

    fn parameter(
        &mut self,
        tensor: &str,
        shape: &[usize],
        name: String,
    ) -> Result<ParameterId, NativeError> {
        // What transformers leaves out of weight decay: biases and norms.
        let is_bias = name.rsplit('.').next() == Some("bias");
        let decays = !is_bias && !is_norm(&name);
        let value = self.values(tensor, shape)?;
        Ok(self.parameters.add(Parameter {
            name,
            value,
            decays,
        }))
    }

    /// Reads a tensor as `f32`, to the device.
    fn values(&self, tensor: &str, shape: &[usize]) -> Result<Tensor, NativeError> {
        let view = self.checkpoint.view(tensor)?;
        view.expect_shape(shape)?;
        let values = view.values()?;
        view.release();
        Ok(Tensor::from_vec(values, shape, &self.compute.device)?)
    }

    fn low_rank(
        &mut self,
        module: &str,
        [outputs, inputs]: [usize; 2],
        is_head: bool,
    ) -> Result<Option<LowRank>, NativeError> {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        let Some(lora) = self.lora.filter(|lora| lora.targets(module, is_head)) else {
            return Ok(None);
        };
        let (rank, scale) = lora.rank_and_scale(module);
        self.target_modules.push(module.to_owned());
        self.random.set_stream(u64::from(ordinal));
        let bound = 1.0 / (inputs as f64).sqrt();
        #[expect(clippy::cast_possible_truncation, reason = "drawn in `f32`")]
        let a = (0..rank * inputs).map(|_| {
            let unit = f64::from(self.random.next_u32()) / f64::from(u32::MAX);
            ((2.0 * unit - 1.0) * bound) as f32
        });
        let device = &self.compute.device;
        let a = Tensor::from_vec(a.collect::<Vec<f32>>(), (rank, inputs), &Device::Cpu)?;
        let b = Tensor::zeros((outputs, rank), DType::F32, device)?;
        let mut add = |end: &str, value: Tensor| {
            self.parameters.add(Parameter {
                name: format!("{PREFIX}{module}.{end}.weight"),
                value,
                decays: true,
            })
        };
        Ok(Some(LowRank {
            a: add("lora_A", a.to_device(device)?),
            b: add("lora_B", b),
            scale,
            ordinal,
        }))
    }

    /// Checks that every name given is a module's.
    fn check_names(&self) -> Result<(), NativeError> {
        let Some(lora) = self.lora else {
            return Ok(());
        };
        let check = |field: &'static str, names: &[String], linear_only: bool| {
            let known = self
                .known
                .iter()
                .filter(|(_, is_linear)| *is_linear || !linear_only);
            let known: Vec<&str> = known.map(|(module, _)| module.as_str()).collect();
            let unknown = names
                .iter()
                .find(|name| !known.iter().any(|module| is_called(module, name)));
            match unknown {
                None => Ok(()),
                Some(name) => Err(NativeError::UnknownModule {
                    field,
                    name: name.clone(),
                    known: last_parts(&known),
                }),
            }
        };
        if let TargetModules::Listed(names) = &lora.target_modules {
            check("target_modules", names, true)?;
        }
        check("modules_to_save", &lora.modules_to_save, false)
    }
}

fn is_norm(name: &str) -> bool {
    let module = name.trim_end_matches(".weight");
    module.ends_with("norm")
}

/// Returns the last parts of names, each once.
fn last_parts(modules: &[&str]) -> String {
    let mut parts: Vec<&str> = modules
        .iter()
        .filter_map(|module| module.rsplit('.').next())
        .collect();
    parts.sort_unstable();
    parts.dedup();
    format!("`{}`", parts.join("`, `"))
}
