use std::path::Path;
use std::sync::Arc;

use shipworthy_datasets::TokenisedExample;
use shipworthy_models::{Adapter, Checkpoint};
use shipworthy_native::{Adaptation, Batch, Decoder, LoraOptions, NativeError, Nf4Options};
use shipworthy_schema::finetune::{DeviceChoice, Dtype};

use super::{Likelihood, LikelihoodError, LikelihoodModel, TokenScore, finite, likeliest};
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

impl NativeLikelihood {
    /// Gives `take` the logits at the places `rows` of an example.
    fn logits(
        &self,
        example: &TokenisedExample,
        rows: &[u32],
        take: impl FnMut(usize, &[f32]),
    ) -> Result<(), LikelihoodError> {
        let batch = Batch::new([(example, 0)]);
        let computed = self.decoder.each_logits(&batch, rows, take);
        computed.map_err(|error| computation(&example.id, error))
    }
}

impl LikelihoodModel for NativeLikelihood {
    fn likelihood(&mut self, example: &TokenisedExample) -> Result<Likelihood, LikelihoodError> {
        let batch = Batch::new([(example, 0)]);
        let loss = self.decoder.evaluate(&batch);
        let loss = loss.map_err(|error| computation(&example.id, error))?;
        if !loss.nll_sum().is_finite() {
            let id = example.id.clone();
            return Err(LikelihoodError::NotFinite { id });
        }
        Ok(Likelihood {
            nll_sum: loss.nll_sum(),
            labelled: loss.labelled(),
        })
    }

    fn token_scores(
        &mut self,
        example: &TokenisedExample,
    ) -> Result<Vec<TokenScore>, LikelihoodError> {
        let labelled = (0..).zip(example.labelled.iter().skip(1));
        let rows: Vec<u32> = labelled
            .filter_map(|(row, &is)| is.then_some(row))
            .collect();
        let mut scores = Vec::with_capacity(rows.len());
        self.logits(example, &rows, |idx, logits| {
            let label = example.tokens[rows[idx] as usize + 1];
            scores.push(TokenScore::of(logits, label));
        })?;
        finite(scores, &example.id)
    }

    fn next_token(&mut self, id: &str, tokens: &[u32]) -> Result<u32, LikelihoodError> {
        let example = TokenisedExample {
            id: id.to_owned(),
            tokens: tokens.to_vec(),
            labelled: vec![false; tokens.len()],
        };
        let last = u32::try_from(tokens.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let mut next = None;
        self.logits(&example, &[last], |_, logits| {
            let is_finite = logits.iter().all(|logit| logit.is_finite());
            next = is_finite.then(|| likeliest(logits));
        })?;
        next.ok_or_else(|| LikelihoodError::NotFinite { id: id.to_owned() })
    }
}

fn computation(id: &str, error: NativeError) -> LikelihoodError {
    match error {
        NativeError::Tensor(error) => LikelihoodError::Computation {
            id: id.to_owned(),
            detail: error.to_string(),
        },
        error => fault(error),
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
