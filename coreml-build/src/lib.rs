//! Converts PyTorch models to Core ML during `cargo build`.
//!
//! In `build.rs`:
//! ```no_run
//! coreml_build::compile("whisper.toml");
//! ```
//! and in the crate `#[coreml_rt::coreml_model("whisper.toml")] pub mod whisper {}`.
//!
//! Owns: the calls that a build script makes. Everything else is a module: manifest → fingerprint →
//! cache → (on a miss Python environment → driver) → `OUT_DIR` → directives.
//! Must not: write Rust code, start Python on a cache hit, write into the source tree, panic.
//! Flow: build script → [`compile_all`] → `cargo.rs` (environment) → [`Session`] → `cargo.rs`
//! (lines for cargo). The attribute macro then reads the index that the session left in `OUT_DIR`.

mod cache;
mod cargo;
mod child;
mod compiler;
mod config;
mod convert;
mod delivery;
mod digest;
pub mod doctor;
mod driver;
mod embed;
mod embedded;
mod error;
mod fingerprint;
mod lock;
mod lookup;
mod manifest;
mod materialize;
mod nearest;
mod python;
mod ready;
mod remote;
mod selection;
mod session;
mod status;
mod upkeep;

pub use cache::{Collected, Damage, Listed};
pub use compiler::compile as compile_packages;
pub use config::Limits;
pub use embed::{Library, Target};
pub use error::{Error, ErrorKind, Place, PythonPlace};
pub use lock::Locking;
pub use python::PythonOptions;
pub use remote::Remote;
pub use selection::Selection;
pub use session::{Build, BuiltModel, Options, Policy, Session};
pub use status::{Observer, Progress};
pub use upkeep::{Moved, Moves, Whereabouts};

/// Converts the models of a manifest, unless the cache has them, and leaves them where the
/// attribute macro finds them.
///
/// Parameters: `manifest` — path relative to the package, exactly as in the attribute.
///
/// An error does not fail the build script: the attribute shows it, in cargo and in an editor
/// alike. Set `COREML_STRICT=1` to fail here.
pub fn compile(manifest: impl AsRef<str>) {
    compile_all([manifest]);
}

/// [`compile`] for several manifests: all that is not in the cache is converted by one Python
/// process.
pub fn compile_all<M: AsRef<str>>(manifests: impl IntoIterator<Item = M>) {
    let mut names: Vec<M> = Vec::new();
    for manifest in manifests {
        if names.iter().all(|name| name.as_ref() != manifest.as_ref()) {
            names.push(manifest);
        }
    }
    let names: Vec<_> = names.iter().map(AsRef::as_ref).collect();
    let environment = match cargo::Environment::read(|name| std::env::var_os(name)) {
        Ok(environment) => environment,
        Err(error) => return cargo::print(&cargo::error_lines(&error, true)),
    };
    let session = Session::new(environment.options);
    let builds = if environment.errors.is_empty() {
        session.build(&names)
    } else {
        session.refuse(&names, &environment.errors)
    };
    cargo::print(&cargo::report(&builds, environment.strict));
}
