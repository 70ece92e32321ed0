//! Short forms of nodes that many rows append.
//!
//! Owns: nothing; each method is one or two nodes with their constants.
//! Flow: rows → here → [`Graph::node`].

use super::{Graph, Value};
use crate::onnx::{AttributeProto, ElementType};

impl Graph {
    /// Converts elements.
    pub(crate) fn cast(&mut self, x: &Value, to: ElementType) -> Value {
        self.node("Cast", &[x], vec![AttributeProto::int("to", i64::from(to.code()))])
    }

    /// Permutes dimensions.
    pub(crate) fn transpose(&mut self, x: &Value, perm: &[i64]) -> Value {
        if perm.iter().zip(0..).all(|(from, to)| *from == to) {
            return x.clone();
        }
        self.node("Transpose", &[x], vec![AttributeProto::ints("perm", perm)])
    }

    /// Gives a tensor another shape; -1 is what remains, 0 keeps a size.
    pub(crate) fn reshape(&mut self, x: &Value, shape: &[i64]) -> Value {
        let shape = self.ints(shape);
        self.node("Reshape", &[x, &shape], Vec::new())
    }

    /// Inserts dimensions of size 1 at `axes` of the result.
    pub(crate) fn unsqueeze(&mut self, x: &Value, axes: &[i64]) -> Value {
        if axes.is_empty() {
            return x.clone();
        }
        let axes = self.ints(axes);
        self.node("Unsqueeze", &[x, &axes], Vec::new())
    }

    /// Removes dimensions of size 1 at `axes`.
    pub(crate) fn squeeze(&mut self, x: &Value, axes: &[i64]) -> Value {
        if axes.is_empty() {
            return x.clone();
        }
        let axes = self.ints(axes);
        self.node("Squeeze", &[x, &axes], Vec::new())
    }

    /// Joins tensors along an axis.
    pub(crate) fn concat(&mut self, parts: &[&Value], axis: i64) -> Value {
        if let [only] = parts {
            return (*only).clone();
        }
        self.node("Concat", parts, vec![AttributeProto::int("axis", axis)])
    }

    /// Takes a range of each of `axes`, ends exclusive.
    pub(crate) fn slice(
        &mut self,
        x: &Value,
        starts: &[i64],
        ends: &[i64],
        axes: &[i64],
        steps: &[i64],
    ) -> Value {
        let (starts, ends, axes, steps) =
            (self.ints(starts), self.ints(ends), self.ints(axes), self.ints(steps));
        self.node("Slice", &[x, &starts, &ends, &axes, &steps], Vec::new())
    }

    /// Returns the shape, as 64-bit integers.
    pub(crate) fn shape(&mut self, x: &Value) -> Value {
        self.node("Shape", &[x], Vec::new())
    }

    /// Reduces along `axes`; all when empty.
    pub(crate) fn reduce(
        &mut self,
        op_type: &str,
        x: &Value,
        axes: &[i64],
        keep_dims: bool,
    ) -> Value {
        let attributes = vec![AttributeProto::int("keepdims", i64::from(keep_dims))];
        if axes.is_empty() {
            return self.node(op_type, &[x], attributes);
        }
        let axes = self.ints(axes);
        self.node(op_type, &[x, &axes], attributes)
    }

    /// Takes the elements of `x` where a condition holds, those of `y` elsewhere.
    ///
    /// Parameters: `element` — the type of both.
    pub(crate) fn choose(
        &mut self,
        condition: &Value,
        x: &Value,
        y: &Value,
        element: ElementType,
    ) -> Value {
        if element != ElementType::Bool {
            return self.node("Where", &[condition, x, y], Vec::new());
        }
        // ONNX Runtime has no Where of truth values.
        let chosen = self.node("And", &[condition, x], Vec::new());
        let otherwise = self.node("Not", &[condition], Vec::new());
        let rest = self.node("And", &[&otherwise, y], Vec::new());
        self.node("Or", &[&chosen, &rest], Vec::new())
    }

    /// Returns the position of the largest element along an axis, the first of equals.
    pub(crate) fn argmax(&mut self, x: &Value, axis: i64, keep_dims: bool) -> Value {
        self.position(x, axis, keep_dims, true)
    }

    /// Returns the position of the largest or smallest element along an axis, the first of equals.
    pub(crate) fn position(
        &mut self,
        x: &Value,
        axis: i64,
        keep_dims: bool,
        largest: bool,
    ) -> Value {
        // ArgMax takes the last of equals in rten, and passes over NaN in ONNX Runtime.
        let one = self.ints(&[1]);
        let axis_attribute = AttributeProto::int("axis", axis);
        let attributes = vec![axis_attribute, AttributeProto::int("largest", i64::from(largest))];
        let best = self.nodes("TopK", &[x, &one], 2, attributes);
        if keep_dims { best[1].clone() } else { self.squeeze(&best[1], &[axis]) }
    }

    /// Multiplies by a constant; nothing when that is 1.
    pub(crate) fn scale(&mut self, x: &Value, factor: f32) -> Value {
        if factor == 1.0 {
            return x.clone();
        }
        let factor = self.float(factor);
        self.node("Mul", &[x, &factor], Vec::new())
    }
}
