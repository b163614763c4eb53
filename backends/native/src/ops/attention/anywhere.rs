//! Attention made of candle's operations, for devices that have no routine of ours.

use std::ops::Range;

use candle_core::{D, DType, Tensor};

use super::{Attended, Attention, AttentionGradients, LogSums};

/// Queries whose scores exist at once.
const QUERY_BLOCK: usize = 256;

/// A block of queries of one sequence, with all it sees: (key heads, queries of all heads that ask one, …).
struct Block {
    query: Tensor,
    key: Tensor,
    value: Tensor,
    /// 1 where a query sees a key: (queries of a head, keys).
    sees: Tensor,
    range: Range<usize>,
    seen: Range<usize>,
}

impl Attention {
    pub(super) fn forward_anywhere(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        sequences: &[Range<usize>],
    ) -> candle_core::Result<Attended> {
        let mut outputs = Vec::new();
        let mut log_sums = Vec::new();
        for block in self.blocks([query, key, value], sequences)? {
            let block = block?;
            let scores = self.scores(&block)?;
            let most = scores.max_keepdim(D::Minus1)?;
            let exponentials = scores.broadcast_sub(&most)?.exp()?;
            let sums = exponentials.sum_keepdim(D::Minus1)?;
            let probabilities = exponentials.broadcast_div(&sums)?.to_dtype(query.dtype())?;
            outputs.push(self.ungrouped(&probabilities.matmul(&block.value)?)?);
            log_sums.push((most + sums.log()?)?);
        }
        Ok(Attended {
            output: Tensor::cat(&outputs, 0)?,
            log_sums: LogSums::Blocks(log_sums),
        })
    }

    pub(super) fn backward_anywhere(
        &self,
        [query, key, value]: [&Tensor; 3],
        attended: &Attended,
        upstream: &Tensor,
        sequences: &[Range<usize>],
    ) -> candle_core::Result<AttentionGradients> {
        let LogSums::Blocks(log_sums) = &attended.log_sums else {
            candle_core::bail!("attention: the forward pass was another device's");
        };
        let dtype = query.dtype();
        let shape = (self.num_key_value_heads, key.dim(0)?, self.head_dim);
        let mut of_key = Tensor::zeros(shape, DType::F32, key.device())?;
        let mut of_value = of_key.clone();
        let mut of_query = Vec::new();
        let tokens = key.dim(0)?;
        let blocks = self.blocks([query, key, value], sequences)?;
        for (block, log_sums) in blocks.zip(log_sums) {
            let block = block?;
            let range = &block.range;
            let upstream = self.grouped(&upstream.narrow(0, range.start, range.len())?)?;
            let probabilities = self.scores(&block)?.broadcast_sub(log_sums)?.exp()?;
            let slopes = upstream.matmul(&block.value.t()?)?.to_dtype(DType::F32)?;
            // Σ dP·P is Σ dO·O, but agrees with dP as it was rounded: their difference is what counts.
            let slopes = (slopes * &probabilities)?;
            let along = slopes.sum_keepdim(D::Minus1)?;
            let slopes = ((slopes - probabilities.broadcast_mul(&along)?)? * self.scale)?;
            let (slopes, probabilities) = (slopes.to_dtype(dtype)?, probabilities.to_dtype(dtype)?);
            of_query.push(self.ungrouped(&slopes.matmul(&block.key)?)?);
            let placed = |gradient: Tensor| {
                let before = block.seen.start;
                gradient
                    .to_dtype(DType::F32)?
                    .pad_with_zeros(1, before, tokens - block.seen.end)
            };
            of_key = (of_key + placed(slopes.t()?.matmul(&block.query)?)?)?;
            of_value = (of_value + placed(probabilities.t()?.matmul(&upstream)?)?)?;
        }
        let flat = |gradient: Tensor| {
            let columns = self.num_key_value_heads * self.head_dim;
            gradient
                .transpose(0, 1)?
                .reshape((tokens, columns))?
                .to_dtype(dtype)
        };
        Ok(AttentionGradients {
            query: Tensor::cat(&of_query, 0)?,
            key: flat(of_key)?,
            value: flat(of_value)?,
        })
    }

