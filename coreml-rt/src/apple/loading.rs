//! From a package or a compiled model to an `MLModel`.
//!
//! Owns: the folders of compiled models on this system, and the call that loads a model. Must not:
//! know what predictions need.
//! Flow: `backend.rs` → here → `compiled.rs`, `configuration.rs`, or `asset.rs` when no file may be
//! written.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::failure::CoreMlError;
use super::{asset, compiled, configuration};
use crate::options::{CompiledFolder, LoadOptions};
use crate::search::Location;
use objc2::rc::Retained;
use objc2_core_ml::{MLModel, MLModelConfiguration};
use objc2_foundation::{
    NSSearchPathDirectory, NSSearchPathDomainMask, NSSearchPathForDirectoriesInDomains, NSURL,
};
use std::path::{Path, PathBuf};

/// Folder of compiled models in a folder of the user's, shared by all programs that use this crate.
const FOLDER: &str = "coreml-rt";

/// What Core ML loads.
pub(super) struct Source {
    /// Its name, for Instruments, the system's log and errors.
    pub(super) name: String,
    /// The package, or the compiled model.
    pub(super) location: Location,
    /// The function to load; `None` for a package with only one.
    pub(super) function: Option<String>,
    /// How to load it.
    pub(super) options: LoadOptions,
}

impl Source {
    /// Loads it.
    pub(super) fn load(&self) -> Result<Retained<MLModel>, CoreMlError> {
        let configuration = self.configuration()?;
        // Loading a compiled model writes no file anyway.
        if self.options.is_in_memory() && !matches!(self.location, Location::Compiled(_)) {
            return asset::load(&self.location, &configuration);
        }
        let url = self.compiled()?;
        // SAFETY: a URL and a configuration that nobody else changes.
        unsafe { MLModel::modelWithContentsOfURL_configuration_error(&url, &configuration) }
            .map_err(CoreMlError::from)
    }

    /// Makes the configuration.
    pub(super) fn configuration(&self) -> Result<Retained<MLModelConfiguration>, CoreMlError> {
        let configuration = configuration::of(&self.name, &self.options)?;
        if let Some(function) = &self.function {
            configuration::choose_function(&configuration, function)?;
        }
        Ok(configuration)
    }

    /// Returns the URL of the compiled model, which is compiled when that has not been done yet.
    pub(super) fn compiled(&self) -> Result<Retained<NSURL>, CoreMlError> {
        url(&compiled::model(
            &self.location,
            || folder(self.options.chosen_compiled_folder()),
            compile,
        )?)
    }
}

/// Compiles a package into a temporary folder.
fn compile(package: &Path) -> Result<PathBuf, CoreMlError> {
    // SAFETY: a URL of a folder; the call returns when the compiler is done.
    #[expect(deprecated, reason = "its successor is asynchronous and needs macOS 13")]
    let compiled = unsafe { MLModel::compileModelAtURL_error(&*url(package)?) }?;
    compiled
        .to_file_path()
        .ok_or_else(|| CoreMlError::Unexpected("the compiled model is not a file".to_owned()))
}

/// Returns the URL of a folder.
fn url(folder: &Path) -> Result<Retained<NSURL>, CoreMlError> {
    NSURL::from_directory_path(folder).ok_or_else(|| CoreMlError::File {
        action: format!("name {} by a URL", folder.display()),
        problem: "the path is not text".to_owned(),
    })
}

/// Returns the folder that compiled models are kept in; inside the container of an app that has
/// one.
fn folder(chosen: &CompiledFolder) -> Result<PathBuf, CoreMlError> {
    let (directory, name) = match chosen {
        CompiledFolder::ApplicationSupport => {
            (NSSearchPathDirectory::ApplicationSupportDirectory, "Application Support")
        }
        CompiledFolder::Caches => (NSSearchPathDirectory::CachesDirectory, "Caches"),
        CompiledFolder::At(folder) => return Ok(folder.clone()),
    };
    let folders = NSSearchPathForDirectoriesInDomains(
        directory,
        NSSearchPathDomainMask::UserDomainMask,
        true,
    );
    let folder = folders.firstObject().ok_or_else(|| CoreMlError::File {
        action: format!("find the user's {name} folder"),
        problem: "the system has none".to_owned(),
    })?;
    Ok(PathBuf::from(folder.to_string()).join(FOLDER))
}
