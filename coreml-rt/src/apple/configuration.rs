//! How Core ML is asked to load a model.
//!
//! Owns: the translation of the runtime's options into an `MLModelConfiguration`, and what each of them needs.
//! Flow: called by `session.rs` at load.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::failure::CoreMlError;
use coreml_spec::ComputeUnits;
use objc2::rc::Retained;
use objc2::runtime::NSObjectProtocol;
use objc2::{available, sel};
use objc2_core_ml::{MLComputeUnits, MLModelConfiguration};
use objc2_foundation::NSString;

/// Makes the configuration.
///
/// Parameters: `model` — what Instruments and the system's log call the model, where they can.
/// Errors: [`CoreMlError::Unavailable`] when the system does not know the compute units.
pub(super) fn of(model: &str, units: ComputeUnits) -> Result<Retained<MLModelConfiguration>, CoreMlError> {
    let units = match units {
        ComputeUnits::All => MLComputeUnits::All,
        ComputeUnits::CpuOnly => MLComputeUnits::CPUOnly,
        ComputeUnits::CpuAndGpu => MLComputeUnits::CPUAndGPU,
        // A constant cannot be asked for like a selector; an older system would take the number and do anything.
        ComputeUnits::CpuAndNeuralEngine => {
            if !available!(macos = 13.0, ios = 16.0, tvos = 16.0, watchos = 9.0, visionos = 1.0) {
                let api = "ComputeUnits::CpuAndNeuralEngine";
                return Err(CoreMlError::Unavailable { api, since: "macOS 13 or iOS 16" });
            }
            MLComputeUnits::CPUAndNeuralEngine
        }
    };
    // SAFETY: `new` of a class without demands on its caller.
    let configuration = unsafe { MLModelConfiguration::new() };
    // SAFETY: a setter of a fresh object that nobody else holds; the value is one of Apple's constants.
    unsafe { configuration.setComputeUnits(units) };
    if configuration.respondsToSelector(sel!(setModelDisplayName:)) {
        // SAFETY: as above, and the system has the setter, which copies the string.
        unsafe { configuration.setModelDisplayName(Some(&NSString::from_str(model))) };
    }
    Ok(configuration)
}

/// Chooses one of several functions.
///
/// Errors: [`CoreMlError::Unavailable`] when the system knows only packages of one function.
pub(super) fn choose_function(configuration: &MLModelConfiguration, name: &str) -> Result<(), CoreMlError> {
    if !configuration.respondsToSelector(sel!(setFunctionName:)) {
        return Err(CoreMlError::Unavailable { api: "a package of several functions", since: "macOS 15 or iOS 18" });
    }
    // SAFETY: a setter of an object that nobody else holds yet; the system has it, and it copies the string.
    unsafe { configuration.setFunctionName(Some(&NSString::from_str(name))) };
    Ok(())
}
