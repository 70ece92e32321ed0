//! What the shapes of several inputs must agree on. The type of each input checks it alone.
//!
//! Owns: the check before a prediction, the same on every backend: Core ML silently broadcasts a
//! mask of length 1.
//! Must not: check one input alone, or allocate where nothing is wrong.
//! Flow: `model.rs` makes one [`Agreement`] when it loads, and calls it before each prediction.

use crate::shape::ShapeError;
use crate::slot::InputRef;
use coreml_spec::{Dimension, Feature, FeatureKind, Flexibility, Function, Shape};

/// The rules of one function.
pub(crate) struct Agreement {
    /// Names of the inputs, by position.
    names: Vec<String>,
    /// Position and shapes of the inputs with enumerated shapes, where there are several; otherwise
    /// empty.
    paired: Vec<(usize, Vec<Vec<usize>>)>,
    /// Dimensions that have one size: input and axis of each.
    equal: Vec<Vec<(usize, usize)>>,
}

impl Agreement {
    /// Returns the rules of a function.
    pub(crate) fn of(function: &Function) -> Self {
        let place = |dimension: &Dimension| {
            let input = function.inputs.iter().position(|input| input.name == dimension.feature)?;
            Some((input, dimension.axis))
        };
        let symbols = function.symbols.iter().filter(|symbol| symbol.inputs.len() > 1);
        Self {
            names: function.inputs.iter().map(|input| input.name.clone()).collect(),
            paired: paired(&function.inputs),
            equal: symbols.map(|symbol| symbol.inputs.iter().filter_map(place).collect()).collect(),
        }
    }

    /// Refuses inputs whose shapes do not agree.
    pub(crate) fn check(&self, inputs: &[InputRef<'_>]) -> Result<(), ShapeError> {
        self.check_pairs(inputs)?;
        self.equal.iter().try_for_each(|places| self.check_sizes(places, inputs))
    }

    /// Refuses dimensions of one symbol that differ in size.
    fn check_sizes(
        &self,
        places: &[(usize, usize)],
        inputs: &[InputRef<'_>],
    ) -> Result<(), ShapeError> {
        let mut first: Option<(usize, usize, usize)> = None;
        for &(at, axis) in places {
            // An input that is missing, the backend refuses.
            let Some(size) = inputs.get(at).and_then(|input| size(input, axis)) else { continue };
            let &mut (other, other_axis, expected) = first.get_or_insert((at, axis, size));
            if size != expected {
                let named = |at: usize| self.names.get(at).cloned().unwrap_or_default();
                let sizes = [(named(other), other_axis, expected), (named(at), axis, size)];
                return Err(ShapeError::UnequalSizes { sizes });
            }
        }
        Ok(())
    }

    /// Refuses enumerated shapes at different positions of their lists: no graph was converted for
    /// them.
    fn check_pairs(&self, inputs: &[InputRef<'_>]) -> Result<(), ShapeError> {
        let mut chosen: Option<(usize, usize)> = None;
        for (at, shapes) in &self.paired {
            let Some(tensor) = inputs.get(*at).and_then(InputRef::tensor) else { continue };
            // The backend refuses a shape that is not in the list.
            let Some(position) = shapes.iter().position(|shape| shape == tensor.dims) else {
                continue;
            };
            match chosen {
                Some((first, other)) if other != position => {
                    let given = |at: usize| {
                        let dims = inputs
                            .get(at)
                            .and_then(InputRef::tensor)
                            .map(|tensor| tensor.dims.to_vec());
                        (self.names.get(at).cloned().unwrap_or_default(), dims.unwrap_or_default())
                    };
                    return Err(ShapeError::Unpaired { shapes: [given(first), given(*at)] });
                }
                Some(_) => {}
                None => chosen = Some((*at, position)),
            }
        }
        Ok(())
    }
}

/// Returns the size of one dimension of an input, an image counting as
/// `[1, channels, height, width]`.
fn size(input: &InputRef<'_>, axis: usize) -> Option<usize> {
    match (input, axis) {
        (InputRef::Image(image), 2) => Some(image.height),
        (InputRef::Image(image), 3) => Some(image.width),
        (InputRef::Image(_), _) => None,
        (InputRef::Tensor(tensor) | InputRef::Shared(tensor, _), _) => {
            tensor.dims.get(axis).copied()
        }
    }
}

/// Returns position and shapes of the inputs with enumerated shapes, if there are several.
fn paired(inputs: &[Feature]) -> Vec<(usize, Vec<Vec<usize>>)> {
    let shapes = |input: &Feature| match &input.kind {
        FeatureKind::MultiArray {
            shape: Shape { flexibility: Flexibility::Enumerated(shapes), .. },
            ..
        } => Some(shapes.clone()),
        _ => None,
    };
    let all: Vec<_> =
        inputs.iter().enumerate().filter_map(|(at, input)| Some((at, shapes(input)?))).collect();
    if all.len() > 1 { all } else { Vec::new() }
}
