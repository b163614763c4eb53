use super::question::{MemoryQuestion, Place, Trained};
use super::weights::{Values, has_head_norms, hidden_norms, keys, projections, queries, targets};
use super::{Memory, MemoryPart, Phase, weights};

/// Bytes of an NF4 weight with and without quantised scales: four bits, and a scale for every 64,
/// which has 32 bits or 8 and a scale of its own for every 256.
const NF4_BITS: f64 = 4.0 + 32.0 / 64.0;
const NF4_DOUBLE_BITS: f64 = 4.0 + 8.0 / 64.0 + 32.0 / (64.0 * 256.0);
/// What a process of ours takes before it has read anything, measured.
const PROGRAM: u64 = 24 << 20;
/// What the driver takes on a card for its own; an estimate, for it depends on card and driver.
const CUDA_CONTEXT: u64 = 600 << 20;
/// What loading the CUDA libraries takes of the host's memory; an estimate.
const CUDA_LIBRARIES: u64 = 500 << 20;

/// Returns all parts that are not empty.
pub(super) fn all(question: &MemoryQuestion<'_>) -> Vec<MemoryPart> {
    let sizes = Sizes::of(question);
    let mut parts = sizes.frozen();
    parts.extend(sizes.trained());
    parts.extend(sizes.pass());
    parts.extend(sizes.program());
    parts.retain(|part| part.bytes > 0);
    parts.sort_by_key(|part| part.phase);
    parts
}

/// A question's numbers, as the parts need them.
struct Sizes<'a> {
    question: &'a MemoryQuestion<'a>,
    values: Values,
    /// The memory that is computed in.
    memory: Memory,
    /// Bytes of a value of an activation.
    width: u64,
    tokens: u64,
    hidden: u64,
    inner: u64,
    layers: u64,
}

impl<'a> Sizes<'a> {
    fn of(question: &'a MemoryQuestion<'a>) -> Self {
        let model = question.model;
        let (memory, width) = match question.place {
            Place::Cpu => (Memory::Host, 4),
            Place::Cuda => (Memory::Card, 2),
        };
        Self {
            question,
            values: Values::of(question.family, model),
            memory,
            width,
            tokens: question.batch_tokens,
            hidden: model.hidden_size.into(),
            inner: model.intermediate_size.into(),
            layers: model.num_hidden_layers.into(),
        }
    }

    fn part(&self, name: &'static str, bytes: u64, phase: Phase) -> MemoryPart {
        MemoryPart {
            name,
            bytes,
            memory: self.memory,
            phase,
            is_mapped: false,
        }
    }

    /// Weights without a gradient.
    fn frozen(&self) -> Vec<MemoryPart> {
        if matches!(self.question.trained, Trained::Full) {
            return Vec::new();
        }
        let stored = match self.question.place {
            Place::Cpu => self.question.stored_bytes,
            Place::Cuda => self.width,
        };
        let is_mapped = self.question.place == Place::Cpu;
        let tables = self
            .values
            .embedding_and_head
            .saturating_add(self.values.small);
        let projections = match self.question.nf4 {
            None => MemoryPart {
                is_mapped,
                ..self.part(
                    "frozen projections",
                    self.values.projections.saturating_mul(stored),
                    Phase::Throughout,
                )
            },
            Some(double) => {
                let bits = if double { NF4_DOUBLE_BITS } else { NF4_BITS };
                let bytes = scaled(self.values.projections, bits / 8.0);
                self.part("frozen projections in NF4", bytes, Phase::Throughout)
            }
        };
        let tables = MemoryPart {
            is_mapped,
            ..self.part(
                "frozen embedding, head and norms",
                tables.saturating_mul(stored),
                Phase::Throughout,
            )
        };
        vec![projections, tables]
    }

    /// What is trained, and what that needs.
    fn trained(&self) -> Vec<MemoryPart> {
        let (values, _) = weights::trained_values(self.question);
        let f32s = values.saturating_mul(4);
        let states = MemoryPart {
            memory: Memory::Host,
            ..self.part(
                "optimiser states",
                self.question.optimizer.bytes(values),
                Phase::Throughout,
            )
        };
        vec![
            self.part("trained weights", f32s, Phase::Throughout),
            self.part("gradients", f32s, Phase::Throughout),
            states,
        ]
    }

