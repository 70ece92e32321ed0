//! Converts PyTorch models to Core ML during `cargo build`.
//!
//! In `build.rs`:
//! ```no_run
//! coreml_build::compile("whisper.toml");
//! ```
//! and in the crate `#[coreml_rt::coreml_model("whisper.toml")] pub mod whisper {}`.
//!
//! Owns: the calls that a build script makes. Everything else is a room: `build/` has the steps,
//! which use `manifest/`, `lock/`, `cache/`, `remote/`, `python/` and `output/`; `command/` is what
//! the command line asks for besides.
//! Must not: write Rust code, start Python on a cache hit, write into the source tree, panic.
//! Flow: build script → [`compile_all`] → `cargo.rs` (environment) → `build.rs` → `cargo.rs` (lines
//! for cargo). The attribute macro then reads the index that the build left in `OUT_DIR`, if the
//! variables of this run say that it is the run's.

mod build;
mod cache;
mod cargo;
mod child;
mod command;
mod config;
mod digest;
mod error;
mod files;
mod lock;
mod manifest;
mod nearest;
mod output;
mod python;
mod remote;
mod status;

pub use build::{Build, BuiltModel, Context, Options, Policy, Selection, Stored};
pub use cache::{Collected, Damage, Listed};
pub use command::doctor;
pub use command::lock::Locking;
pub use command::propose;
pub use command::upkeep::{Moved, Moves, Whereabouts};
pub use config::Limits;
pub use error::{Error, ErrorKind, Place, PythonPlace};
pub use output::compiler::compile as compile_packages;
pub use output::embed::{Library, Target};
pub use python::PythonOptions;
pub use remote::Remote;
pub use status::{Observer, Progress};

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
        Err(error) => return cargo::print(&cargo::error_lines(&error)),
    };
    output::leftovers::keep(&environment.options.out_dir, &names);
    let context = Context::new(environment.options);
    let builds = if environment.errors.is_empty() {
        context.build(&names)
    } else {
        context.refuse(&names, &environment.errors)
    };
    cargo::print(&cargo::report(&builds, environment.strict));
}
