use thiserror::Error;

/// Says why a matrix could not be quantised.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Nf4Error {
    /// A value is infinite or NaN.
    #[error(
        "row {row}, column {column}: {value} cannot be quantised; every value must be finite (rows and columns count from 0)"
    )]
    NotFinite {
        /// Which row, from 0.
        row: usize,
        /// Which column, from 0.
        column: usize,
        /// What stands there.
        value: f32,
    },
    /// More or fewer values came than the matrix has.
    #[error("expected {rows} rows of {columns} values to quantise, found {found} values")]
    Count {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        columns: usize,
        /// How many values came.
        found: usize,
    },
}
