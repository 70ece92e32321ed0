//! The protobuf messages of a specification (`model.mlmodel`), as far as this workspace reads them.
//!
//! Owns: field numbers and nesting, declared by hand so that no `protoc` is needed.
//! Must not: interpret; the meaning is read in `describe.rs` and `constant.rs`.
//! Flow: decoded once by [`crate::Package::open`], read by `describe.rs` and by translators of ML
//! Programs.
//!
//! Names follow Core ML's `Model.proto`, `FeatureTypes.proto` and `MIL.proto`. A `oneof` is a field
//! called `kind` and an enum whose name ends in `Kind`. Enumerations stay numbers:
//! [`crate::DataType`] gives them names. Maps are ordered, so that everything made from them is the
//! same on every run.

mod model;
mod program;
mod value;
mod value_type;

pub use model::*;
pub use program::*;
pub use value::*;
pub use value_type::*;
