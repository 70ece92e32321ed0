//! The samples beside the packages: inputs by name.
//!
//! Owns: reading them, and ordering them for a function. Must not: run anything.

use coreml_spec::{Elements, Function, TensorRef};
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::Path;

/// Elements of a sample.
pub(crate) enum Numbers {
    /// Single precision.
    Floats(Vec<f32>),
    /// 32-bit integers.
    Ints(Vec<i32>),
}

/// An input of a sample.
pub(crate) struct Input {
    /// Size of each dimension.
    pub(crate) dims: Vec<usize>,
    /// The elements.
    pub(crate) numbers: Numbers,
}

/// The inputs of a sample by name.
pub(crate) struct Sample(pub(crate) BTreeMap<String, Input>);

impl Sample {
    /// Reads the first sample of a package, or step `number` where there are steps.
    pub(crate) fn read(package: &Path, number: usize) -> Self {
        let path = package.with_extension("safetensors");
        let bytes =
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let tensors = SafeTensors::deserialize(&bytes).expect("samples are sound");
        let (step, single) = (format!("step{number}/in/"), "in/");
        let named = tensors.tensors().into_iter().filter_map(|(key, view)| {
            let name = key.strip_prefix(&step).or_else(|| key.strip_prefix(single))?;
            let numbers = match view.dtype() {
                Dtype::F32 => Numbers::Floats(words(view.data()).map(f32::from_le_bytes).collect()),
                Dtype::I32 => Numbers::Ints(words(view.data()).map(i32::from_le_bytes).collect()),
                other => panic!("{key} is {other:?}"),
            };
            Some((name.to_owned(), Input { dims: view.shape().to_vec(), numbers }))
        });
        Self(named.collect())
    }

    /// Returns the inputs in the order of a function.
    pub(crate) fn ordered(&self, function: &Function) -> Vec<TensorRef<'_>> {
        let input = |name: &str| {
            self.0.get(name).unwrap_or_else(|| panic!("the samples lack the input {name}"))
        };
        let inputs = function.inputs.iter().map(|feature| input(&feature.name));
        inputs.map(|input| TensorRef { dims: &input.dims, elements: input.elements() }).collect()
    }
}

impl Input {
    /// Borrows the elements.
    fn elements(&self) -> Elements<'_> {
        match &self.numbers {
            Numbers::Floats(floats) => Elements::Float32(floats),
            Numbers::Ints(ints) => Elements::Int32(ints),
        }
    }
}

/// Returns elements of four bytes.
fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    bytes.as_chunks().0.iter().copied()
}
