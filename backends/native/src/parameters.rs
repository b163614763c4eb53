use candle_core::Tensor;

use crate::error::NativeError;
use crate::host;
use crate::matrix::{Existing, Matrix, MatrixMut, Threads, multiply};
use crate::ops::sum::add;

/// Which of the trained tensors one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterId(usize);

/// A trained tensor.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// What it is called in the file it is saved to.
    pub name: String,
    /// Its values, `f32` whatever the model computes in.
    pub value: Tensor,
    /// Whether weight decay applies.
    pub decays: bool,
}

/// All tensors that are trained, in a fixed order; all else of a model is frozen.
#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<Parameter>);

impl Parameters {
    /// Adds one.
    pub fn add(&mut self, parameter: Parameter) -> ParameterId {
        self.0.push(parameter);
        ParameterId(self.0.len() - 1)
    }

    /// Returns its values.
    pub fn value(&self, id: ParameterId) -> &Tensor {
        &self.0[id.0].value
    }

    /// Replaces its values, by others of the same shape.
    pub fn set(&mut self, id: ParameterId, value: Tensor) {
        debug_assert_eq!(self.0[id.0].value.shape(), value.shape());
        self.0[id.0].value = value;
    }

    /// Returns all, with their ids, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ParameterId, &Parameter)> {
        let all = self.0.iter().enumerate();
        all.map(|(idx, parameter)| (ParameterId(idx), parameter))
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether nothing is trained.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many values they have in all.
    pub fn element_count(&self) -> usize {
        self.0
            .iter()
            .map(|parameter| parameter.value.elem_count())
            .sum()
    }
}

/// Gradients of trained tensors, added up over the batches of a step; `f32`.
#[derive(Clone, Debug)]
pub struct Gradients(Vec<Option<Tensor>>);

impl Gradients {
    /// Returns none yet.
    pub fn new(parameters: &Parameters) -> Self {
        Self(vec![None; parameters.len()])
    }

    /// Adds to a tensor's gradient.
    pub fn add(&mut self, id: ParameterId, gradient: Tensor) -> Result<(), NativeError> {
        let sum = &mut self.0[id.0];
        *sum = Some(match sum.take() {
            Some(sum) => add(sum, &gradient)?,
            None => gradient,
        });
        Ok(())
    }

    /// Adds `scale` · `lhs` · `rhs` to the gradient of a tensor of `shape` in the host's memory.
    pub(crate) fn add_product(
        &mut self,
        id: ParameterId,
        shape: (usize, usize),
        lhs: Matrix<'_>,
        rhs: Matrix<'_>,
        scale: f32,
    ) -> Result<(), NativeError> {
        let (rows, columns) = shape;
        let product = |values: &mut [f32], existing| {
            let product = MatrixMut::new(values, rows, columns);
            multiply(product, lhs, rhs, scale, existing, Threads::All);
        };
        if let Some(sum) = &self.0[id.0] {
            host::change(sum, |values| product(values, Existing::Added))?;
        } else {
            let mut values = vec![0.0; rows * columns];
            product(&mut values, Existing::Replaced);
            self.0[id.0] = Some(host::tensor(values, shape)?);
        }
        Ok(())
    }

    /// Returns a tensor's gradient, if it got any.
    pub fn get(&self, id: ParameterId) -> Option<&Tensor> {
        self.0[id.0].as_ref()
    }

    /// Replaces a tensor's gradient.
    pub fn set(&mut self, id: ParameterId, gradient: Tensor) {
        self.0[id.0] = Some(gradient);
    }
}
