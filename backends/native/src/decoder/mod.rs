//! One decoder for all families: logits, losses and gradients.

mod angles;
mod device_nf4;
mod dropout;
mod embedding;
mod frozen;
mod head;
mod layer;
pub(crate) mod linear;
mod loading;
mod norm;

use std::ops::Range;

use candle_core::Tensor;
use shipworthy_models::{Adapter, HyperParameters};

use crate::adaptation::LoraOptions;
use crate::batch::Batch;
use crate::compute::Compute;
use crate::dropout::Dropout;
use crate::error::{AdapterMismatch, NativeError};
use crate::host;
use crate::parameters::{Gradients, Parameters};
use angles::{BatchAngles, ModelFrequencies};
use dropout::PassDropout;
use embedding::Embedding;
use head::{Head, Wanted};
use layer::{Context, Layer, LayerTape};
use linear::Weight;
use norm::Norm;

/// A model in memory, with what is trained of it.
#[derive(Debug)]
pub struct Decoder {
    hyper_parameters: HyperParameters,
    compute: Compute,
    lora: Option<LoraOptions>,
    dropout: Dropout,
    parameters: Parameters,
    frequencies: ModelFrequencies,
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: Norm,
    head: Head,
    target_modules: Vec<String>,
    frozen_bytes: usize,
}

/// How gradients are computed.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// What every labelled token's loss counts: 1 / all labelled tokens of the step, so that it does not
    /// matter how these are split into batches.
    pub gradient_scale: f64,
    /// Where dropout's random numbers begin; none leaves everything in.
    pub dropout_seed: Option<u64>,
    /// Whether layers are computed again in the backward pass instead of being kept.
    pub checkpointing: bool,
    /// Positions whose logits exist at once; 0 chooses.
    pub loss_chunk: usize,
}

/// The loss of a batch, by sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchLoss {
    /// In the batch's order.
    pub sequences: Vec<SequenceLoss>,
}

/// The loss of a sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceLoss {
    /// The sum of labelled tokens' negative log likelihoods, in nats.
    pub nll_sum: f64,
    /// How many there are.
    pub labelled: usize,
}

impl BatchLoss {
    /// Returns the sum of labelled tokens' negative log likelihoods, in nats.
    pub fn nll_sum(&self) -> f64 {
        self.sequences.iter().map(|sequence| sequence.nll_sum).sum()
    }

    /// Returns how many labelled tokens there are.
    pub fn labelled(&self) -> usize {
        self.sequences
            .iter()
            .map(|sequence| sequence.labelled)
            .sum()
    }
}

/// A batch on its way through the layers.
struct Journey {
    sequences: Vec<Range<usize>>,
    angles: BatchAngles,
    dropout_seed: Option<u64>,
}

impl Decoder {
    /// Returns the model's sizes and constants.
    pub fn hyper_parameters(&self) -> &HyperParameters {
        &self.hyper_parameters
    }

    /// Returns where it is computed.
    pub fn compute(&self) -> &Compute {
        &self.compute
    }

    /// Returns the low-rank changes' options, if there are such changes.
    pub fn lora(&self) -> Option<&LoraOptions> {
        self.lora.as_ref()
    }

    /// Returns the names of layers with a low-rank change, sorted.
    pub fn target_modules(&self) -> &[String] {
        &self.target_modules
    }

    /// Returns what is trained.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Returns what is trained, to be changed.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    /// Returns the bytes that frozen weights take, those of mapped files apart.
    pub fn frozen_bytes(&self) -> usize {
        self.frozen_bytes
    }

