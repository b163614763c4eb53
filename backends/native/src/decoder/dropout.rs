use candle_core::Tensor;

use crate::batch::Batch;
use crate::dropout::Dropout;
use crate::host;

/// What is left out in one pass: the same in its forward and its backward part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PassDropout<'a> {
    pub(crate) dropout: Dropout,
    pub(crate) batch: &'a Batch,
    pub(crate) seed: u64,
}

impl PassDropout<'_> {
    /// Returns the values that are left, larger by what the others had; the others are 0.
    pub(crate) fn apply(&self, values: &[f32], module: u32) -> Vec<f32> {
        let mut left = values.to_vec();
        self.apply_to(&mut left, module);
        left
    }

    /// Does the same to the values themselves.
    pub(crate) fn apply_to(&self, values: &mut [f32], module: u32) {
        self.dropout
            .apply(self.batch, self.seed, u64::from(module), values);
    }

    /// Returns the values that are left of a tensor (tokens, features) that is not the host's.
    pub(crate) fn apply_anywhere(
        &self,
        values: &Tensor,
        module: u32,
    ) -> candle_core::Result<Tensor> {
        let (count, columns) = values.dims2()?;
        let mask = self.apply(&vec![1.0; count * columns], module);
        let mask = host::tensor(mask, (count, columns))?;
        values * mask.to_device(values.device())?.to_dtype(values.dtype())?
    }
}
