//! The states of a function between runs.
//!
//! Owns: their buffers, which go into the engine by value so that it may change them in place.
//! Flow: [`crate::Session::new_state`] → [`crate::Session::run_with_state`], as often as wanted.

use crate::engine::{Buffer, Tensor};
use crate::error::Error;
use crate::onnx::ElementType;
use crate::outputs::{copy, data_type};
use crate::translation::Port;
use coreml_spec::{Elements, ElementsMut, Feature, Function};
use half::slice::HalfFloatSliceExt;
use std::sync::Arc;

/// What the states of a function hold.
#[derive(Clone, Debug)]
pub struct State {
    /// The interface; orders the states.
    function: Arc<Function>,
    /// For each state feature, its position in `tensors`.
    positions: Vec<Option<usize>>,
    /// The tensors, in the engine's order.
    pub(crate) tensors: Vec<Tensor>,
}

impl State {
    /// Makes states with all elements zero.
    pub(crate) fn zero(function: Arc<Function>, states: &[(usize, Port)]) -> Result<Self, Error> {
        let mut positions = vec![None; function.states.len()];
        let mut tensors = Vec::with_capacity(states.len());
        for (feature, port) in states {
            let dims: Option<Vec<usize>> = port.ty.dims.iter().copied().collect();
            let dims = dims.ok_or_else(|| {
                Error::invalid(format!("the shape of the state `{}` varies", port.name))
            })?;
            let buffer = match port.element {
                ElementType::Float => zeros(&dims).map(Buffer::Float),
                _ => zeros(&dims).map(Buffer::Int),
            };
            let buffer = buffer.ok_or_else(|| {
                Error::invalid(format!(
                    "there is no memory for the state `{}` of shape {dims:?}",
                    port.name
                ))
            })?;
            positions[*feature] = Some(tensors.len());
            tensors.push(Tensor { dims, buffer });
        }
        Ok(Self { function, positions, tensors })
    }

    /// Returns the size of each dimension of a state.
    ///
    /// Parameters: `index` — position in the function's states.
    /// Errors: there is no such state.
    pub fn dims(&self, index: usize) -> Result<&[usize], Error> {
        Ok(&self.find(index)?.1.dims)
    }

    /// Copies the elements of a state, row by row.
    ///
    /// Parameters: `index` — position in the function's states; `into` — of the state's own type
    /// and length.
    /// Errors: there is no such state, or `into` does not fit.
    pub fn copy_to(&self, index: usize, into: ElementsMut<'_>) -> Result<(), Error> {
        let (feature, tensor) = self.find(index)?;
        copy(feature, tensor, into)
    }

    /// Replaces the elements of a state.
    ///
    /// Parameters: `index` — position in the function's states; `from` — of the state's own type
    /// and length.
    /// Errors: there is no such state, or `from` does not fit.
    pub fn copy_from(&mut self, index: usize, from: Elements<'_>) -> Result<(), Error> {
        let (feature, tensor) = self.find(index)?;
        let (wanted, count): (_, usize) = (data_type(feature), tensor.dims.iter().product());
        if from.data_type() != wanted || from.len() != count {
            return Err(Error::invalid(format!(
                "state `{}` has {count} elements of type {wanted}, but {} of type {} were given",
                feature.name,
                from.len(),
                from.data_type()
            )));
        }
        let buffer = match from {
            Elements::Float16(from) => Buffer::Float(from.to_f32_vec()),
            Elements::Float32(from) => Buffer::Float(from.to_vec()),
            Elements::Float64(from) => {
                Buffer::Float(from.iter().map(|element| *element as f32).collect())
            }
            Elements::Int32(from) => Buffer::Int(from.to_vec()),
            Elements::Int8(from) => {
                Buffer::Int(from.iter().map(|element| i32::from(*element)).collect())
            }
        };
        if let Some(tensor) =
            self.positions[index].and_then(|position| self.tensors.get_mut(position))
        {
            tensor.buffer = buffer;
        }
        Ok(())
    }

    /// Compares the states with those of a session's function.
    pub(crate) fn check(&self, states: &[(usize, Port)]) -> Result<(), Error> {
        if self.tensors.len() != states.len() {
            return Err(Error::invalid(
                "the state is not of this function; take one from `new_state` of its session",
            ));
        }
        for (tensor, (_, port)) in self.tensors.iter().zip(states) {
            let same = tensor.dims.len() == port.ty.dims.len();
            if !same
                || tensor
                    .dims
                    .iter()
                    .zip(&port.ty.dims)
                    .any(|(size, wanted)| Some(*size) != *wanted)
            {
                let (name, given) = (&port.name, &tensor.dims);
                return Err(Error::invalid(format!(
                    "the state `{name}` of shape {given:?} is not of this function"
                )));
            }
            if tensor.buffer.numbers().len() != tensor.dims.iter().product::<usize>() {
                let name = &port.name;
                return Err(Error::invalid(format!(
                    "the state `{name}` was lost when a run failed; start again with `new_state`"
                )));
            }
        }
        Ok(())
    }

    /// Returns a state with its feature.
    fn find(&self, index: usize) -> Result<(&Feature, &Tensor), Error> {
        let feature = self.function.states.get(index);
        let tensor = self
            .positions
            .get(index)
            .copied()
            .flatten()
            .and_then(|position| self.tensors.get(position));
        feature.zip(tensor).ok_or_else(|| {
            Error::invalid(format!(
                "there is no state {index}; there are {}",
                self.function.states.len()
            ))
        })
    }
}

/// Returns zeros for a tensor, or `None` when there is no memory for them.
fn zeros<T: Clone + Default>(dims: &[usize]) -> Option<Vec<T>> {
    let count = dims.iter().try_fold(1_usize, |count, size| count.checked_mul(*size))?;
    let mut elements = Vec::new();
    elements.try_reserve_exact(count).ok()?;
    elements.resize(count, T::default());
    Some(elements)
}