    fn blocks<'a>(
        &'a self,
        [query, key, value]: [&'a Tensor; 3],
        sequences: &'a [Range<usize>],
    ) -> candle_core::Result<impl Iterator<Item = candle_core::Result<Block>> + 'a> {
        let tokens = key.dim(0)?;
        let heads = |tensor: &Tensor| {
            let shape = (tokens, self.num_key_value_heads, self.head_dim);
            tensor.reshape(shape)?.transpose(0, 1)?.contiguous()
        };
        let (key, value) = (heads(key)?, heads(value)?);
        let ranges = sequences.iter().flat_map(|sequence| {
            let starts = sequence.clone().step_by(QUERY_BLOCK);
            starts.map(move |start| (sequence, start..(start + QUERY_BLOCK).min(sequence.end)))
        });
        Ok(ranges.map(move |(sequence, range)| {
            let seen = self.seen(sequence, &range);
            Ok(Block {
                query: self.grouped(&query.narrow(0, range.start, range.len())?)?,
                key: key.narrow(1, seen.start, seen.len())?.contiguous()?,
                value: value.narrow(1, seen.start, seen.len())?.contiguous()?,
                sees: self.mask(&range, &seen, query)?,
                range,
                seen,
            })
        }))
    }

    fn mask(
        &self,
        range: &Range<usize>,
        seen: &Range<usize>,
        like: &Tensor,
    ) -> candle_core::Result<Tensor> {
        let positions = |range: &Range<usize>| {
            let position = |at: usize| u32::try_from(at).map_err(candle_core::Error::wrap);
            let (start, end) = (position(range.start)?, position(range.end)?);
            Tensor::arange(i64::from(start), i64::from(end), like.device())
        };
        let rows = positions(range)?.unsqueeze(1)?;
        let columns = positions(seen)?.unsqueeze(0)?;
        let past = rows.broadcast_ge(&columns)?;
        match self.window {
            None => Ok(past),
            Some(window) => {
                let first = (rows + (1.0 - window as f64))?;
                past * first.broadcast_le(&columns)?
            }
        }
    }

    /// Computes scores in `f32`, negative infinity where a query does not see.
    fn scores(&self, block: &Block) -> candle_core::Result<Tensor> {
        let scores = block.query.matmul(&block.key.t()?)?;
        let scores = (scores.to_dtype(DType::F32)? * self.scale)?;
        let (key_heads, rows, columns) = scores.dims3()?;
        let groups = self.num_attention_heads / self.num_key_value_heads;
        let shape = (key_heads, groups, rows / groups, columns);
        let sees = block.sees.broadcast_as(shape)?.contiguous()?;
        let nothing = Tensor::full(f32::NEG_INFINITY, shape, scores.device())?;
        sees.where_cond(&scores.reshape(shape)?, &nothing)?
            .reshape((key_heads, rows, columns))
    }

    /// (rows, heads · `head_dim`) → (key heads, heads per key head · rows, `head_dim`)
    fn grouped(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        let count = rows.dim(0)?;
        let groups = self.num_attention_heads / self.num_key_value_heads;
        rows.reshape((count, self.num_key_value_heads, groups, self.head_dim))?
            .permute((1, 2, 0, 3))?
            .reshape((self.num_key_value_heads, groups * count, self.head_dim))?
            .contiguous()
    }

    /// The inverse of [`Attention::grouped`].
    fn ungrouped(&self, grouped: &Tensor) -> candle_core::Result<Tensor> {
        let groups = self.num_attention_heads / self.num_key_value_heads;
        let count = grouped.dim(1)? / groups;
        grouped
            .reshape((self.num_key_value_heads, groups, count, self.head_dim))?
            .permute((2, 0, 1, 3))?
            .reshape((count, self.num_attention_heads * self.head_dim))?
            .contiguous()
    }
}
