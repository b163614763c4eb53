//! Attention within sequences, to what came before: forward and backward, in memory that grows with the
//! tokens and not with their square.
//!
//! Rows of scores exist for a block of queries only. The backward pass makes them again from what the
//! forward pass keeps of each row, the logarithm of its sum of exponentials (Dao et al. 2022).

#![expect(
    clippy::inline_always,
    reason = "vectors are made only of what lies within one function"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "constants are rounded to the format computed in"
)]

mod anywhere;
#[cfg(test)]
mod tests;

use std::ops::Range;

use candle_core::Tensor;
use pulp::Arch;
use rayon::prelude::*;

use crate::host;
use crate::matrix::{Existing, Matrix, MatrixMut, Threads, multiply};
use crate::ops::exponential::exp;

/// Queries whose scores exist at once, per thread.
pub(crate) const QUERY_BLOCK: usize = 64;

/// A layer's attention.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    pub(crate) num_attention_heads: usize,
    /// A divisor of the heads that ask.
    pub(crate) num_key_value_heads: usize,
    pub(crate) head_dim: usize,
    /// What products of queries and keys are multiplied by.
    pub(crate) scale: f64,
    /// Tokens a token sees, itself among them; all that came before if none.
    pub(crate) window: Option<usize>,
}

/// What the forward pass gives.
#[derive(Clone, Debug)]
pub(crate) struct Attended {
    /// (tokens, heads · `head_dim`).
    pub(crate) output: Tensor,
    /// For every token and head, the logarithm of the sum of its scores' exponentials, `f32`. On the host
    /// (heads, tokens), elsewhere one tensor per sequence and block.
    pub(crate) log_sums: LogSums,
}

/// See [`Attended::log_sums`].
#[derive(Clone, Debug)]
pub(crate) enum LogSums {
    Host(Vec<f32>),
    Blocks(Vec<Tensor>),
}

/// Gradients of queries, keys and values, each in its own's shape.
pub(crate) struct AttentionGradients {
    pub(crate) query: Tensor,
    pub(crate) key: Tensor,
    pub(crate) value: Tensor,
}

impl Attention {
    /// Attends: `query` (tokens, heads · `head_dim`), `key` and `value` (tokens, key heads · `head_dim`),
    /// each token to those before it in its sequence.
    pub(crate) fn forward(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        sequences: &[Range<usize>],
    ) -> candle_core::Result<Attended> {
        if !host::is_on_host(query) {
            return self.forward_anywhere(query, key, value, sequences);
        }
        let tokens = query.dim(0)?;
        let (query, key) = (host::values(query)?, host::values(key)?);
        let value = host::values(value)?;
        let (heads, width) = (self.num_attention_heads, self.head_dim);
        let mut by_head = vec![0.0; heads * tokens * width];
        let mut log_sums = vec![0.0; heads * tokens];
        let outputs = by_head.par_chunks_mut((tokens * width).max(1));
        let outputs = outputs.zip(log_sums.par_chunks_mut(tokens.max(1)));
        outputs.enumerate().for_each(|(head, (output, log_sums))| {
            let parts = self.parts(&query, &key, &value, head);
            let mut scores = Vec::new();
            for sequence in sequences {
                for block in blocks(sequence) {
                    let seen = self.seen(sequence, &block);
                    let (rows, columns) = (block.len(), seen.len());
                    scores.clear();
                    scores.resize(rows * columns, 0.0);
                    self.score(&parts, &block, &seen, &mut scores);
                    for (row, scores) in block.clone().zip(scores.chunks_exact_mut(columns)) {
                        let sees = self.sees(sequence, row, &seen);
                        log_sums[row] = softmax(scores, sees);
                    }
                    multiply(
                        MatrixMut::new(
                            &mut output[block.start * width..block.end * width],
                            rows,
                            width,
                        ),
                        Matrix::new(&scores, rows, columns),
                        parts.value.rows(&seen),
                        1.0,
                        Existing::Replaced,
                        Threads::One,
                    );
                }
            }
        });
        let output = self.side_by_side(&by_head, tokens, heads, 1);
        Ok(Attended {
            output: host::tensor(output, (tokens, heads * width))?,
            log_sums: LogSums::Host(log_sums),
        })
    }

