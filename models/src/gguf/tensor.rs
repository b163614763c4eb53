use super::tensor_type::TensorType;

/// A tensor that is to be written: what the header says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorDescription {
    /// Its name, at most 63 bytes.
    pub name: String,
    /// Its dimensions as ggml orders them: values of a row first, the reverse of a checkpoint's shape.
    pub dimensions: Vec<u64>,
    /// How its values are stored.
    pub tensor_type: TensorType,
}

impl TensorDescription {
    /// Returns how many values it has; none if they cannot be counted.
    pub fn elements(&self) -> Option<u64> {
        let mut dimensions = self.dimensions.iter();
        dimensions.try_fold(1u64, |product, &size| product.checked_mul(size))
    }

    /// Returns its bytes, without what pads it; none if its rows do not fill blocks or the bytes
    /// cannot be counted.
    pub fn bytes(&self) -> Option<u64> {
        let row = self.dimensions.first().copied().unwrap_or(1);
        let mut rows = self.dimensions.iter().skip(1);
        let rows = rows.try_fold(1u64, |product, &size| product.checked_mul(size))?;
        self.tensor_type.row_bytes(row)?.checked_mul(rows)
    }
}

/// A tensor in a file that was read.
#[derive(Clone, Debug)]
pub struct StoredTensor {
    pub(super) description: TensorDescription,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl StoredTensor {
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.description.name
    }

    /// Returns the dimensions as ggml orders them: values of a row first.
    pub fn dimensions(&self) -> &[u64] {
        &self.description.dimensions
    }

    /// Returns how its values are stored.
    pub fn tensor_type(&self) -> TensorType {
        self.description.tensor_type
    }

    /// Returns all that the header says of it but the place.
    pub fn description(&self) -> &TensorDescription {
        &self.description
    }

    /// Returns how many values it has.
    pub fn elements(&self) -> u64 {
        let elements = self.description.elements();
        elements.expect("a stored tensor's values were counted when it was read")
    }

    /// Returns the byte of the file where its values begin.
    pub fn offset(&self) -> u64 {
        self.start as u64
    }

    /// Returns its bytes, without what pads it.
    pub fn bytes(&self) -> u64 {
        (self.end - self.start) as u64
    }
}