    /// Takes the values of an adapter trained with the same options.
    ///
    /// Errors with the first tensor that is missing, too many, or of another shape.
    pub fn load_adapter(&mut self, adapter: &Adapter) -> Result<(), NativeError> {
        let wrong = |problem| NativeError::AdapterMismatch {
            path: adapter.directory().to_owned(),
            problem,
        };
        let mut left: Vec<_> = self
            .parameters
            .iter()
            .map(|(id, of)| (id, of.name.clone()))
            .collect();
        for tensor in adapter.tensors() {
            let place = left.iter().position(|(_, name)| name == tensor.name());
            let Some(place) = place else {
                return Err(wrong(AdapterMismatch::Unexpected(tensor.name().to_owned())));
            };
            let (id, _) = left.swap_remove(place);
            let expected = self.parameters.value(id).dims().to_vec();
            if tensor.shape() != expected {
                return Err(wrong(AdapterMismatch::Shape {
                    tensor: tensor.name().to_owned(),
                    found: tensor.shape().to_vec(),
                    expected,
                }));
            }
            let value = Tensor::from_vec(tensor.values()?, expected, &self.compute.device)?;
            self.parameters.set(id, value);
        }
        match left.into_iter().map(|(_, name)| name).min() {
            Some(name) => Err(wrong(AdapterMismatch::Absent(name))),
            None => Ok(()),
        }
    }

    /// Computes the logits of every token: (tokens, `vocab_size`), `f32`.
    pub fn logits(&self, batch: &Batch) -> Result<Tensor, NativeError> {
        let journey = self.journey(batch, None)?;
        let hidden = self.forward(batch, &journey, |_, _| ())?;
        let hidden = self.norm.forward(&self.parameters, &hidden)?;
        self.head.logits(&self.parameters, &hidden)
    }

    /// Computes the logits of the tokens at `rows`, some at a time, and gives each row's to `take`:
    /// its place in `rows`, and (`vocab_size`) values.
    pub fn each_logits(
        &self,
        batch: &Batch,
        rows: &[u32],
        mut take: impl FnMut(usize, &[f32]),
    ) -> Result<(), NativeError> {
        if rows.is_empty() {
            return Ok(());
        }
        let journey = self.journey(batch, None)?;
        let hidden = self.forward(batch, &journey, |_, _| ())?;
        let selected = hidden.index_select(&Tensor::new(rows, hidden.device())?, 0)?;
        let normed = self.norm.forward(&self.parameters, &selected)?;
        let chunk = self.head.usual_chunk();
        for begin in (0..rows.len()).step_by(chunk) {
            let some = normed.narrow(0, begin, chunk.min(rows.len() - begin))?;
            let logits = self.head.logits(&self.parameters, &some)?;
            let vocab_size = logits.dim(1)?;
            host::with_values(&logits, |values| {
                for (idx, row) in values.chunks_exact(vocab_size).enumerate() {
                    take(begin + idx, row);
                }
            })?;
        }
        Ok(())
    }

    /// Computes the losses, without gradients and without dropout.
    pub fn evaluate(&self, batch: &Batch) -> Result<BatchLoss, NativeError> {
        let journey = self.journey(batch, None)?;
        let hidden = self.forward(batch, &journey, |_, _| ())?;
        let (rows, labels) = labelled(batch);
        if rows.is_empty() {
            return Ok(by_sequence(batch, &[]));
        }
        let selected = hidden.index_select(&Tensor::new(rows, hidden.device())?, 0)?;
        let normed = self.norm.forward(&self.parameters, &selected)?;
        let chunk = self.head.usual_chunk();
        let (losses, _) = self
            .head
            .losses(&self.parameters, &normed, &labels, chunk, None)?;
        Ok(by_sequence(batch, &losses))
    }

