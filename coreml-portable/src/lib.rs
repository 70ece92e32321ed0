//! Runs Core ML ML Programs anywhere, by translating them to ONNX for a well-kept engine.
//!
//! Owns: the table of MIL operations (one row each), the translation to ONNX, sessions on an
//! engine.
//! Must not: know typed structs, Cargo or Apple's frameworks; hold arithmetic kernels of its own.
//! Flow: `coreml-rt` opens a [`coreml_spec::Package`] and loads a [`Session`]; the session
//! translates once and then runs as often as wanted.

mod args;
mod constant;
mod dialect;
mod emitter;
mod engine;
mod engine_kind;
mod error;
mod export;
mod findings;
mod graph;
mod limit;
mod onnx;
mod op;
mod ops;
mod outputs;
mod program;
mod scope;
mod session;
mod shape_check;
mod state;
mod translate;
mod translation;
mod weights;

pub use engine_kind::EngineKind;
pub use error::{Error, Problem, Unsupported};
pub use export::{Onnx, to_onnx};
pub use limit::Limit;
pub use op::{Op, Opset, Param};
pub use ops::operations;
pub use outputs::Outputs;
pub use session::{Keeper, Options, Session};
pub use state::State;
