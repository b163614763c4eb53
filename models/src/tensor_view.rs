use std::ops::Range;
use std::path::Path;

use crate::error::{ModelError, TensorProblem};
use crate::number_format::NumberFormat;
use crate::tensor_file::{StoredTensor, TensorFile};

/// A tensor of a mapped file: its shape, and its values as they lie there.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    file: &'a TensorFile,
    tensor: &'a StoredTensor,
    format: NumberFormat,
    bytes: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// Errors if its values are not `f32`, `bf16` or `f16`.
    pub(crate) fn new(file: &'a TensorFile, tensor: &'a StoredTensor) -> Result<Self, ModelError> {
        let format = NumberFormat::of(tensor.dtype).ok_or_else(|| ModelError::Tensor {
            path: file.path().to_owned(),
            tensor: tensor.name.clone(),
            offset: tensor.offset(),
            problem: TensorProblem::Format {
                dtype: tensor.dtype,
            },
        })?;
        Ok(Self {
            file,
            tensor,
            format,
            bytes: file.data(tensor),
        })
    }

    /// Returns the file it is in.
    pub fn path(&self) -> &'a Path {
        self.file.path()
    }

    /// Returns its name.
    pub fn name(&self) -> &'a str {
        &self.tensor.name
    }

    /// Returns its shape.
    pub fn shape(&self) -> &'a [usize] {
        &self.tensor.shape
    }

    /// Returns the format of its values.
    pub fn format(&self) -> NumberFormat {
        self.format
    }

    /// Returns its values, little-endian, rows first.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns how many values it has.
    pub fn element_count(&self) -> usize {
        self.bytes.len() / self.format.size()
    }

    /// Widens the values in `range` to `values`, of which there are as many; nothing is rounded.
    ///
    /// Panics if the range ends after the tensor.
    pub fn read(&self, range: Range<usize>, values: &mut [f32]) {
        assert_eq!(range.len(), values.len(), "as many as asked for");
        let size = self.format.size();
        let bytes = &self.bytes[range.start * size..range.end * size];
        self.format.decode(bytes, values);
    }

    /// Returns all values.
    ///
    /// Errors if one is infinite or NaN.
    pub fn values(&self) -> Result<Vec<f32>, ModelError> {
        let mut values = vec![0.0; self.element_count()];
        self.read(0..values.len(), &mut values);
        if values.iter().all(|value| value.is_finite()) {
            return Ok(values);
        }
        Err(self.not_finite())
    }

    /// Returns the error for a value that is infinite or NaN.
    pub fn not_finite(&self) -> ModelError {
        ModelError::Tensor {
            path: self.file.path().to_owned(),
            tensor: self.tensor.name.clone(),
            offset: self.tensor.offset(),
            problem: TensorProblem::NotFinite,
        }
    }

    /// Gives the memory that the values took back; they are read from disk again when looked at.
    pub fn release(&self) {
        self.file.release(self.tensor);
    }

    /// Checks the shape.
    ///
    /// Errors with the tensor, the shape found and the one expected.
    pub fn expect_shape(&self, expected: &[usize]) -> Result<(), ModelError> {
        if self.tensor.shape == expected {
            return Ok(());
        }
        Err(ModelError::Tensor {
            path: self.file.path().to_owned(),
            tensor: self.tensor.name.clone(),
            offset: self.tensor.offset(),
            problem: TensorProblem::Shape {
                found: self.tensor.shape.clone(),
                expected: expected.to_owned(),
            },
        })
    }
}
