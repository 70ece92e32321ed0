//! Finding a model at run time, and the environment variables of the runtime.
//!
//! Owns: the places and their order, and the environment variables. Must not: open the model.
//! Flow: `model.rs` → here, before anything else.
//!
//! Each place is searched for the package first, and then for a compiled model whose name is the
//! digest of the content that the program was built with:
//! 1. [`LoadOptions::path`]; if it is given, nothing else is searched;
//! 2. the folder in the environment variable `COREML_MODEL_DIR`;
//! 3. the program itself, if the manifest says `embed = true`;
//! 4. beside the executable, or in the `Resources` of its `.app`;
//! 5. the output folder of `cargo build`.

use crate::description::{Description, EmbeddedFiles};
use crate::error::Error;
#[cfg(not(target_vendor = "apple"))]
use crate::options::Engine;
use crate::options::LoadOptions;
use coreml_spec::{ABSENT_ENDING, COMPILED_EXTENSION};
use std::path::{Path, PathBuf};

/// Environment variable that names a folder of packages to prefer over all others.
pub(crate) const MODEL_DIR_VARIABLE: &str = "COREML_MODEL_DIR";

/// Environment variable that names the engine of the portable backend, unless the application
/// chooses one.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const ENGINE_VARIABLE: &str = "COREML_ENGINE";

/// Returns the engine that the environment names, or `None` when it names none.
///
/// Errors: the engine does not exist.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn engine_of_process() -> Result<Option<Engine>, String> {
    let Some(name) = std::env::var_os(ENGINE_VARIABLE).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let engine = name.to_string_lossy().parse();
    engine
        .map(Some)
        .map_err(|problem: String| format!("the environment variable {ENGINE_VARIABLE}: {problem}"))
}

/// What the search reads from the process; tests pass their own.
pub(crate) struct Surroundings {
    /// Value of [`MODEL_DIR_VARIABLE`].
    pub(crate) model_dir: Option<PathBuf>,
    /// The running program.
    pub(crate) executable: Option<PathBuf>,
}

impl Surroundings {
    /// Asks the process.
    pub(crate) fn of_process() -> Self {
        Self {
            model_dir: std::env::var_os(MODEL_DIR_VARIABLE)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
            executable: std::env::current_exe().ok(),
        }
    }
}

/// Where a model is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Location {
    /// A package on disk.
    Package(PathBuf),
    /// The program itself.
    Embedded(EmbeddedFiles),
    /// A compiled model on disk, without its package. It fits the types because of its name, or
    /// because the application gave its path.
    Compiled(PathBuf),
}

impl Location {
    /// Returns the folder of the model, or `None` when it is in the program.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Package(path) | Self::Compiled(path) => Some(path),
            Self::Embedded(_) => None,
        }
    }
}

/// The places that were looked at, on behalf of a model.
struct Search<'a> {
    /// The model.
    description: &'a Description,
    /// Each place, with the reason to look there.
    places: Vec<String>,
}

impl Search<'_> {
    /// Looks at a path for whatever model is there.
    fn look(&mut self, why: &str, path: PathBuf) -> Option<Location> {
        self.places.push(format!("{why}: {}", path.display()));
        if is_compiled(&path) {
            return path.is_dir().then_some(Location::Compiled(path));
        }
        is_package(&path).then_some(Location::Package(path))
    }

    /// Looks for a package, and at the same place for a compiled model of the content that the
    /// program was built with.
    fn look_for_either(&mut self, why: &str, package: PathBuf) -> Option<Location> {
        let name = self.description.content_digest;
        let compiled =
            name.map(|name| package.with_file_name(name).with_extension(COMPILED_EXTENSION));
        self.look(why, package).or_else(|| self.look(&format!("{why}, compiled"), compiled?))
    }
}

/// Finds the model of `description`.
///
/// Errors: [`Error::NotFound`] with every place that was searched.
pub(crate) fn find(
    description: &Description,
    options: &LoadOptions,
    surroundings: &Surroundings,
) -> Result<Location, Error> {
    find_one_of(description, description.package, options, surroundings)
}

