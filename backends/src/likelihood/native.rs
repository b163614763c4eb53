use std::path::Path;
use std::sync::Arc;

use shipworthy_datasets::TokenisedExample;
use shipworthy_models::{Adapter, Checkpoint};
use shipworthy_native::{Adaptation, Batch, Decoder, LoraOptions, NativeError, Nf4Options};
use shipworthy_schema::finetune::{DeviceChoice, Dtype};

use super::{Likelihood, LikelihoodError, LikelihoodModel};
use crate::compute_device;

/// Opens a checkpoint and, on top of it, an adapter.
pub(super) fn open(
    directory: &Path,
    adapter: Option<&Path>,
    load_in_4bit: bool,
    device: DeviceChoice,
) -> Result<Box<dyn LikelihoodModel>, LikelihoodError> {
    let quantisation = load_in_4bit.then_some(Nf4Options { double_quant: true });
    let compute = compute_device::choose(device, Dtype::Auto, quantisation)
        .map_err(|detail| LikelihoodError::Mismatch { detail })?;
    let checkpoint = Arc::new(Checkpoint::open(directory)?);
    let load = |adaptation: &Adaptation| {
        Decoder::load(&checkpoint, adaptation, &compute, 0, &mut |_, _| {}).map_err(fault)
    };
    let decoder = match adapter {
        None => load(&Adaptation::None)?,
        Some(path) => {
            let adapter = Adapter::open(path)?;
            let options = LoraOptions::of_adapter(&adapter).map_err(fault)?;
            let mut decoder = load(&Adaptation::Lora(options))?;
            decoder.load_adapter(&adapter).map_err(fault)?;
            decoder
        }
    };
    Ok(Box::new(NativeLikelihood { decoder }))
}

struct NativeLikelihood {
    decoder: Decoder,
}

impl LikelihoodModel for NativeLikelihood {
    fn likelihood(&mut self, example: &TokenisedExample) -> Result<Likelihood, LikelihoodError> {
        let batch = Batch::new([(example, 0)]);
        let loss = self.decoder.evaluate(&batch).map_err(|error| match error {
            NativeError::Tensor(error) => LikelihoodError::Computation {
                id: example.id.clone(),
                detail: error.to_string(),
            },
            error => fault(error),
        })?;
        if !loss.nll_sum().is_finite() {
            let id = example.id.clone();
            return Err(LikelihoodError::NotFinite { id });
        }
        Ok(Likelihood {
            nll_sum: loss.nll_sum(),
            labelled: loss.labelled(),
        })
    }
}

fn fault(error: NativeError) -> LikelihoodError {
    match error {
        NativeError::Model(error) => error.into(),
        error => LikelihoodError::Mismatch {
            detail: error.to_string(),
        },
    }
}
