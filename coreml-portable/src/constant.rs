//! Constants of a program: literals, and what `constexpr_*` operations make of them.
//!
//! Owns: when an expression is computed: each time that its value is needed, so that expanded
//! weights live no longer than it takes to copy them into the graph.
//! Must not: know single operations; `ops/constexpr.rs` does.
//! Flow: `emitter.rs` binds constants in a scope; `args.rs` and `graph.rs` read them.

use crate::error::OpError;
use crate::program::TensorType;
use coreml_spec::{Constant, DataType};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Computes the outputs of an operation from its constant arguments.
pub(crate) type Expand = fn(&Arguments<'_>) -> Result<Vec<Expanded>, OpError>;

/// A constant of a program.
#[derive(Clone, Debug)]
pub(crate) struct ConstantEntry<'a> {
    /// Different for different constants.
    pub(crate) identity: usize,
    /// Type.
    pub(crate) ty: TensorType,
    /// Where the elements come from.
    source: Source<'a>,
}

/// Where the elements of a constant come from.
#[derive(Clone, Debug)]
enum Source<'a> {
    /// The package.
    Literal(Rc<Constant<'a>>),
    /// An operation on constants, and which of its outputs.
    Expression(Rc<Expression<'a>>, usize),
}

/// An operation on constants.
#[derive(Debug)]
struct Expression<'a> {
    /// What computes it.
    expand: Expand,
    /// Its arguments.
    arguments: Arguments<'a>,
}

/// The arguments of an operation on constants.
#[derive(Debug)]
pub(crate) struct Arguments<'a>(BTreeMap<&'a str, ConstantEntry<'a>>);

/// Elements that an operation on constants made.
#[derive(Clone, Debug)]
pub(crate) struct Expanded {
    /// Size of each dimension.
    pub(crate) dims: Vec<usize>,
    /// The elements, whatever their type.
    pub(crate) elements: Vec<f32>,
}

impl<'a> ConstantEntry<'a> {
    /// Returns a constant that the package holds.
    pub(crate) fn literal(identity: usize, constant: Constant<'a>) -> Self {
        let dims = constant.dims.iter().copied().map(Some).collect();
        let ty = TensorType { data_type: constant.data_type, dims };
        Self { identity, ty, source: Source::Literal(Rc::new(constant)) }
    }

    /// Returns the outputs of an operation on constants.
    ///
    /// Parameters: `identity` — of the operation; its outputs get the numbers from there on.
    pub(crate) fn expressions(
        identity: usize,
        types: Vec<TensorType>,
        expand: Expand,
        arguments: BTreeMap<&'a str, Self>,
    ) -> Vec<Self> {
        let expression = Rc::new(Expression { expand, arguments: Arguments(arguments) });
        let entry = |(index, ty)| Self {
            identity: identity + index,
            ty,
            source: Source::Expression(Rc::clone(&expression), index),
        };
        types.into_iter().enumerate().map(entry).collect()
    }

    /// Returns the elements, with their type: single precision or 32-bit integers when they were
    /// computed.
    pub(crate) fn value(&self) -> Result<Cow<'_, Constant<'a>>, OpError> {
        let (expression, index) = match &self.source {
            Source::Literal(constant) => return Ok(Cow::Borrowed(constant)),
            Source::Expression(expression, index) => (expression, *index),
        };
        let mut outputs = (expression.expand)(&expression.arguments)?;
        if index >= outputs.len() {
            return Err(OpError::invalid(format!(
                "the operation gives {} constants only",
                outputs.len()
            )));
        }
        let Expanded { dims, elements } = outputs.swap_remove(index);
        let declared = self.ty.dims.iter().copied().collect::<Option<Vec<usize>>>();
        if declared.as_ref() != Some(&dims) || dims.iter().product::<usize>() != elements.len() {
            return Err(OpError::invalid(format!(
                "it gives the shape {dims:?}, but the program says {declared:?}"
            )));
        }
        let integer = !matches!(
            self.ty.data_type,
            DataType::Float16 | DataType::Float32 | DataType::BFloat16
        );
        let bytes = if integer {
            elements.iter().flat_map(|element| (*element as i32).to_le_bytes()).collect()
        } else {
            elements.into_iter().flat_map(f32::to_le_bytes).collect()
        };
        let data_type = if integer { DataType::Int32 } else { DataType::Float32 };
        Ok(Cow::Owned(Constant { data_type, dims, bytes: Cow::Owned(bytes), strings: &[] }))
    }
}

impl<'a> Arguments<'a> {
    /// Returns an argument, or `None` when it is absent.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Cow<'_, Constant<'a>>>, OpError> {
        self.0.get(name).map(ConstantEntry::value).transpose()
    }

    /// Returns a required argument.
    pub(crate) fn need(&self, name: &str) -> Result<Cow<'_, Constant<'a>>, OpError> {
        self.get(name)?.ok_or_else(|| OpError::invalid(format!("argument `{name}` is missing")))
    }
}
