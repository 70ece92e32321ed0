//! A machine of a team: a checkout with manifests, an output folder, a cache.
//!
//! Owns: their paths, and builds on them. Must not: measure.
//! Flow: every benchmark makes its machines here.

use crate::stub;
use coreml_build::{Build, Context, Options, Remote};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Variable that names the folder for everything.
const FOLDER: &str = "BENCH_FOLDER";

/// A folder for a benchmark; removed with it.
pub(crate) fn folder() -> TempDir {
    let base = std::env::var_os(FOLDER).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::Builder::new().prefix("bench-cache-").tempdir_in(base).unwrap();
    // A link would do too, but not a copy: it would be as large as this program for each benchmark.
    std::os::unix::fs::symlink(std::env::current_exe().unwrap(), folder.path().join(stub::NAME))
        .unwrap();
    folder
}

/// A machine in a folder.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Holds checkout, output folder and, unless it is shared, the cache.
    folder: PathBuf,
    /// The cache.
    cache: PathBuf,
    /// The interpreter.
    python: PathBuf,
    /// The remote cache.
    remote: Option<Remote>,
}

impl Machine {
    /// Makes the machine `name` in a folder that [`folder`] made.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let own = folder.join(name);
        std::fs::create_dir_all(own.join("checkout")).unwrap();
        Self {
            cache: own.join("cache"),
            folder: own,
            python: folder.join(stub::NAME),
            remote: None,
        }
    }

    /// Shares a cache with others.
    pub(crate) fn with_cache(self, cache: &Path) -> Self {
        Self { cache: cache.to_owned(), ..self }
    }

    /// Adds a remote cache.
    pub(crate) fn with_remote(self, location: &str, write: bool) -> Self {
        let mut remote = Remote::parse(location).unwrap();
        remote.write = write;
        Self { remote: Some(remote), ..self }
    }

    /// Writes a file of the checkout.
    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.folder.join("checkout").join(name), content).unwrap();
    }

    /// Returns its output folder.
    pub(crate) fn output(&self) -> PathBuf {
        self.folder.join("out")
    }

    /// Returns its cache.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Returns how many entries of its cache are damaged.
    pub(crate) fn verify(&self) -> usize {
        Context::new(self.options()).verify().len()
    }

    /// Returns the options of its builds.
    fn options(&self) -> Options {
        let mut options = Options::new(self.folder.join("checkout"), self.output(), &self.cache);
        options.python.interpreter = Some(self.python.clone());
        options.remote.clone_from(&self.remote);
        options
    }

    /// Builds manifests; panics with the errors of one that fails, and with warnings.
    pub(crate) fn build(&self, manifests: &[&str]) -> Vec<Build> {
        let builds = Context::new(self.options()).build(manifests);
        for build in &builds {
            assert_eq!(build.warnings, [] as [String; 0]);
            if let Err(errors) = &build.outcome {
                panic!("{}", errors.iter().map(ToString::to_string).collect::<String>());
            }
        }
        builds
    }

    /// Removes the output folder.
    pub(crate) fn clean(&self) {
        let _ = std::fs::remove_dir_all(self.output());
    }
}

/// Returns how many models of builds were converted now.
pub(crate) fn converted(builds: &[Build]) -> usize {
    let models = builds.iter().flat_map(|build| build.outcome.iter().flatten());
    models.filter(|model| !model.cached).count()
}

/// Returns a manifest whose models have weights of so many bytes, and `file` as their source.
pub(crate) fn manifest(file: &str, models: &[(String, u64)]) -> String {
    let tables = models.iter().map(|(name, bytes)| {
        format!(
            "[models.{name}]\n\
             source = {{ file = \"{file}\", entry = \"net\", args = {{ bytes = {bytes}, name = \
             \"{name}\" }} }}\n\
             inputs.x = {{ shape = [1, 3] }}\n"
        )
    });
    tables.collect()
}
