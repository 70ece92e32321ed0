//! A model that was found and read, before one of its functions is loaded.
//!
//! Owns: reading a model's interface, once, and comparing it with the one that types were generated
//! from. Must not: load anything.
//! Flow: `search.rs` → here (`difference.rs` compares) → `model.rs` → `backend.rs`.

use crate::description::Description;
use crate::difference::{difference_of_buckets, differences};
use crate::error::Error;
use crate::search::Location;
use coreml_spec::{Function, Interface, Package};
use std::path::Path;

/// Location of an embedded package, for messages.
const EMBEDDED_LOCATION: &str = "(embedded in the program)";

/// A model that was found and read.
pub(crate) struct OpenedModel {
    /// The manifest's name, for errors; the file's name where no types were generated.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) location: Location,
    /// Its inputs and outputs. A compiled model does not contain them: there it is the interface
    /// that the types were generated from.
    pub(crate) interface: Interface,
    /// The package; `None` for a compiled model.
    package: Option<Package>,
}

impl OpenedModel {
    /// Opens the model of a generated module and compares the two interfaces.
    ///
    /// Parameters: `types` — the interface that the types were generated from.
    /// Errors: [`Error::Interface`] names every difference.
    pub(crate) fn of_types(
        description: &Description,
        location: Location,
        types: &Interface,
    ) -> Result<Self, Error> {
        let name = description.name;
        let package = match &location {
            Location::Package(path) => Package::open(path),
            Location::Embedded(files) => Package::from_embedded(files),
            Location::Compiled(_) => {
                let (name, interface) = (name.to_owned(), types.clone());
                return Ok(Self { name, location, interface, package: None });
            }
        };
        let package = package.map_err(|error| unreadable(name, error))?;
        let opened = Self::of_package(name, location, package)?;
        opened.compare(types, description.function)?;
        Ok(opened)
    }

    /// Opens a package that no types were generated from.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let package = Package::open(path).map_err(|error| unreadable(&name, error))?;
        Self::of_package(&name, Location::Package(path.to_owned()), package)
    }

    /// Reads the interface of a package.
    fn of_package(name: &str, location: Location, package: Package) -> Result<Self, Error> {
        let interface = package.interface().map_err(|error| unreadable(name, error))?;
        Ok(Self { name: name.to_owned(), location, interface, package: Some(package) })
    }

    /// Refuses a package that differs from the types.
    ///
    /// Parameters: `function` — the function that the types are for; `None` for the default one.
    fn compare(&self, types: &Interface, function: Option<&str>) -> Result<(), Error> {
        let found = self.function(function)?;
        let mut differences = match types.function(function) {
            Some(types) => differences(types, found),
            None => vec![format!("the types have no function `{}`", found.name)],
        };
        let buckets = (types.buckets.as_ref(), self.interface.buckets.as_ref());
        differences.extend(difference_of_buckets(buckets.0, buckets.1));
        if differences.is_empty() {
            return Ok(());
        }
        let location = shown(self.location.path());
        Err(Error::Interface { model: self.name.clone(), location, differences })
    }

    /// Returns a function of the interface.
    ///
    /// Parameters: `function` — its name; `None` for the default one.
    /// Errors: [`Error::Options`] names the functions that exist.
    pub(crate) fn function(&self, function: Option<&str>) -> Result<&Function, Error> {
        let wanted = function.unwrap_or(&self.interface.default_function);
        self.interface.function(Some(wanted)).ok_or_else(|| {
            let functions = self.interface.functions.iter();
            let names: Vec<&str> = functions.map(|function| function.name.as_str()).collect();
            let names = names.join(", ");
            let problem = format!("the package has no function `{wanted}`; it has {names}");
            Error::Options { model: self.name.clone(), source: problem.into() }
        })
    }

    /// Returns the package.
    ///
    /// Errors: [`Error::Options`] for a compiled model.
    pub(crate) fn package(&self) -> Result<&Package, Error> {
        self.package.as_ref().ok_or_else(|| {
            let source = format!(
                "{} is a compiled model, which only Core ML runs: give the `.mlpackage` that it \
                 was compiled from",
                shown(self.location.path())
            );
            Error::Options { model: self.name.clone(), source: source.into() }
        })
    }

    /// Returns whether a function computes or stores anything in half precision.
    pub(crate) fn has_half_precision(&self, function: &str) -> Result<bool, Error> {
        let half = self.package()?.has_half_precision(function);
        half.map_err(|error| self.unreadable(error))
    }

    /// Makes the error of a package that cannot be read.
    pub(crate) fn unreadable(&self, error: coreml_spec::Error) -> Error {
        unreadable(&self.name, error)
    }
}

/// Returns a location as messages show it.
pub(crate) fn shown(path: Option<&Path>) -> String {
    path.map_or_else(|| EMBEDDED_LOCATION.to_owned(), |path| path.display().to_string())
}

/// Makes the error of a package that cannot be read.
fn unreadable(name: &str, error: coreml_spec::Error) -> Error {
    let model = name.to_owned();
    match error {
        coreml_spec::Error::Unsupported { .. } => {
            Error::Unsupported { model, source: error.into() }
        }
        _ => Error::Package { model, source: error.into() },
    }
}