    /// Computes the losses and adds the gradients of what is trained.
    pub fn accumulate(
        &self,
        batch: &Batch,
        pass: &Pass,
        gradients: &mut Gradients,
    ) -> Result<BatchLoss, NativeError> {
        let (rows, labels) = labelled(batch);
        if rows.is_empty() {
            return Ok(by_sequence(batch, &[]));
        }
        let journey = self.journey(batch, pass.dropout_seed)?;
        let mut inputs = Vec::with_capacity(self.layers.len());
        let mut tapes = Vec::new();
        let hidden = self.forward(batch, &journey, |input, tape| {
            inputs.push(input);
            if !pass.checkpointing {
                tapes.push(tape);
            }
        })?;
        let parameters = &self.parameters;
        let rows = Tensor::new(rows, hidden.device())?;
        let selected = hidden.index_select(&rows, 0)?;
        let normed = self.norm.forward(parameters, &selected)?;
        let chunk = match pass.loss_chunk {
            0 => self.head.usual_chunk(),
            chunk => chunk,
        };
        let wanted = Wanted {
            scale: pass.gradient_scale,
            gradients,
        };
        let (losses, of_normed) =
            self.head
                .losses(parameters, &normed, &labels, chunk, Some(wanted))?;
        let of_normed = of_normed.expect("gradients are wanted");
        let of_selected = self
            .norm
            .backward(parameters, &selected, &of_normed, gradients)?;
        let mut upstream = hidden.zeros_like()?.index_add(&rows, &of_selected, 0)?;
        // Layers come next, which need the memory.
        drop((hidden, selected, normed, of_normed, of_selected));
        let context = self.context(batch, &journey);
        let trains_embedding = matches!(self.embedding.weight, Weight::Trained(_));
        for (idx, layer) in self.layers.iter().enumerate().rev() {
            let input = inputs.pop().expect("one for each layer");
            let tape = match tapes.pop() {
                Some(tape) => tape,
                None => layer.forward(&context, &input)?.1,
            };
            let needs_input = idx > 0 || trains_embedding;
            let found =
                layer.backward(&context, &input, &tape, &upstream, needs_input, gradients)?;
            if let Some(found) = found {
                upstream = found;
            }
        }
        self.embedding
            .backward(parameters, batch.tokens(), &upstream, gradients)?;
        Ok(by_sequence(batch, &losses))
    }

    fn journey(&self, batch: &Batch, dropout_seed: Option<u64>) -> Result<Journey, NativeError> {
        Ok(Journey {
            sequences: batch.sequences().collect(),
            angles: self.frequencies.angles(batch, &self.compute)?,
            dropout_seed: dropout_seed.filter(|_| !self.dropout.is_nothing()),
        })
    }

    fn context<'a>(&'a self, batch: &'a Batch, journey: &'a Journey) -> Context<'a> {
        Context {
            parameters: &self.parameters,
            sequences: &journey.sequences,
            angles: &journey.angles,
            dropout: journey.dropout_seed.map(|seed| PassDropout {
                dropout: self.dropout,
                batch,
                seed,
            }),
        }
    }

    /// Goes through all layers; `keep` gets each one's input and tape.
    fn forward(
        &self,
        batch: &Batch,
        journey: &Journey,
        mut keep: impl FnMut(Tensor, LayerTape),
    ) -> Result<Tensor, NativeError> {
        let context = self.context(batch, journey);
        let mut hidden = self
            .embedding
            .forward(&self.parameters, batch.tokens(), &self.compute)?;
        for layer in &self.layers {
            let (output, tape) = layer.forward(&context, &hidden)?;
            keep(hidden, tape);
            hidden = output;
        }
        Ok(hidden)
    }
}

/// Returns where labels are, and the labels.
fn labelled(batch: &Batch) -> (Vec<u32>, Vec<u32>) {
    let labels = (0..).zip(batch.labels());
    labels
        .filter_map(|(row, label)| Some((row, (*label)?)))
        .unzip()
}

fn by_sequence(batch: &Batch, losses: &[f32]) -> BatchLoss {
    let mut losses = losses.iter();
    let sequences = batch.sequences().map(|range| {
        let labelled = batch.labels()[range].iter().flatten().count();
        let mine = losses.by_ref().take(labelled);
        SequenceLoss {
            nll_sum: mine.map(|&loss| f64::from(loss)).sum(),
            labelled,
        }
    });
    BatchLoss {
        sequences: sequences.collect(),
    }
}
