use super::question::{MemoryQuestion, Place, Trained};
use super::weights::targets;
use super::{Memory, MemoryPart, Phase, weights};
use crate::ops::gated::SLOPE_ROWS;
use shipworthy_models::Activation;
use shipworthy_models::value_counts::{
    ValueCounts, has_head_norms, hidden_norms, keys, projections, queries, table,
};

/// Bytes of an NF4 weight with and without quantised scales: four bits, and a scale for every 64,
/// which has 32 bits or 8 and a scale of its own for every 256.
const NF4_BITS: f64 = 4.0 + 32.0 / 64.0;
const NF4_DOUBLE_BITS: f64 = 4.0 + 8.0 / 64.0 + 32.0 / (64.0 * 256.0);
/// What a process of ours takes before it has read anything, measured.
const PROGRAM: u64 = 36 << 20;
/// What the system maps of a file when a page of it is looked at: Linux's `fault_around_bytes`.
const FAULT_AROUND: u64 = 64 << 10;
/// Bytes of logits that the decoder chooses to have at once, where the chunk is 0.
const CHUNK: u64 = 64 << 20;
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
    values: ValueCounts,
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
            values: ValueCounts::of(question.family, model),
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
            .saturating_add(self.values.small)
            .saturating_mul(stored)
            .saturating_sub(self.unread_embedding(stored));
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
                tables,
                Phase::Throughout,
            )
        };
        vec![projections, tables]
    }

    /// Bytes of an embedding, unless it is the head too, that never come to the memory computed in: only
    /// the rows of the data's tokens are read from the file, and on the processor the pages around them.
    fn unread_embedding(&self, stored: u64) -> u64 {
        let model = self.question.model;
        if model.tie_word_embeddings {
            return 0;
        }
        let all = table(model).saturating_mul(stored);
        match self.question.place {
            Place::Cuda => all,
            Place::Cpu => {
                let row = self.hidden.saturating_mul(stored);
                let read = row.saturating_add(FAULT_AROUND);
                all.saturating_sub(self.question.distinct_tokens.saturating_mul(read))
            }
        }
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
        let question = self.question;
        let tape = self.of_tokens(self.tape()).saturating_add(self.log_sums());
        let input = self.of_tokens(self.hidden);
        let (kept, tape) = if question.checkpointing {
            let inputs = input.saturating_mul(self.layers);
            let inputs = self.part("inputs of all layers", inputs, Phase::Pass);
            (
                inputs,
                Some(self.part("activations of one layer", tape, Phase::Layer)),
            )
        } else {
            let tapes = tape.saturating_add(input).saturating_mul(self.layers);
            (
                self.part("activations of all layers", tapes, Phase::Pass),
                None,
            )
        };
        // The gradient that comes back, and what of the loss stays beside it.
        let labelled = self.hidden.saturating_mul(question.labelled_tokens);
        let labelled = labelled.saturating_mul(self.width);
        let returning = input.saturating_add(labelled.saturating_mul(2));
        let gradients = self.layer_gradients().saturating_add(returning);
        let selected = input.saturating_add(labelled.saturating_mul(4));
        let mut parts = vec![
            kept,
            self.part("gradients within one layer", gradients, Phase::Layer),
            self.part("logits of a chunk", self.logits(), Phase::Loss),
            self.part("hidden states with labels", selected, Phase::Loss),
        ];
        parts.extend(self.update());
        parts.extend(tape);
        parts
    }

    /// Returns the bytes of so many values for each token.
    fn of_tokens(&self, values: u64) -> u64 {
        values
            .saturating_mul(self.tokens)
            .saturating_mul(self.width)
    }

    /// Values a layer keeps of a token for its gradients, beside its input: what comes out of norms,
    /// rotations, attention, the sum after it, the network's gate and product, and within low-rank pairs.
    fn tape(&self) -> u64 {
        let question = self.question;
        let model = question.model;
        let (queries, keys) = (queries(model), keys(model));
        let normed_heads = if has_head_norms(question.family) {
            queries.saturating_add(keys)
        } else {
            0
        };
        let rank = match question.trained {
            Trained::Lora { r, .. } => r.saturating_mul(targets(question).count() as u64),
            Trained::Full => 0,
        };
        sum([
            hidden_norms(question.family)
                .saturating_add(1)
                .saturating_mul(self.hidden),
            queries.saturating_mul(2),
            keys.saturating_mul(2),
            normed_heads,
            self.inner.saturating_mul(3),
            rank,
        ])
    }

    /// One number for each head and token: the logarithm of attention's sum.
    fn log_sums(&self) -> u64 {
        let heads = u64::from(self.question.model.num_attention_heads);
        heads.saturating_mul(self.tokens).saturating_mul(4)
    }

    /// The most that a layer's gradients take at a moment: of the gated activation, of a projection, or
    /// of attention.
    fn layer_gradients(&self) -> u64 {
        let model = self.question.model;
        let (queries, keys) = (queries(model), keys(model));
        // On a card, the activation's slope is made of candle's operations, in 32 bits, for some rows at a time.
        let copies = match (self.question.place, model.activation) {
            (Place::Cpu, _) => 3,
            (Place::Cuda, Activation::Silu) => 10,
            (Place::Cuda, Activation::GeluTanh) => 14,
        };
        let (whole, rows) = match self.question.place {
            Place::Cpu => (0, self.tokens),
            Place::Cuda => (3, self.tokens.min(SLOPE_ROWS as u64)),
        };
        let slopes = self.inner.saturating_mul(copies).saturating_mul(rows);
        let gated = self
            .of_tokens(self.inner.saturating_mul(whole))
            .saturating_add(slopes.saturating_mul(self.width));
        let projection = self.inner.saturating_mul(3).saturating_add(self.hidden);
        let projection = self.of_tokens(projection).saturating_add(self.tile());
        let heads = sum([
            self.hidden,
            queries.saturating_mul(5),
            keys.saturating_mul(2),
        ]);
        let attention = self.of_tokens(heads).saturating_add(self.scores());
        gated.max(projection).max(attention)
    }

    /// Scores of the queries whose scores exist at once, and what is made of them.
    fn scores(&self) -> u64 {
        let (rows, copies) = match self.question.place {
            Place::Cpu => (64_u64.saturating_mul(self.question.threads), 2),
            Place::Cuda => {
                let heads = u64::from(self.question.model.num_attention_heads);
                (heads.saturating_mul(256), 6)
            }
        };
        let seen = self.question.sequence_tokens;
        rows.saturating_mul(seen).saturating_mul(4 * copies)
    }

    /// The logits of a chunk. On the processor the gradient takes their place; on a card there are
    /// exponentials, probabilities and gradient beside them, in 32 bits, and two in the model's format.
    fn logits(&self) -> u64 {
        let vocab = u64::from(self.question.model.vocab_size);
        let chunk = match self.question.loss_chunk {
            0 => (CHUNK / vocab.saturating_mul(4).max(1)).clamp(32, 1024),
            chunk => chunk,
        };
        let tokens = chunk.min(self.question.labelled_tokens);
        let width = match self.question.place {
            Place::Cpu => 4,
            Place::Cuda => 4 * 4 + 2 * 2,
        };
        vocab.saturating_mul(tokens).saturating_mul(width)
    }

    /// The piece of a frozen weight that is there in the width that is computed in, with what it is
    /// made of.
    fn tile(&self) -> u64 {
        match (self.question.place, self.question.nf4) {
            (Place::Cpu, _) => 4 << 20,
            (Place::Cuda, None) => 0,
            (Place::Cuda, Some(_)) => {
                let all = projections(self.question.model);
                let largest = all.iter().map(|projection| projection.values()).max();
                largest.unwrap_or(0).min(1 << 24).saturating_mul(10)
            }
        }
    }

    /// The new values of the largest trained weight, beside the old ones; where these are on a card, they
    /// and their gradient are brought to the host.
    fn update(&self) -> [MemoryPart; 2] {
        let model = self.question.model;
        let largest = match self.question.trained {
            Trained::Lora {
                modules_to_save: [],
                ..
            } => 0,
            Trained::Full | Trained::Lora { .. } => table(model),
        };
        let bytes = largest.saturating_mul(4);
        let on_host = match self.question.place {
            Place::Cpu => 0,
            Place::Cuda => bytes.saturating_mul(2),
        };
        let on_host = MemoryPart {
            memory: Memory::Host,
            ..self.part("one weight and its gradient", on_host, Phase::Update)
        };
        [
            self.part("one weight's update", bytes, Phase::Update),
            on_host,
        ]
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
