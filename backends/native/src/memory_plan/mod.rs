//! How much memory training takes, from the sizes alone, before anything is loaded.
//!
//! The parts are those the decoder allocates, one by one; a test compares their sum with what a run
//! takes. Nothing here looks at a file, a device or a clock.

mod knob;
mod parts;
mod plain_loss;
mod question;
mod weights;

pub use knob::Knob;
pub use plain_loss::plain_logits_bytes;
pub use question::{MemoryQuestion, OptimizerStates, Place, Trained};
pub use shipworthy_models::value_counts::PROJECTIONS;
pub use weights::{trainable_values, values};

/// Which memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Memory {
    /// The processor's.
    Host,
    /// The graphics card's.
    Card,
}

/// When a part of the memory is taken; parts of different phases of a step are never there together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// From loading to the end.
    Throughout,
    /// While activations go forward through all layers, and gradients come back.
    Pass,
    /// While the loss and its gradient are computed, within a pass.
    Loss,
    /// While a layer is computed again and its gradients are, within a pass.
    Layer,
    /// While the optimiser changes what is trained.
    Update,
}

/// A part of the memory that training takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPart {
    /// What it is for.
    pub name: &'static str,
    /// How large it is, in bytes.
    pub bytes: u64,
    /// Where it is.
    pub memory: Memory,
    /// When it is there.
    pub phase: Phase,
    /// Whether it is a file's pages, which the system takes back before memory runs out.
    pub is_mapped: bool,
}

/// The memory that training takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Its parts, those that stay longest first; none is empty.
    pub parts: Vec<MemoryPart>,
}

impl MemoryPlan {
    /// Predicts the memory of a training run.
    ///
    /// Numbers beyond 2^64 bytes come out as 2^64 - 1.
    pub fn predict(question: &MemoryQuestion<'_>) -> Self {
        Self {
            parts: parts::all(question),
        }
    }

    /// Returns the most bytes that are taken at a time, mapped files included.
    pub fn peak_bytes(&self, memory: Memory) -> u64 {
        let of = |phase: Phase| {
            let parts = self.parts.iter();
            let parts = parts.filter(|part| part.memory == memory && part.phase == phase);
            parts.fold(0_u64, |sum, part| sum.saturating_add(part.bytes))
        };
        let pass = of(Phase::Pass).saturating_add(of(Phase::Loss).max(of(Phase::Layer)));
        of(Phase::Throughout).saturating_add(pass.max(of(Phase::Update)))
    }

    /// Returns how many of a memory's bytes are pages of files.
    pub fn mapped_bytes(&self, memory: Memory) -> u64 {
        let parts = self.parts.iter();
        let parts = parts.filter(|part| part.memory == memory && part.is_mapped);
        parts.fold(0, |sum, part| sum.saturating_add(part.bytes))
    }
}

#[cfg(test)]
mod tests;
