use std::ops::ControlFlow;

use rayon::prelude::*;

use super::low_rank::LowRank;
use super::plan::{Change, Planned};
use crate::adapter::Adapter;
use crate::error::{MergeProblem, ModelError};
use crate::number_format::NumberFormat;

/// Values that are in memory at a time while the norms of columns are summed up.
const CHUNK: usize = 1 << 20;

/// The rows of one tensor, to be read in any order and by several threads.
///
/// A tensor of one dimension is a row.
pub(crate) struct Rows<'a> {
    planned: &'a Planned<'a>,
    from: NumberFormat,
    to: NumberFormat,
    columns: usize,
    count: usize,
    change: RowChange<'a>,
}

enum RowChange<'a> {
    Nothing,
    LowRank(LowRank<'a>),
    Added(Vec<f32>),
}

impl<'a> Rows<'a> {
    /// Makes ready to read; `None` for a tensor without floating-point values.
    ///
    /// Where the change needs the norms of columns, this reads the whole tensor; `on_chunk` is then
    /// called now and again and may stop it.
    pub(crate) fn new(
        adapter: Option<&'a Adapter>,
        planned: &'a Planned<'a>,
        on_chunk: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Self>, ModelError> {
        let Some((from, to)) = planned.formats else {
            return Ok(None);
        };
        let (count, columns) = planned.rows_and_columns();
        let change = match (planned.change, adapter) {
            (Change::Weight(lora), Some(adapter)) => {
                RowChange::LowRank(LowRank::new(adapter, lora, to))
            }
            #[expect(clippy::cast_possible_truncation, reason = "rounding is meant")]
            (Change::Bias(lora, bias), Some(adapter)) => {
                let scale = lora.scale as f32;
                let values = adapter.values(bias).into_iter();
                RowChange::Added(values.map(|value| value * scale).collect())
            }
            _ => RowChange::Nothing,
        };
        let mut rows = Self {
            planned,
            from,
            to,
            columns,
            count,
            change,
        };
        rows.measure_columns(on_chunk)?;
        Ok(Some(rows))
    }

    /// Returns the number of values in a row.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Returns the number of rows.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Reads row `row_idx` into `values`, merged and rounded to the format planned; `room` is any
    /// buffer.
    ///
    /// Errors if a value is infinite or NaN, with its place if the file has it so.
    pub(crate) fn read(
        &self,
        row_idx: usize,
        values: &mut [f32],
        room: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        let bytes = self.columns * self.from.size();
        let start = row_idx * bytes;
        let row = &self.planned.source.data[start..start + bytes];
        self.from.decode(row, values);
        if !is_finite(values) {
            let value = values.iter().position(|value| !value.is_finite());
            let within = start + value.unwrap_or(0) * self.from.size();
            return Err(self.planned.source.not_finite(within));
        }
        match &self.change {
            RowChange::Nothing if self.from == self.to => return Ok(()),
            RowChange::Nothing => {}
            RowChange::LowRank(low_rank) => low_rank.merge(row_idx, values, room),
            RowChange::Added(added) => {
                for (value, added) in values.iter_mut().zip(added) {
                    *value += added;
                }
            }
        }
        self.to.round(values);
        if is_finite(values) {
            Ok(())
        } else {
            Err(ModelError::Merge {
                tensor: self.planned.name.clone(),
                problem: MergeProblem::NotFinite { row: row_idx },
            })
        }
    }

    /// Gives the change the norms of the changed weight's columns, if it needs them.
    fn measure_columns(
        &mut self,
        on_chunk: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(), ModelError> {
        let RowChange::LowRank(low_rank) = &mut self.change else {
            return Ok(());
        };
        if !low_rank.needs_column_norms() || self.columns == 0 || self.count == 0 {
            return Ok(());
        }
        let mut squares = vec![0.0f32; self.columns];
        let row_bytes = self.columns * self.from.size();
        let chunk_rows = (CHUNK / self.columns).clamp(1, self.count.max(1));
        let mut values = vec![0.0; chunk_rows * self.columns];
        let chunks = self.planned.source.data.chunks(chunk_rows * row_bytes);
        for (chunk_idx, chunk) in chunks.enumerate() {
            let values = &mut values[..chunk.len() / self.from.size()];
            values
                .par_chunks_mut(self.columns)
                .zip(chunk.par_chunks(row_bytes))
                .enumerate()
                .for_each_init(Vec::new, |room, (idx, (row, bytes))| {
                    self.from.decode(bytes, row);
                    low_rank.add(chunk_idx * chunk_rows + idx, row, room);
                });
            for row in values.chunks(self.columns) {
                for (square, value) in squares.iter_mut().zip(row) {
                    *square += value * value;
                }
            }
            if on_chunk().is_break() {
                return Err(ModelError::Interrupted);
            }
        }
        low_rank.set_column_norms(&squares);
        Ok(())
    }
}

/// Tells whether all values are finite, in one pass without branches.
fn is_finite(values: &[f32]) -> bool {
    values
        .iter()
        .fold(true, |finite, value| finite & value.is_finite())
}