    /// Computes the gradients of what attended, given the output's.
    ///
    /// With P the probabilities and dO the output's gradient: dV = Pᵀ·dO, dP = dO·Vᵀ, dS = P·(dP − Σ dO·O) per
    /// row, dQ = scale·dS·K, dK = scale·dSᵀ·Q.
    pub(crate) fn backward(
        &self,
        [query, key, value]: [&Tensor; 3],
        attended: &Attended,
        upstream: &Tensor,
        sequences: &[Range<usize>],
    ) -> candle_core::Result<AttentionGradients> {
        let LogSums::Host(log_sums) = &attended.log_sums else {
            return self.backward_anywhere([query, key, value], attended, upstream, sequences);
        };
        let tokens = query.dim(0)?;
        let (query, key) = (host::values(query)?, host::values(key)?);
        let (value, upstream) = (host::values(value)?, host::values(upstream)?);
        let output = host::values(&attended.output)?;
        let (heads, width) = (self.num_attention_heads, self.head_dim);
        let size = tokens * width;
        // Of every head that asks; heads that are asked get the sum over those that ask them.
        let mut by_head = vec![0.0; 3 * heads * size];
        by_head
            .par_chunks_mut((3 * size).max(1))
            .enumerate()
            .for_each(|(head, gradients)| {
                let (of_query, rest) = gradients.split_at_mut(size);
                let (of_key, of_value) = rest.split_at_mut(size);
                // Written before they are added to, else the system gives every page twice.
                of_key.fill(0.0);
                of_value.fill(0.0);
                let parts = self.parts(&query, &key, &value, head);
                let row_stride = heads * width;
                let upstream = Part::new(&upstream, head * width, width, row_stride);
                let output = Part::new(&output, head * width, width, row_stride);
                let log_sums = &log_sums[head * tokens..(head + 1) * tokens];
                let mut buffers = Buffers::default();
                for sequence in sequences {
                    for block in blocks(sequence) {
                        let seen = self.seen(sequence, &block);
                        self.gradients_of_block(
                            &parts,
                            &upstream,
                            &output,
                            log_sums,
                            sequence,
                            &block,
                            &seen,
                            &mut buffers,
                            [&mut *of_query, &mut *of_key, &mut *of_value],
                        );
                    }
                }
            });
        let groups = heads / self.num_key_value_heads;
        let gathered = |which: usize, groups: usize| {
            let mine: Vec<&[f32]> = by_head
                .chunks_exact((3 * size).max(1))
                .map(|gradients| &gradients[which * size..(which + 1) * size])
                .collect();
            let values = self.gathered(&mine, tokens, groups);
            host::tensor(values, (tokens, heads / groups * width))
        };
        Ok(AttentionGradients {
            query: gathered(0, 1)?,
            key: gathered(1, groups)?,
            value: gathered(2, groups)?,
        })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one block's share of `backward`, which has them all"
    )]
    fn gradients_of_block(
        &self,
        parts: &Parts<'_>,
        upstream: &Part<'_>,
        output: &Part<'_>,
        log_sums: &[f32],
        sequence: &Range<usize>,
        block: &Range<usize>,
        seen: &Range<usize>,
        buffers: &mut Buffers,
        [of_query, of_key, of_value]: [&mut [f32]; 3],
    ) {
        let (rows, columns, width) = (block.len(), seen.len(), self.head_dim);
        let Buffers { scores, slopes } = buffers;
        for buffer in [&mut *scores, &mut *slopes] {
            buffer.clear();
            buffer.resize(rows * columns, 0.0);
        }
        self.score(parts, block, seen, scores);
        multiply(
            MatrixMut::new(slopes, rows, columns),
            upstream.rows(block),
            parts.value.rows(seen).transposed(),
            1.0,
            Existing::Replaced,
            Threads::One,
        );
        let pieces = scores
            .chunks_exact_mut(columns)
            .zip(slopes.chunks_exact_mut(columns));
        for (row, (scores, slopes)) in block.clone().zip(pieces) {
            let sees = self.sees(sequence, row, seen);
            let along: f32 = upstream
                .row(row)
                .iter()
                .zip(output.row(row))
                .map(|(up, out)| up * out)
                .sum();
            probabilities_and_slopes(scores, slopes, sees, log_sums[row], along);
        }
        let rows_of = |range: &Range<usize>| range.start * width..range.end * width;
        multiply(
            MatrixMut::new(&mut of_value[rows_of(seen)], columns, width),
            Matrix::new(scores, rows, columns).transposed(),
            upstream.rows(block),
            1.0,
            Existing::Added,
            Threads::One,
        );
        let scale = self.scale as f32;
        multiply(
            MatrixMut::new(&mut of_query[rows_of(block)], rows, width),
            Matrix::new(slopes, rows, columns),
            parts.key.rows(seen),
            scale,
            Existing::Replaced,
            Threads::One,
        );
        multiply(
            MatrixMut::new(&mut of_key[rows_of(seen)], columns, width),
            Matrix::new(slopes, rows, columns).transposed(),
            parts.query.rows(block),
            scale,
            Existing::Added,
            Threads::One,
        );
    }

    fn score(
        &self,
        parts: &Parts<'_>,
        block: &Range<usize>,
        seen: &Range<usize>,
        scores: &mut [f32],
    ) {
        multiply(
            MatrixMut::new(scores, block.len(), seen.len()),
            parts.query.rows(block),
            parts.key.rows(seen).transposed(),
            self.scale as f32,
            Existing::Replaced,
            Threads::One,
        );
    }

    fn parts<'a>(
        &self,
        query: &'a [f32],
        key: &'a [f32],
        value: &'a [f32],
        head: usize,
    ) -> Parts<'a> {
        let width = self.head_dim;
        let key_head = head / (self.num_attention_heads / self.num_key_value_heads);
        let key_stride = self.num_key_value_heads * width;
        Parts {
            query: Part::new(query, head * width, width, self.num_attention_heads * width),
            key: Part::new(key, key_head * width, width, key_stride),
            value: Part::new(value, key_head * width, width, key_stride),
        }
    }

    /// Returns the tokens that any of a block sees.
    fn seen(&self, sequence: &Range<usize>, block: &Range<usize>) -> Range<usize> {
        self.first_seen(sequence, block.start)..block.end
    }

    fn first_seen(&self, sequence: &Range<usize>, row: usize) -> usize {
        match self.window {
            Some(window) => (row + 1).saturating_sub(window).max(sequence.start),
            None => sequence.start,
        }
    }

    /// Returns what a token sees, counted from the first that its block sees.
    fn sees(&self, sequence: &Range<usize>, row: usize, seen: &Range<usize>) -> Range<usize> {
        self.first_seen(sequence, row) - seen.start..row + 1 - seen.start
    }

    /// Puts heads, one after another, side by side, after adding up each `groups` neighbours.
    fn side_by_side(
        &self,
        by_head: &[f32],
        tokens: usize,
        heads: usize,
        groups: usize,
    ) -> Vec<f32> {
        let size = (tokens * self.head_dim).max(1);
        let mine: Vec<&[f32]> = by_head.chunks_exact(size).collect();
        debug_assert!(tokens == 0 || mine.len() == heads, "one for each head");
        self.gathered(&mine, tokens, groups)
    }

    fn gathered<'h>(&self, heads: &[&'h [f32]], tokens: usize, groups: usize) -> Vec<f32> {
        let width = self.head_dim;
        let columns = heads.len() / groups * width;
        let mut gathered = vec![0.0; tokens * columns];
        gathered
            .par_chunks_mut(columns.max(1))
            .enumerate()
            .for_each(|(token, row)| {
                for (row, heads) in row.chunks_exact_mut(width).zip(heads.chunks_exact(groups)) {
                    let of_token = |head: &&'h [f32]| &head[token * width..(token + 1) * width];
                    let mut heads = heads.iter().map(of_token);
                    if let Some(first) = heads.next() {
                        row.copy_from_slice(first);
                    }
                    for values in heads {
                        for (sum, value) in row.iter_mut().zip(values) {
                            *sum += value;
                        }
                    }
                }
            });
        gathered
    }
}

