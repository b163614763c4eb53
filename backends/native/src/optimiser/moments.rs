use rayon::prelude::*;

use super::kernel::{self, Factors};

/// Values whose moments share a scale when they are kept in bytes.
pub(super) const BLOCK: usize = 256;

/// Parameters with fewer values keep their moments in 32 bits, as bitsandbytes has it.
const FEWEST_IN_BYTES: usize = 4096;

/// Values that a thread updates at a time; whole blocks.
const CHUNK: usize = 64 * BLOCK;

/// A parameter's running means: of its gradient, and of its gradient's square.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Moments {
    /// In 32 bits.
    Full {
        exp_avg: Vec<f32>,
        exp_avg_sq: Vec<f32>,
    },
    /// In bytes of the dynamic code, the second mean's without a sign, and a scale for 256 of them.
    InBytes {
        exp_avg: InBytes,
        exp_avg_sq: InBytes,
    },
}

/// Values in bytes of the dynamic code.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InBytes {
    pub(super) bytes: Vec<u8>,
    /// The largest magnitude of every 256 values.
    pub(super) absmax: Vec<f32>,
}

/// A block of [`InBytes`].
pub(super) struct Bytes<'a> {
    pub(super) bytes: &'a mut [u8],
    pub(super) absmax: &'a mut f32,
}

impl InBytes {
    fn new(count: usize) -> Self {
        Self {
            bytes: vec![0; count],
            absmax: vec![0.0; count.div_ceil(BLOCK)],
        }
    }

    fn blocks(&mut self) -> impl IndexedParallelIterator<Item = Bytes<'_>> {
        let blocks = self.bytes.par_chunks_mut(BLOCK).zip(&mut self.absmax);
        blocks.map(|(bytes, absmax)| Bytes { bytes, absmax })
    }

    fn byte_count(&self) -> usize {
        self.bytes.len() + size_of_val(&self.absmax[..])
    }
}

impl Moments {
    /// Returns those of a parameter that was never updated.
    pub(super) fn new(count: usize, in_bytes: bool) -> Self {
        if in_bytes && count >= FEWEST_IN_BYTES {
            Self::InBytes {
                exp_avg: InBytes::new(count),
                exp_avg_sq: InBytes::new(count),
            }
        } else {
            Self::Full {
                exp_avg: vec![0.0; count],
                exp_avg_sq: vec![0.0; count],
            }
        }
    }

    /// Updates values by their gradients; as many as there are moments.
    pub(super) fn update(&mut self, factors: &Factors, values: &mut [f32], gradients: &[f32]) {
        match self {
            Self::Full {
                exp_avg,
                exp_avg_sq,
            } => values
                .par_chunks_mut(CHUNK)
                .zip(gradients.par_chunks(CHUNK))
                .zip(exp_avg.par_chunks_mut(CHUNK))
                .zip(exp_avg_sq.par_chunks_mut(CHUNK))
                .for_each(|(((values, gradients), exp_avg), exp_avg_sq)| {
                    kernel::update(factors, values, gradients, exp_avg, exp_avg_sq);
                }),
            Self::InBytes {
                exp_avg,
                exp_avg_sq,
            } => values
                .par_chunks_mut(BLOCK)
                .zip(gradients.par_chunks(BLOCK))
                .zip(exp_avg.blocks().zip(exp_avg_sq.blocks()))
                .with_min_len(CHUNK / BLOCK)
                .for_each(|((values, gradients), (mut exp_avg, mut exp_avg_sq))| {
                    kernel::update_bytes(factors, values, gradients, &mut exp_avg, &mut exp_avg_sq);
                }),
        }
    }

    /// Returns how many bytes of memory they take.
    pub(super) fn byte_count(&self) -> usize {
        match self {
            Self::Full {
                exp_avg,
                exp_avg_sq,
            } => size_of_val(&exp_avg[..]) + size_of_val(&exp_avg_sq[..]),
            Self::InBytes {
                exp_avg,
                exp_avg_sq,
            } => exp_avg.byte_count() + exp_avg_sq.byte_count(),
        }
    }
}
