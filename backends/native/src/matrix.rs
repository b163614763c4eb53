//! Products of matrices in the host's memory, written to where they are wanted.

use std::ops::Range;

use gemm::Parallelism;

/// Values looked at as a matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Looks at `rows` × `columns` values, row after row.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// Looks at rows that begin `row_stride` values apart.
    pub(crate) fn strided(
        values: &'a [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Self {
        assert!(
            fits(values.len(), rows, columns, row_stride),
            "rows lie within the values"
        );
        Self {
            values,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// Looks at the transpose.
    pub(crate) fn transposed(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// Values to be written as a matrix, row after row.
#[derive(Debug)]
pub(crate) struct MatrixMut<'a> {
    values: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// Takes `rows` × `columns` values, row after row.
    pub(crate) fn new(values: &'a mut [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(
            values.len(),
            rows * columns,
            "as many values as the matrix has"
        );
        Self {
            values,
            rows,
            columns,
            row_stride: columns,
        }
    }

    /// Takes some of its columns.
    pub(crate) fn columns(self, range: Range<usize>) -> Self {
        assert!(range.end <= self.columns, "columns of the matrix");
        let end = self.values.len().min(range.start);
        Self {
            values: &mut self.values[end..],
            rows: self.rows,
            columns: range.len(),
            row_stride: self.row_stride,
        }
    }
}

fn fits(length: usize, rows: usize, columns: usize, row_stride: usize) -> bool {
    rows == 0 || columns == 0 || (rows - 1) * row_stride + columns <= length
}

/// What becomes of the values that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// They are replaced.
    Replaced,
    /// The product is added to them.
    Added,
}

/// How many threads share a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The one that asks: it is one of many.
    One,
    /// All of rayon's.
    All,
}

/// Computes `scale` · `lhs` · `rhs`.
///
/// The same operands give the same bits, however many threads there are: they share rows and columns
/// of the product, never the sum of one value.
pub(crate) fn multiply(
    product: MatrixMut<'_>,
    lhs: Matrix<'_>,
    rhs: Matrix<'_>,
    scale: f32,
    existing: Existing,
    threads: Threads,
) {
    assert_eq!(
        (product.rows, product.columns),
        (lhs.rows, rhs.columns),
        "the product's shape"
    );
    assert_eq!(lhs.columns, rhs.rows, "inner sizes are equal");
    if product.rows == 0 || product.columns == 0 {
        return;
    }
    assert!(
        fits(
            product.values.len(),
            product.rows,
            product.columns,
            product.row_stride
        ),
        "the product lies within its values"
    );
    let parallelism = match threads {
        Threads::One => Parallelism::None,
        Threads::All => Parallelism::Rayon(rayon::current_num_threads()),
    };
    multiply_unchecked(product, lhs, rhs, scale, existing, parallelism);
}

#[expect(unsafe_code, reason = "gemm takes pointers")]
fn multiply_unchecked(
    product: MatrixMut<'_>,
    lhs: Matrix<'_>,
    rhs: Matrix<'_>,
    scale: f32,
    existing: Existing,
    parallelism: Parallelism,
) {
    let MatrixMut {
        values,
        rows,
        columns,
        row_stride,
    } = product;
    let stride = |stride: usize| isize::try_from(stride).expect("a slice's length is an isize");
    // SAFETY: every matrix was found to lie within its slice when it was made (`fits`) or, the product,
    // by the caller just now; transposing and taking columns keep that. The product is borrowed mutably,
    // so nothing else overlaps it; rows do not overlap because strides are at least the columns.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            lhs.columns,
            values.as_mut_ptr(),
            1,
            stride(row_stride),
            existing == Existing::Added,
            lhs.values.as_ptr(),
            stride(lhs.column_stride),
            stride(lhs.row_stride),
            rhs.values.as_ptr(),
            stride(rhs.column_stride),
            stride(rhs.row_stride),
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;
    use crate::testing::{list, random};

    // Large enough to be shared; also few rows and many, as of a low-rank change.
    #[test_case(301, 203, 407; "much of everything")]
    #[test_case(512, 768, 16; "a short sum")]
    #[test_case(16, 512, 768; "few rows")]
    #[test_case(700, 8, 900; "few columns")]
    fn products_do_not_depend_on_the_number_of_threads(rows: usize, columns: usize, inner: usize) {
        let (lhs, rhs) = (
            list(&random((rows, inner), 1)),
            list(&random((columns, inner), 2)),
        );
        let product = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let mut product = vec![0.0; rows * columns];
            pool.build().unwrap().install(|| {
                multiply(
                    MatrixMut::new(&mut product, rows, columns),
                    Matrix::new(&lhs, rows, inner),
                    Matrix::new(&rhs, columns, inner).transposed(),
                    1.0,
                    Existing::Replaced,
                    Threads::All,
                );
            });
            product.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let one = product(1);
        for threads in [2, 3, 8] {
            assert!(product(threads) == one, "{threads} threads");
        }
    }

    proptest! {
        #[test]
        fn products_are_what_the_definition_says(
            (rows, inner, columns) in (1..70usize, 0..40usize, 1..70usize),
            transposed: (bool, bool),
            adds: bool,
        ) {
            let value = |idx: usize, seed: usize| ((idx * 37 + seed * 11) % 17) as f32 - 8.0;
            let lhs: Vec<f32> = (0..rows * inner).map(|idx| value(idx, 1)).collect();
            let rhs: Vec<f32> = (0..inner * columns).map(|idx| value(idx, 2)).collect();
            // One column more on either side, which must stay as it is.
            let width = columns + 2;
            let before: Vec<f32> = (0..rows * width).map(|idx| value(idx, 3)).collect();
            let lhs_matrix = if transposed.0 {
                Matrix::new(&lhs, inner, rows).transposed()
            } else {
                Matrix::new(&lhs, rows, inner)
            };
            let rhs_matrix = if transposed.1 {
                Matrix::new(&rhs, columns, inner).transposed()
            } else {
                Matrix::new(&rhs, inner, columns)
            };
            let existing = if adds { Existing::Added } else { Existing::Replaced };
            let mut found = before.clone();
            multiply(
                MatrixMut::new(&mut found, rows, width).columns(1..columns + 1),
                lhs_matrix, rhs_matrix, 0.5, existing, Threads::All,
            );
            for row in 0..rows {
                for column in 0..width {
                    let old = before[row * width + column];
                    let expected = if column == 0 || column == columns + 1 {
                        old
                    } else {
                        let column = column - 1;
                        let sum: f32 = (0..inner).map(|k| {
                            let l = if transposed.0 { lhs[k * rows + row] } else { lhs[row * inner + k] };
                            let r = if transposed.1 { rhs[column * inner + k] } else { rhs[k * columns + column] };
                            l * r
                        }).sum();
                        0.5 * sum + if adds { old } else { 0.0 }
                    };
                    prop_assert_eq!(found[row * width + column], expected);
                }
            }
        }
    }
}