/// Scores, and their gradients.
#[derive(Default)]
struct Buffers {
    scores: Vec<f32>,
    slopes: Vec<f32>,
}

/// A head's queries, and the keys and values it asks.
struct Parts<'a> {
    query: Part<'a>,
    key: Part<'a>,
    value: Part<'a>,
}

/// Some columns of a matrix: one head's.
#[derive(Clone, Copy)]
struct Part<'a> {
    values: &'a [f32],
    first: usize,
    width: usize,
    row_stride: usize,
}

impl<'a> Part<'a> {
    fn new(values: &'a [f32], first: usize, width: usize, row_stride: usize) -> Self {
        Self {
            values,
            first,
            width,
            row_stride,
        }
    }

    fn row(&self, row: usize) -> &'a [f32] {
        let start = row * self.row_stride + self.first;
        &self.values[start..start + self.width]
    }

    fn rows(&self, rows: &Range<usize>) -> Matrix<'a> {
        let values = &self.values[rows.start * self.row_stride + self.first..];
        Matrix::strided(values, rows.len(), self.width, self.row_stride)
    }
}

fn blocks(sequence: &Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
    let starts = sequence.clone().step_by(QUERY_BLOCK);
    starts.map(|start| start..(start + QUERY_BLOCK).min(sequence.end))
}

