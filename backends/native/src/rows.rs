//! Work on the rows of matrices, shared by threads, with the vectors the processor has.

use pulp::Arch;
use rayon::prelude::*;

/// Values one piece of work has at least, so that sharing costs less than it saves.
const GRAIN: usize = 1 << 14;

/// Returns how many rows one piece of work takes.
fn rows_at_once(columns: usize) -> usize {
    (GRAIN / columns.max(1)).max(1)
}

/// Writes, or changes, every row of `written` with the row of `read` at the same place.
pub(crate) fn with_one(
    written: &mut [f32],
    read: &[f32],
    columns: usize,
    of_row: impl Fn(&mut [f32], &[f32]) + Sync,
) {
    let rows = rows_at_once(columns) * columns;
    let pieces = written.par_chunks_mut(rows).zip(read.par_chunks(rows));
    pieces.for_each(|(written, read)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let rows = written
                    .chunks_exact_mut(columns)
                    .zip(read.chunks_exact(columns));
                for (written, read) in rows {
                    of_row(written, read);
                }
            },
        );
    });
}

/// Writes, or changes, every row of `written` with the rows of two others at the same place.
pub(crate) fn with_two(
    written: &mut [f32],
    [first, second]: [&[f32]; 2],
    columns: usize,
    of_row: impl Fn(&mut [f32], &[f32], &[f32]) + Sync,
) {
    let rows = rows_at_once(columns) * columns;
    let pieces = written.par_chunks_mut(rows).zip(first.par_chunks(rows));
    let pieces = pieces.zip(second.par_chunks(rows));
    pieces.for_each(|((written, first), second)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let rows = written
                    .chunks_exact_mut(columns)
                    .zip(first.chunks_exact(columns));
                for ((written, first), second) in rows.zip(second.chunks_exact(columns)) {
                    of_row(written, first, second);
                }
            },
        );
    });
}

/// Changes every row of `changed`, with the row at the same place of a table of other width.
pub(crate) fn with_table(
    changed: &mut [f32],
    columns: usize,
    table: &[f32],
    table_columns: usize,
    of_row: impl Fn(&mut [f32], &[f32]) + Sync,
) {
    let rows = rows_at_once(columns);
    let pieces = changed
        .par_chunks_mut(rows * columns)
        .zip(table.par_chunks(rows * table_columns));
    pieces.for_each(|(changed, table)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let rows = changed
                    .chunks_exact_mut(columns)
                    .zip(table.chunks_exact(table_columns));
                for (changed, table) in rows {
                    of_row(changed, table);
                }
            },
        );
    });
}
