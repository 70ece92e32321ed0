//! Models that are loaded from memory.
//!
//! Owns: passing a package's files to Core ML without writing any. Must not: copy what is already
//! in the program.
//! Flow: `loading.rs` → here, when the options ask for it.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::asynchronous::{Handler, answer};
use super::failure::CoreMlError;
use crate::search::Location;
use block2::RcBlock;
use objc2::rc::Retained;
use objc2::runtime::AnyClass;
use objc2::sel;
use objc2_core_ml::{MLModel, MLModelAsset, MLModelConfiguration};
use objc2_foundation::{NSData, NSError, NSMutableDictionary, NSString, NSURL};
use std::ffi::c_void;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::mpsc::sync_channel;

/// Folder of the specification and the weights in a package.
const CONTENT: &str = "Data/com.apple.CoreML/";

/// The specification, below [`CONTENT`].
const SPECIFICATION: &str = "model.mlmodel";

/// Folder of the weights, below [`CONTENT`].
const WEIGHTS: &str = "weights/";

/// What a specification calls [`CONTENT`], in the URLs of its weights.
const MODEL_PATH: &str = "@model_path/";

/// Loads a package from memory, and waits for it: Core ML has only the asynchronous form.
///
/// Errors: [`CoreMlError::Unavailable`] on a system that cannot.
pub(super) fn load(
    location: &Location,
    configuration: &MLModelConfiguration,
) -> Result<Retained<MLModel>, CoreMlError> {
    let asset = asset(location)?;
    let (sender, receiver) = sync_channel(1);
    let handler: Handler<MLModel> =
        RcBlock::new(move |model: *mut MLModel, error: *mut NSError| {
            // SAFETY: Core ML's own arguments.
            let loaded = unsafe { answer(model, error) }.map(SentModel);
            // The receiver waits, so it is there.
            let _ = sender.send(loaded);
        });
    // SAFETY: an asset and a configuration that nobody changes; Core ML copies the handler, which
    // owns all it uses.
    unsafe {
        MLModel::loadModelAsset_configuration_completionHandler(&asset, configuration, &handler)
    };
    // The sender lives in the block: without this one, it ends with Core ML's.
    drop(handler);
    let silent =
        || CoreMlError::Unexpected("Core ML dropped the request without an answer".to_owned());
    receiver.recv().map_err(|_| silent())?.map(|SentModel(model)| model)
}

/// A model on its way to the thread that asked for it.
struct SentModel(Retained<MLModel>);

// SAFETY: Apple allows an MLModel on any thread as long as it is one at a time; the handler gives
// its only reference away.
unsafe impl Send for SentModel {}

/// Makes an asset of a package.
fn asset(location: &Location) -> Result<Retained<MLModelAsset>, CoreMlError> {
    let blobs = NSMutableDictionary::<NSURL, NSData>::new();
    let mut specification = None;
    let mut enter = |name: &str, data: Retained<NSData>| {
        match name.strip_prefix(CONTENT) {
            Some(SPECIFICATION) => specification = Some(data),
            Some(weights) if weights.starts_with(WEIGHTS) => {
                let url = format!("{MODEL_PATH}{weights}");
                let url = NSURL::URLWithString(&NSString::from_str(&url)).ok_or_else(|| {
                    CoreMlError::Unexpected(format!(
                        "the path of a weight file is not a valid URL: {url}"
                    ))
                })?;
                blobs.insert(&*url, &data);
            }
            _ => {}
        }
        Ok::<(), CoreMlError>(())
    };
    match location {
        Location::Embedded(files) => {
            files.iter().try_for_each(|(name, bytes)| enter(name, of_program(bytes)))?
        }
        Location::Package(package) => {
            enter(
                &format!("{CONTENT}{SPECIFICATION}"),
                of_file(&package.join(CONTENT).join(SPECIFICATION))?,
            )?;
            for entry in
                package.join(CONTENT).join(WEIGHTS).read_dir().into_iter().flatten().flatten()
            {
                let name = format!("{CONTENT}{WEIGHTS}{}", entry.file_name().to_string_lossy());
                enter(&name, of_file(&entry.path())?)?;
            }
        }
        // A compiled model has none of these files; `loading.rs` loads it from its path.
        Location::Compiled(_) => {}
    }
    let missing = || CoreMlError::Unexpected("a package without a specification".to_owned());
    let specification = specification.ok_or_else(missing)?;
    let has = |selector| {
        AnyClass::get(c"MLModelAsset").is_some_and(|class| class.class_method(selector).is_some())
    };
    if blobs.is_empty() {
        if !has(sel!(modelAssetWithSpecificationData:error:)) {
            let api = "a model in memory";
            return Err(CoreMlError::Unavailable { api, since: "macOS 13 or iOS 16" });
        }
        // SAFETY: the system has the method; the data is immutable.
        return Ok(unsafe { MLModelAsset::modelAssetWithSpecificationData_error(&specification) }?);
    }
    if !has(sel!(modelAssetWithSpecificationData:blobMapping:error:)) {
        let api = "a model in memory that has weights";
        return Err(CoreMlError::Unavailable { api, since: "macOS 15 or iOS 18" });
    }
    // SAFETY: as above; the keys are URLs, the values data.
    Ok(unsafe {
        MLModelAsset::modelAssetWithSpecificationData_blobMapping_error(&specification, &blobs)
    }?)
}

/// Wraps a file that is part of the program, without a copy.
fn of_program(bytes: &'static [u8]) -> Retained<NSData> {
    let first: NonNull<c_void> = NonNull::from(bytes).cast();
    // SAFETY: the bytes live, unchanged, as long as the program. Immutable data never writes them,
    // and does not free them because of the last argument.
    unsafe { NSData::dataWithBytesNoCopy_length_freeWhenDone(first, bytes.len(), false) }
}

/// Reads a file.
fn of_file(path: &Path) -> Result<Retained<NSData>, CoreMlError> {
    let unreadable = |error: std::io::Error| CoreMlError::File {
        action: format!("read {}", path.display()),
        problem: error.to_string(),
    };
    std::fs::read(path).map_err(unreadable).map(|bytes| NSData::with_bytes(&bytes))
}
