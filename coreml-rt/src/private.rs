//! Names for generated code only.
//!
//! Owns: the list of names that `coreml-macros` may write besides the public ones, and the check
//! that both crates have one version. Not part of the public API: it changes without notice.

pub use crate::bucketed::BucketedModel;
pub use crate::description::{Description, EmbeddedFiles};
pub use crate::embedded::bytes as embedded_bytes;
pub use crate::file::{FileDescription, Files};
pub use crate::fitting::assert_resizes;
pub use crate::label::parse as parse_label;
pub use crate::model::Model;
pub use crate::model::load_async;
pub use crate::parity::{test as parity_test, test_buckets as parity_test_of_buckets};
pub use crate::slot::{InputRef, InputSlot, OutputSlot, Outputs};
pub use crate::state::State;
pub use coreml_spec::{ComputeUnits, Fitting, Kept, Resize};

/// Stops the compilation when generated code comes from another version of `coreml-macros`.
///
/// Called by: a constant of every generated module.
/// Parameters: `macros` — the version of the macro crate.
pub const fn assert_same_version(macros: &str) {
    let (macros, runtime) = (macros.as_bytes(), env!("CARGO_PKG_VERSION").as_bytes());
    let mut same = macros.len() == runtime.len();
    let mut at = 0;
    while same && at < runtime.len() {
        same = macros[at] == runtime[at];
        at += 1;
    }
    assert!(
        same,
        "coreml-macros and coreml-rt have different versions: depend only on coreml-rt in \
         Cargo.toml, and run `cargo update`"
    );
}
