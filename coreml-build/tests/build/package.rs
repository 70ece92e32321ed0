//! A package as a user would have it, in a temporary folder, with a cache and an output folder of
//! its own.
//!
//! Owns: its files, and starting contexts on it.

use coreml_build::{Build, Context, Options};
use coreml_spec::{Index, IndexedModel, Outcome};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// A manifest with one model.
pub(crate) const ONE: &str =
    "[model]\nsource = { file = \"net.py\", entry = \"net\" }\ninputs.x = { shape = [1, 3] }\n";

/// A manifest with two models that differ in their arguments.
pub(crate) const TWO: &str = "[defaults]\ninputs.x = { shape = [1, 3] }\n\n\
    [models.first]\nsource = { file = \"net.py\", entry = \"net\", args = { n = 1 } }\n\n\
    [models.second]\nsource = { file = \"net.py\", entry = \"net\", args = { n = 2 } }\n";

/// A package with its surroundings.
#[derive(Debug)]
pub(crate) struct Package {
    /// Holds everything; removed with it.
    folder: TempDir,
}

impl Package {
    /// Makes a package with `net.py` and these manifests.
    pub(crate) fn new(manifests: &[(&str, &str)]) -> Self {
        let package = Self { folder: tempfile::tempdir().unwrap() };
        package.write("net.py", "# a network\n");
        manifests.iter().for_each(|(name, content)| package.write(name, content));
        package
    }

    /// Returns a path inside the surroundings: `package`, `cache`, `out` are there.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file of the package.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path("package").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Returns options with this interpreter.
    pub(crate) fn options(&self, python: &Path) -> Options {
        let mut options = Options::new(self.path("package"), self.path("out"), self.path("cache"));
        options.python.interpreter = Some(python.to_owned());
        options
    }

    /// Builds one manifest with this interpreter.
    pub(crate) fn build(&self, manifest: &str, python: &Path) -> Build {
        build(self.options(python), manifest)
    }

    /// Returns the only entry of the cache.
    pub(crate) fn entry(&self) -> PathBuf {
        let entries = entries_of(&self.path("cache/v1/entries"));
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries[0].clone()
    }

    /// Asserts that no work in progress is left.
    pub(crate) fn assert_nothing_half_done(&self) {
        assert_eq!(entries_of(&self.path("cache/v1/tmp")), [] as [PathBuf; 0]);
        for entry in entries_of(&self.path("cache/v1/entries")) {
            assert!(entry.join("entry.json").exists(), "{}", entry.display());
        }
    }
}

/// Builds one manifest.
pub(crate) fn build(options: Options, manifest: &str) -> Build {
    let builds = Context::new(options).build(&[manifest]);
    builds.into_iter().next().unwrap()
}

/// Returns what is in a folder, sorted; nothing if there is none.
pub(crate) fn entries_of(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    entries
}

/// Returns whether each model of a build was cached; panics with the errors of a failed build.
pub(crate) fn cached(build: &Build) -> Vec<bool> {
    match &build.outcome {
        Ok(models) => models.iter().map(|model| model.cached).collect(),
        Err(errors) => {
            panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))
        }
    }
}

/// Returns the text of the errors of a failed build, as the macro shows it: it must be in the
/// index.
pub(crate) fn message(build: &Build) -> String {
    let errors = build.outcome.as_ref().expect_err("the build should have failed");
    let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n");
    match index(build).outcome {
        Outcome::Error(error) => assert_eq!(error.message, text),
        Outcome::Models(_) => panic!("the index says that the build succeeded"),
    }
    text
}

/// Returns the index of a build.
pub(crate) fn index(build: &Build) -> Index {
    serde_json::from_slice(&std::fs::read(build.folder.join("index.json")).unwrap()).unwrap()
}

/// Returns the models in the index of a build.
pub(crate) fn models(build: &Build) -> Vec<IndexedModel> {
    match index(build).outcome {
        Outcome::Models(models) => models.models,
        Outcome::Error(error) => panic!("{}", error.message),
    }
}

/// Returns path, inode, time and content of every file below `folder`.
pub(crate) fn tree(folder: &Path) -> Vec<(PathBuf, u64, SystemTime, Vec<u8>)> {
    let mut files = Vec::new();
    for path in entries_of(folder) {
        if path.is_dir() {
            files.extend(tree(&path));
        } else {
            let metadata = path.metadata().unwrap();
            files.push((
                path.clone(),
                metadata.ino(),
                metadata.modified().unwrap(),
                std::fs::read(&path).unwrap(),
            ));
        }
    }
    files
}

/// Makes a read-only file writable, as somebody who wants to do harm would.
pub(crate) fn make_writable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
}

/// Gives a file the time `seconds` before now, without touching its content.
pub(crate) fn touch(path: &Path, seconds: u64) {
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}