/// [`find`] for one of the packages of a model with several.
///
/// Parameters: `packages` — the names of all, for the message: a program needs them together.
pub(crate) fn find_one_of(
    description: &Description,
    packages: &str,
    options: &LoadOptions,
    surroundings: &Surroundings,
) -> Result<Location, Error> {
    let mut search = Search { description, places: Vec::new() };

    if let Some(path) = options.chosen_path() {
        let inside = path.join(description.package);
        let found = search.look("LoadOptions::path", path.to_owned()).or_else(|| {
            search.look_for_either("LoadOptions::path, as the folder of the package", inside)
        });
        return found.ok_or_else(|| {
            let mut advice = "correct the path given to LoadOptions::path".to_owned();
            if packages != description.package {
                advice.push_str(&format!(": the folder that holds {packages}"));
            }
            not_found(description, search.places, &advice)
        });
    }

    if let Some(folder) = &surroundings.model_dir {
        if let Some(found) =
            search.look_for_either(MODEL_DIR_VARIABLE, folder.join(description.package))
        {
            return Ok(found);
        }
        // A folder that is not there is a typing error, and must not quietly select another model.
        if !folder.is_dir() {
            let advice = format!(
                "correct or unset {MODEL_DIR_VARIABLE}: {} is not a folder",
                folder.display()
            );
            return Err(not_found(description, search.places, &advice));
        }
    }

    if let Some(files) = description.embedded {
        return Ok(Location::Embedded(files()));
    }

    if let Some(folder) = surroundings.executable.as_deref().and_then(Path::parent) {
        if let Some(found) =
            search.look_for_either("beside the executable", folder.join(description.package))
        {
            return Ok(found);
        }
        if let Some(resources) = app_resources(folder)
            && let Some(found) = search
                .look_for_either("in the app's Resources", resources.join(description.package))
        {
            return Ok(found);
        }
    }

    if let Some(found) =
        search.look_for_either("where it was built", PathBuf::from(description.built))
    {
        return Ok(found);
    }

    let mut places = search.places;
    if let Ok(reason) = std::fs::read_to_string(format!("{}{ABSENT_ENDING}", description.built)) {
        return Err(not_found(description, places, reason.trim_end()));
    }
    let mut advice = format!(
        "put {packages} beside the executable (`cargo coreml bundle {} --beside PROGRAM` does), or \
         set {MODEL_DIR_VARIABLE} to the folder that holds {}, or pass LoadOptions::path, or write \
         `embed = true` for the model in {0} and build again",
        description.manifest,
        if packages == description.package { "it" } else { "them" },
    );
    if surroundings.model_dir.is_none() {
        places.insert(0, format!("{MODEL_DIR_VARIABLE}: not set"));
    } else {
        advice.push_str(&format!(
            "; {MODEL_DIR_VARIABLE} is set, but its folder does not hold the package"
        ));
    }
    Err(not_found(description, places, &advice))
}

/// Returns the `Resources` of the macOS app whose executable is in `folder`
/// (`X.app/Contents/MacOS`).
///
/// An iOS app has its executable beside its resources.
fn app_resources(folder: &Path) -> Option<PathBuf> {
    let contents = folder.parent()?;
    (folder.ends_with("Contents/MacOS") && contents.parent()?.extension()? == "app")
        .then(|| contents.join("Resources"))
}

/// Returns whether `path` is a model package.
fn is_package(path: &Path) -> bool {
    path.join("Manifest.json").is_file()
}

/// Returns whether a path has the name of a compiled model.
pub(crate) fn is_compiled(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == COMPILED_EXTENSION)
}

/// Makes the error.
fn not_found(description: &Description, places: Vec<String>, advice: &str) -> Error {
    Error::NotFound { model: description.name.to_owned(), places, advice: advice.to_owned() }
}

#[cfg(test)]
#[path = "search/tests.rs"]
mod tests;
