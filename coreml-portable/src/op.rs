//! What a row of the table of MIL operations is.
//!
//! Owns: [`Op`] with its versions, parameters and limits, and the constructors that rows use.
//! Must not: know an operation.
//! Flow: the families in `ops/` make rows; `ops.rs` lists them; `emitter.rs` calls them.

use crate::args::Args;
use crate::constant::Expand;
use crate::engine_kind::EngineKind;
use crate::error::OpError;
use crate::graph::Graph;
use crate::limit::Limit;

/// Opsets of MIL, each with the operations of the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Opset {
    /// iOS 15, macOS 12.
    CoreML5,
    /// iOS 16, macOS 13.
    CoreML6,
    /// iOS 17, macOS 14.
    CoreML7,
    /// iOS 18, macOS 15.
    CoreML8,
    /// iOS 26, macOS 26.
    CoreML9,
}

impl Opset {
    /// All opsets, oldest first.
    pub const ALL: [Self; 5] =
        [Self::CoreML5, Self::CoreML6, Self::CoreML7, Self::CoreML8, Self::CoreML9];

    /// Returns the name that programs use.
    pub fn name(self) -> &'static str {
        match self {
            Self::CoreML5 => "CoreML5",
            Self::CoreML6 => "CoreML6",
            Self::CoreML7 => "CoreML7",
            Self::CoreML8 => "CoreML8",
            Self::CoreML9 => "CoreML9",
        }
    }

    /// Returns the opset of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|opset| opset.name() == name)
    }
}

/// A parameter of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Name, exactly MIL's.
    pub name: &'static str,
    /// Whether the operation must have this argument.
    pub required: bool,
}

/// Returns a parameter that an operation must have.
pub(crate) const fn req(name: &'static str) -> Param {
    Param { name, required: true }
}

/// Returns a parameter that an operation may have.
pub(crate) const fn opt(name: &'static str) -> Param {
    Param { name, required: false }
}

/// How an operation is expressed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Emit {
    /// Appends the nodes of one operation and hands its results to [`Graph::give`].
    Nodes(EmitNodes),
    /// Computes constants from constants, when a node or another operation needs them.
    Constants(Expand),
    /// The operation is its own value: `const`.
    Literal,
}

/// See [`Emit::Nodes`].
pub(crate) type EmitNodes = fn(&Args<'_, '_>, &mut Graph) -> Result<(), OpError>;

/// One MIL operation as the translator knows it. A row is the whole registration.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// Name, exactly MIL's.
    pub name: &'static str,
    /// The versions that this row implements, oldest first, each by the first opset that has it.
    pub versions: &'static [Opset],
    /// The parameters.
    pub params: &'static [Param],
    /// What it cannot express.
    pub limits: &'static [Limit],
    /// How it is expressed in ONNX.
    pub(crate) emit: Emit,
}

impl Op {
    /// Returns the latest version that a program of some opset can have of this row.
    pub fn version_in(&self, opset: Opset) -> Option<Opset> {
        self.versions.iter().copied().filter(|version| *version <= opset).max()
    }

    /// Returns why an engine can never run the operation; `None` when it can.
    ///
    /// Parameters: `engine` — `None` for an engine that has all of ONNX.
    pub fn refusal(&self, engine: Option<EngineKind>) -> Option<&'static str> {
        let concerns =
            |limit: &Limit| engine.map_or(limit.engine.is_none(), |engine| limit.concerns(engine));
        self.limits.iter().find(|limit| limit.always && concerns(limit)).map(|limit| limit.reason)
    }

    /// Says what the row cannot express: the limits that it raises.
    pub(crate) const fn limited(self, limits: &'static [Limit]) -> Self {
        Self { limits, ..self }
    }
}

/// Returns the row of an operation that becomes nodes.
pub(crate) const fn op(
    name: &'static str,
    versions: &'static [Opset],
    params: &'static [Param],
    emit: EmitNodes,
) -> Op {
    Op { name, versions, params, limits: &[], emit: Emit::Nodes(emit) }
}

/// Returns the row of an operation that becomes constants.
pub(crate) const fn constant(
    name: &'static str,
    versions: &'static [Opset],
    params: &'static [Param],
    expand: Expand,
) -> Op {
    Op { name, versions, params, limits: &[], emit: Emit::Constants(expand) }
}
