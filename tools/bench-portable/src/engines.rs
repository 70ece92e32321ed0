//! Our side of the comparisons: a package in this project's session.
//!
//! Owns: loading and running it. Must not: measure.

use crate::sample::Sample;
use coreml_portable::{EngineKind, Options, Session, State};
use coreml_spec::Package;
use std::path::{Path, PathBuf};

/// A package in a session of this project.
pub(crate) struct Ours {
    /// The session.
    session: Session,
    /// Its states.
    state: State,
}

impl Ours {
    /// Opens and loads a package.
    pub(crate) fn load(package: &Path, engine: EngineKind, threads: usize) -> Self {
        let opened =
            Package::open(package).unwrap_or_else(|error| panic!("{}: {error}", package.display()));
        let mut options = Options::default();
        (options.engine, options.threads) = (engine, Some(threads));
        let session = Session::load(&opened, &options)
            .unwrap_or_else(|error| panic!("{}: {error}", package.display()));
        let state = session.new_state().expect("states have fixed shapes");
        Self { session, state }
    }

    /// Runs a sample.
    pub(crate) fn run(&mut self, sample: &Sample) {
        let inputs = sample.ordered(self.session.function());
        let outputs = self.session.run_with_state(&mut self.state, &inputs);
        std::hint::black_box(outputs.expect("the sample fits"));
    }
}

/// Returns the path of a model's package.
pub(crate) fn package(folder: &Path, model: &str, variant: &str) -> PathBuf {
    folder.join(format!("{model}-{variant}.mlpackage"))
}

/// Returns the path of PyTorch's export of a model.
pub(crate) fn exported(folder: &Path, model: &str) -> PathBuf {
    folder.join(format!("{model}.onnx"))
}
