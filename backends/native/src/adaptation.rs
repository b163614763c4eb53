//! What of a model is trained.

use std::collections::BTreeMap;

use shipworthy_models::Adapter;

use crate::error::NativeError;

/// What of a model is trained.
#[derive(Clone, Debug)]
pub enum Adaptation {
    /// Nothing.
    None,
    /// Low-rank changes of linear layers (Hu et al. 2021).
    Lora(LoraOptions),
    /// Everything.
    Full,
}

/// Low-rank changes, as PEFT has them.
#[derive(Clone, Debug)]
pub struct LoraOptions {
    /// The rank.
    pub r: usize,
    /// What the change is multiplied by, times the rank.
    pub alpha: f64,
    /// The probability that an input of the change is left out.
    pub dropout: f64,
    /// Whether the scale is alpha / √r instead of alpha / r (Kalajdzievski 2023).
    pub use_rslora: bool,
    /// The layers that change.
    pub target_modules: TargetModules,
    /// Modules that are trained in full, by the ends of their names.
    pub modules_to_save: Vec<String>,
    /// Which biases are trained.
    pub bias: Bias,
    /// Rank and scale of modules that have their own, by full name.
    pub own: BTreeMap<String, (usize, f64)>,
}

/// The linear layers with a low-rank change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetModules {
    /// All but the head.
    AllLinear,
    /// Those with these names, or names that end in a dot and these.
    Listed(Vec<String>),
}

/// Which biases are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// None.
    None,
    /// All there are.
    All,
    /// Those of layers with a low-rank change.
    LoraOnly,
}

impl LoraOptions {
    /// Returns what PEFT takes for granted, for all linear layers.
    pub fn new(r: usize, alpha: f64) -> Self {
        Self {
            r,
            alpha,
            dropout: 0.0,
            use_rslora: false,
            target_modules: TargetModules::AllLinear,
            modules_to_save: Vec::new(),
            bias: Bias::None,
            own: BTreeMap::new(),
        }
    }

    /// Returns the options an adapter was trained with, so that it can be loaded.
    ///
    /// Errors if the adapter has changes that cannot be trained here: magnitudes (`DoRA`) and embeddings.
    pub fn of_adapter(adapter: &Adapter) -> Result<Self, NativeError> {
        let config = adapter.config();
        let unsupported = |what: &'static str| NativeError::UnsupportedAdapter {
            path: adapter.directory().to_owned(),
            what,
        };
        if config.use_dora {
            return Err(unsupported("DoRA"));
        }
        let is_embedding = |name: &str| name.contains("lora_embedding_");
        if adapter.tensors().any(|tensor| is_embedding(tensor.name())) {
            return Err(unsupported("a low-rank change of the embedding"));
        }
        let is_bias = |name: &str| name.rsplit('.').next() == Some("bias");
        let mut biases = adapter.tensors().filter(|tensor| is_bias(tensor.name()));
        let bias = match biases.next() {
            None => Bias::None,
            // What PEFT wraps is a target.
            Some(first) if first.name().contains(".base_layer.") => {
                let wrapped = biases.all(|tensor| tensor.name().contains(".base_layer."));
                if wrapped { Bias::LoraOnly } else { Bias::All }
            }
            Some(_) => Bias::All,
        };
        let own = adapter.module_names().map(|module| {
            let scale = config.scale_of(module).map_err(|problem| {
                NativeError::Model(shipworthy_models::ModelError::Adapter {
                    path: adapter.directory().to_owned(),
                    problem,
                })
            })?;
            Ok((module.to_owned(), (config.rank_of(module), scale)))
        });
        Ok(Self {
            r: config.rank,
            alpha: config.alpha,
            dropout: 0.0,
            use_rslora: config.use_rslora,
            target_modules: TargetModules::Listed(
                adapter.module_names().map(str::to_owned).collect(),
            ),
            modules_to_save: config.modules_to_save.clone(),
            bias,
            own: own.collect::<Result<_, NativeError>>()?,
        })
    }

    /// Returns rank and scale of a module that is a target.
    pub(crate) fn rank_and_scale(&self, module: &str) -> (usize, f64) {
        if let Some(own) = self.own.get(module) {
            return *own;
        }
        let rank = self.r as f64;
        let divisor = if self.use_rslora { rank.sqrt() } else { rank };
        (self.r, self.alpha / divisor)
    }

    /// Tells whether a linear layer has a low-rank change.
    pub(crate) fn targets(&self, module: &str, is_head: bool) -> bool {
        match &self.target_modules {
            _ if self.saves(module) => false,
            TargetModules::AllLinear => !is_head,
            TargetModules::Listed(names) => names.iter().any(|name| is_called(module, name)),
        }
    }

    /// Tells whether a module is trained in full.
    pub(crate) fn saves(&self, module: &str) -> bool {
        self.modules_to_save
            .iter()
            .any(|name| is_called(module, name))
    }
}

/// Tells whether a module has this name, or one that ends in a dot and it.
pub(crate) fn is_called(module: &str, name: &str) -> bool {
    let before = module.strip_suffix(name);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_as_peft_does() {
        assert!(is_called("model.layers.0.self_attn.q_proj", "q_proj"));
        assert!(is_called(
            "model.layers.0.self_attn.q_proj",
            "self_attn.q_proj"
        ));
        assert!(is_called("lm_head", "lm_head"));
        assert!(!is_called("model.layers.0.self_attn.qq_proj", "q_proj"));
    }

    #[test]
    fn scales_are_pefts() {
        let mut options = LoraOptions::new(16, 32.0);
        assert_eq!(options.rank_and_scale("x"), (16, 2.0));
        options.use_rslora = true;
        assert_eq!(options.rank_and_scale("x"), (16, 8.0));
    }
}