/// Turns the scores within `sees` into probabilities, all others into 0; returns the logarithm of the sum
/// of exponentials.
fn softmax(scores: &mut [f32], sees: Range<usize>) -> f32 {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            scores[..sees.start].fill(0.0);
            scores[sees.end..].fill(0.0);
            let scores = &mut scores[sees.clone()];
            let most = largest(scores);
            let sum = exponentials(scores, most);
            let scale = 1.0 / sum;
            for score in scores {
                *score *= scale;
            }
            most + sum.ln()
        },
    )
}

/// Values that are looked at side by side, so that they make a vector.
const LANES: usize = 16;

#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let mut most = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks
        .remainder()
        .iter()
        .fold(f32::NEG_INFINITY, |most, &value| most.max(value));
    for chunk in chunks {
        for (most, &value) in most.iter_mut().zip(chunk) {
            *most = if value > *most { value } else { *most };
        }
    }
    most.iter().fold(rest, |most, &value| most.max(value))
}

/// Replaces values by the exponentials of what they are above `most`; returns their sum.
#[inline(always)]
pub(crate) fn exponentials(values: &mut [f32], most: f32) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let mut chunks = values.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *value = exp(*value - most);
            *sum += *value;
        }
    }
    let mut rest = 0.0;
    for value in chunks.into_remainder() {
        *value = exp(*value - most);
        rest += *value;
    }
    sums.iter().sum::<f32>() + rest
}

/// Turns scores into probabilities and the gradients of probabilities into those of scores; all outside
/// of `sees` becomes 0.
fn probabilities_and_slopes(
    scores: &mut [f32],
    slopes: &mut [f32],
    sees: Range<usize>,
    log_sum: f32,
    along: f32,
) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for values in [&mut *scores, &mut *slopes] {
                values[..sees.start].fill(0.0);
                values[sees.end..].fill(0.0);
            }
            let pairs = scores[sees.clone()]
                .iter_mut()
                .zip(&mut slopes[sees.clone()]);
            for (score, slope) in pairs {
                let probability = exp(*score - log_sum);
                *score = probability;
                *slope = probability * (*slope - along);
            }
        },
    );
}
