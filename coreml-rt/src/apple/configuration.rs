//! The configuration that Core ML loads a model with.
//!
//! Owns: the translation of [`LoadOptions`] into an `MLModelConfiguration`, and the system that
//! each option needs.
//! Flow: `loading.rs` → here.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::failure::CoreMlError;
use crate::options::{LoadOptions, ReshapeFrequency, SpecializationStrategy};
use coreml_spec::ComputeUnits;
use objc2::rc::Retained;
use objc2::runtime::NSObjectProtocol;
use objc2::{available, sel};
use objc2_core_ml::{
    MLComputeUnits, MLModelConfiguration, MLReshapeFrequencyHint, MLSpecializationStrategy,
};
use objc2_foundation::NSString;

/// Makes the configuration.
///
/// Parameters: `model` — what Instruments and the system's log call the model, where they can.
/// Errors: [`CoreMlError::Unavailable`] when the system does not know what the options ask for.
pub(super) fn of(
    model: &str,
    options: &LoadOptions,
) -> Result<Retained<MLModelConfiguration>, CoreMlError> {
    let units = match options.chosen_compute_units() {
        ComputeUnits::All => MLComputeUnits::All,
        ComputeUnits::CpuOnly => MLComputeUnits::CPUOnly,
        ComputeUnits::CpuAndGpu => MLComputeUnits::CPUAndGPU,
        // A constant cannot be asked for like a selector; an older system would take the number and
        // do anything.
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
    // SAFETY: a setter of a fresh object without other references; the value is one of Apple's
    // constants.
    unsafe { configuration.setComputeUnits(units) };
    if configuration.respondsToSelector(sel!(setModelDisplayName:)) {
        // SAFETY: as above, and the system has the setter, which copies the string.
        unsafe { configuration.setModelDisplayName(Some(&NSString::from_str(model))) };
    }
    if options.allows_low_precision_accumulation() {
        // SAFETY: as above; every system that Rust supports has it.
        unsafe { configuration.setAllowLowPrecisionAccumulationOnGPU(true) };
    }
    hint(&configuration, options)?;
    Ok(configuration)
}

/// Passes the hints on, where there are any.
fn hint(configuration: &MLModelConfiguration, options: &LoadOptions) -> Result<(), CoreMlError> {
    let (strategy, frequency) =
        (options.chosen_specialization_strategy(), options.chosen_reshape_frequency());
    if strategy.is_none() && frequency.is_none() {
        return Ok(());
    }
    if !configuration.respondsToSelector(sel!(setOptimizationHints:)) {
        return Err(CoreMlError::Unavailable {
            api: "an optimization hint",
            since: "macOS 14.4 or iOS 17.4",
        });
    }
    // SAFETY: the system has the getter, which gives a copy.
    let hints = unsafe { configuration.optimizationHints() };
    if let Some(frequency) = frequency {
        // SAFETY: hints have had this one from the beginning; the value is one of Apple's
        // constants.
        unsafe {
            hints.setReshapeFrequency(match frequency {
                ReshapeFrequency::Frequent => MLReshapeFrequencyHint::Frequent,
                ReshapeFrequency::Infrequent => MLReshapeFrequencyHint::Infrequent,
            });
        }
    }
    if let Some(strategy) = strategy {
        if !hints.respondsToSelector(sel!(setSpecializationStrategy:)) {
            return Err(CoreMlError::Unavailable {
                api: "a specialization strategy",
                since: "macOS 15 or iOS 18",
            });
        }
        // SAFETY: the system has the setter; the value is one of Apple's constants.
        unsafe {
            hints.setSpecializationStrategy(match strategy {
                SpecializationStrategy::Default => MLSpecializationStrategy::Default,
                SpecializationStrategy::FastPrediction => MLSpecializationStrategy::FastPrediction,
            });
        }
    }
    // SAFETY: a setter of an object that nobody else holds; it copies the hints.
    unsafe { configuration.setOptimizationHints(&hints) };
    Ok(())
}

/// Chooses one of several functions.
///
/// Errors: [`CoreMlError::Unavailable`] when the system knows only packages of one function.
pub(super) fn choose_function(
    configuration: &MLModelConfiguration,
    name: &str,
) -> Result<(), CoreMlError> {
    if !configuration.respondsToSelector(sel!(setFunctionName:)) {
        return Err(CoreMlError::Unavailable {
            api: "a package of several functions",
            since: "macOS 15 or iOS 18",
        });
    }
    // SAFETY: a setter of an object that nobody else holds yet; the system has it, and it copies
    // the string.
    unsafe { configuration.setFunctionName(Some(&NSString::from_str(name))) };
    Ok(())
}
