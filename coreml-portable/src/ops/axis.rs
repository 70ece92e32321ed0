//! The axes of an image that is resized: their sizes, known or computed, and their scale factors.
//!
//! Owns: the arithmetic of sizes and factors.
//! Flow: `image.rs` makes axes of the arguments; it and `nearest.rs` resize along them.

use crate::args::Args;
use crate::error::OpError;
use crate::graph::{Graph, Value};
use crate::onnx::ElementType;

/// Largest numerator and denominator of a scale factor as a fraction, so that the product with a
/// size fits 32 bits.
const LARGEST_TERM: u64 = 1 << 12;

/// The new size of an axis.
pub(super) struct Axis {
    /// Which.
    pub(super) axis: usize,
    /// Its size; `None` when it varies.
    pub(super) input: Option<usize>,
    /// Its new size; `None` when it varies.
    pub(super) output: Option<usize>,
    /// What its size is multiplied by, when that is given.
    pub(super) factor: Option<Factor>,
}

/// A scale factor.
///
/// PyTorch has it in double precision and a package in single. The simplest fraction that rounds to
/// the package's number is PyTorch's, be it a decimal that somebody wrote or a quotient of sizes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factor {
    /// The package's number.
    value: f32,
    /// Numerator and denominator, when there are small ones.
    fraction: Option<(i64, i64)>,
}

impl Factor {
    /// Returns a positive factor.
    pub(super) fn new(value: f32) -> Self {
        // Convergents of the continued fraction, each closer than the one before.
        let (mut before, mut now) = ((0_u64, 1_u64), (1_u64, 0_u64));
        let mut rest = f64::from(value);
        let mut fraction = None;
        loop {
            let whole = rest.floor();
            if whole > LARGEST_TERM as f64 {
                break;
            }
            let next = |before: u64, now: u64| whole as u64 * now + before;
            (before, now) = (now, (next(before.0, now.0), next(before.1, now.1)));
            if now.0 > LARGEST_TERM || now.1 > LARGEST_TERM {
                break;
            }
            if (now.0 as f64 / now.1 as f64) as f32 == value {
                fraction = Some((now.0 as i64, now.1 as i64));
                break;
            }
            rest = 1.0 / (rest - whole);
        }
        Self { value, fraction }
    }

    /// Returns whether the factor is 1, 2, 4, 8, ….
    pub(super) fn is_power_of_two(self) -> bool {
        matches!(self.fraction, Some((numerator, 1)) if numerator.count_ones() == 1)
    }

    /// Returns how far apart in the input the pixels of the output are.
    pub(super) fn step(self) -> f32 {
        match self.fraction {
            Some((numerator, denominator)) => (denominator as f64 / numerator as f64) as f32,
            None => (1.0 / f64::from(self.value)) as f32,
        }
    }

    /// Appends nodes that multiply a size, a vector of one integer, and round down.
    pub(super) fn apply(self, g: &mut Graph, size: &Value) -> Value {
        if let Some((numerator, denominator)) = self.fraction {
            let (numerator, denominator) = (g.ints(&[numerator]), g.ints(&[denominator]));
            let product = g.node("Mul", &[size, &numerator], Vec::new());
            return g.node("Div", &[&product, &denominator], Vec::new());
        }
        let size = g.cast(size, ElementType::Float);
        let product = g.scale(&size, self.value);
        let whole = g.node("Floor", &[&product], Vec::new());
        g.cast(&whole, ElementType::Int64)
    }
}

/// Returns one size of a shape, as a vector.
pub(super) fn size_of(g: &mut Graph, shape: &Value, axis: usize) -> Value {
    let axis = axis as i64;
    g.slice(shape, &[axis], &[axis + 1], &[0], &[1])
}

/// Returns the error of an axis that is resized to nothing that the program says.
pub(super) fn without_size() -> OpError {
    OpError::invalid("an axis that it resizes has neither a new size nor a scale factor")
}

/// Returns the sizes of all axes after resizing some.
///
/// Errors: one that is resized has neither a new size nor a scale factor.
pub(super) fn output_sizes(
    a: &Args<'_, '_>,
    g: &mut Graph,
    x: &Value,
    axes: &[Axis],
) -> Result<Value, OpError> {
    let dims = a.ty("x")?.dims;
    let shape = if dims.iter().all(Option::is_some) { None } else { Some(g.shape(x)) };
    let (mut known, mut parts) = (Vec::new(), Vec::new());
    for (index, size) in dims.iter().enumerate() {
        let axis = axes.iter().find(|axis| axis.axis == index);
        let size = axis.map_or(*size, |axis| axis.output);
        known.push(size.and_then(|size| i64::try_from(size).ok()));
        parts.push(match (size, axis, &shape) {
            (Some(size), _, _) => g.ints(&[size as i64]),
            (None, None, Some(shape)) => size_of(g, shape, index),
            (None, Some(Axis { factor: Some(factor), .. }), Some(shape)) => {
                let size = size_of(g, shape, index);
                factor.apply(g, &size)
            }
            _ => return Err(without_size()),
        });
    }
    if let Some(sizes) = known.into_iter().collect::<Option<Vec<_>>>() {
        return Ok(g.ints(&sizes));
    }
    Ok(g.concat(&parts.iter().collect::<Vec<_>>(), 0))
}

#[cfg(test)]
mod tests {
    use super::Factor;

    #[test]
    fn a_factor_is_the_fraction_that_was_meant() {
        // PyTorch has 1 / 0.55 and 7 / 9 in double precision, rounded to single.
        for (value, step) in [
            (0.55_f32, (1.0 / 0.55_f64) as f32),
            (1.05, (1.0 / 1.05_f64) as f32),
            (9.0 / 7.0, 7.0 / 9.0),
            (2.0, 0.5),
            (1.0, 1.0),
            (41.0, (1.0 / 41.0_f64) as f32),
            (std::f32::consts::PI, (1.0 / f64::from(std::f32::consts::PI)) as f32),
        ] {
            assert_eq!(Factor::new(value).step(), step, "{value}");
        }
    }
}