    /// What a pass over a batch needs.
    fn pass(&self) -> Vec<MemoryPart> {
        let per_token = |values: u64| {
            values
                .saturating_mul(self.tokens)
                .saturating_mul(self.width)
        };
        let tape = per_token(self.tape()).saturating_add(self.log_sums());
        let (kept, tape) = if self.question.checkpointing {
            let inputs = per_token(self.hidden).saturating_mul(self.layers);
            let inputs = self.part("inputs of all layers", inputs, Phase::Pass);
            let tape = self.part("activations of one layer", tape, Phase::Layer);
            (inputs, Some(tape))
        } else {
            let tapes = tape.saturating_mul(self.layers);
            let tapes = self.part("activations of all layers", tapes, Phase::Pass);
            (tapes, None)
        };
        // The vector that enters the head, or the gradient that comes back.
        let stream = self.part("hidden states", per_token(2 * self.hidden), Phase::Pass);
        let gradients = per_token(self.layer_gradients());
        let mut parts = vec![
            kept,
            stream,
            self.part("gradients of one layer", gradients, Phase::Layer),
            self.part("logits of a chunk", self.logits(), Phase::Loss),
            self.part("one weight dequantised", self.tile(), Phase::Layer),
        ];
        parts.extend(tape);
        parts
    }

    /// Values a layer keeps of a token for its gradients: its input, what each norm and projection
    /// gets and gives, queries and keys before and after their rotation.
    fn tape(&self) -> u64 {
        let model = self.question.model;
        let (queries, keys) = (queries(model), keys(model));
        let head_normed = if has_head_norms(self.question.family) {
            queries.saturating_add(keys)
        } else {
            0
        };
        let rank = match self.question.trained {
            Trained::Lora { r, .. } => r.saturating_mul(targets(self.question).count() as u64),
            Trained::Full => 0,
        };
        // Input, and what is between attention and the feed-forward network.
        let streams = 2_u64.saturating_add(hidden_norms(self.question.family));
        sum([
            streams.saturating_mul(self.hidden),
            queries.saturating_mul(3),
            keys.saturating_mul(3),
            head_normed,
            self.inner.saturating_mul(3),
            rank,
        ])
    }

    /// One number for each head and token: the logarithm of attention's sum.
    fn log_sums(&self) -> u64 {
        let heads = u64::from(self.question.model.num_attention_heads);
        heads.saturating_mul(self.tokens).saturating_mul(4)
    }

    /// Values of a token's gradients that a layer has at a time: the feed-forward network's, for they
    /// are more than attention's.
    fn layer_gradients(&self) -> u64 {
        let model = self.question.model;
        let attention = sum([
            queries(model).saturating_mul(3),
            keys(model).saturating_mul(3),
        ]);
        let feed_forward = self.inner.saturating_mul(3);
        let streams = self.hidden.saturating_mul(2);
        attention.max(feed_forward).saturating_add(streams)
    }

    /// The logits of a chunk, and the gradient in the same place.
    fn logits(&self) -> u64 {
        let tokens = self.question.loss_chunk.min(self.question.labelled_tokens);
        let width = match self.question.place {
            Place::Cpu => 4,
            // The product in bf16 beside its f32 copy.
            Place::Cuda => 4 + 2,
        };
        let vocab = u64::from(self.question.model.vocab_size);
        vocab.saturating_mul(tokens).saturating_mul(width)
    }

    /// The piece of a frozen weight that is there in the width that is computed in.
    fn tile(&self) -> u64 {
        match self.question.place {
            Place::Cpu => 0,
            Place::Cuda if self.question.nf4.is_none() => 0,
            Place::Cuda => {
                let all = projections(self.question.model);
                let largest = all.iter().map(|projection| projection.values()).max();
                largest.unwrap_or(0).saturating_mul(self.width)
            }
        }
    }

    fn program(&self) -> Vec<MemoryPart> {
        let host = |name, bytes| MemoryPart {
            memory: Memory::Host,
            ..self.part(name, bytes, Phase::Throughout)
        };
        let mut parts = vec![host("the program", PROGRAM)];
        if self.question.place == Place::Cuda {
            parts.push(host("CUDA's libraries", CUDA_LIBRARIES));
            parts.push(self.part("CUDA's context", CUDA_CONTEXT, Phase::Throughout));
        }
        parts
    }
}

fn sum<const N: usize>(values: [u64; N]) -> u64 {
    values.into_iter().fold(0, u64::saturating_add)
}

/// Returns a number of bytes times a factor.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a product of positive numbers; it saturates"
)]
fn scaled(values: u64, factor: f64) -> u64 {
    (values as f64 * factor) as u64
}
