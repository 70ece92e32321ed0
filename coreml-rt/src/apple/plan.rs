//! Core ML's plan of a model: which device would run each operation.
//!
//! Owns: reading an `MLComputePlan`. Must not: judge or print it; `crate::compute_plan` does.
//! Flow: `backend.rs` → here, when the application asks.
#![allow(unsafe_code, reason = "calls Objective-C")]

use super::asynchronous::{Handler, answer};
use super::failure::{CoreMlError, guard};
use super::loading::Source;
use crate::compute_plan::{ComputePlan, Device, PlannedOperation};
use block2::RcBlock;
use objc2::runtime::{AnyClass, AnyObject, ProtocolObject};
use objc2::sel;
use objc2_core_ml::{
    MLCPUComputeDevice, MLComputeDeviceProtocol, MLComputePlan, MLGPUComputeDevice,
    MLModelStructureProgramBlock, MLNeuralEngineComputeDevice,
};
use objc2_foundation::NSError;
use std::sync::mpsc::sync_channel;

/// How deep blocks may be nested.
const DEPTH_LIMIT: usize = 32;

/// Asks for the plan and waits for it.
///
/// Errors: [`CoreMlError::Unavailable`] on a system without plans; [`CoreMlError::Unexpected`] for
/// the model is not an ML Program.
pub(super) fn of(source: &Source) -> Result<ComputePlan, CoreMlError> {
    let load = sel!(loadContentsOfURL:configuration:completionHandler:);
    if AnyClass::get(c"MLComputePlan").is_none_or(|class| class.class_method(load).is_none()) {
        return Err(CoreMlError::Unavailable {
            api: "a compute plan",
            since: "macOS 14.4 or iOS 17.4",
        });
    }
    let (url, configuration) = (source.compiled()?, source.configuration()?);
    let (sender, receiver) = sync_channel(1);
    let handler: Handler<MLComputePlan> =
        RcBlock::new(move |plan: *mut MLComputePlan, error: *mut NSError| {
            // Read on this thread: the plan's objects stay where they are.
            // SAFETY: Core ML's own arguments.
            let plan =
                guard(|| unsafe { answer(plan, error) }.and_then(|plan| read(&plan))).flatten();
            // The receiver waits, so it is there.
            let _ = sender.send(plan);
        });
    // SAFETY: the system has the method; Core ML copies the handler, which owns all it uses.
    unsafe {
        MLComputePlan::loadContentsOfURL_configuration_completionHandler(
            &url,
            &configuration,
            &handler,
        )
    };
    drop(handler);
    let silent =
        || CoreMlError::Unexpected("Core ML dropped the request without an answer".to_owned());
    receiver.recv().map_err(|_| silent())?
}

/// Reads a plan.
fn read(plan: &MLComputePlan) -> Result<ComputePlan, CoreMlError> {
    // SAFETY: getters of immutable objects.
    let program = unsafe { plan.modelStructure().program() };
    let program = program
        .ok_or_else(|| CoreMlError::Unexpected("the model is not an ML Program".to_owned()))?;
    let mut operations = Vec::new();
    // SAFETY: as above.
    let (names, functions) = unsafe { program.functions() }.to_vecs();
    let mut functions: Vec<(String, _)> =
        names.iter().map(ToString::to_string).zip(functions).collect();
    functions.sort_by(|(left, _), (right, _)| left.cmp(right));
    for (name, function) in functions {
        // SAFETY: as above.
        let block = unsafe { function.block() };
        walk(plan, &name, &block, DEPTH_LIMIT, &mut operations);
    }
    Ok(ComputePlan { operations })
}

/// Adds the operations of a block, and those of the blocks inside.
fn walk(
    plan: &MLComputePlan,
    function: &str,
    block: &MLModelStructureProgramBlock,
    depth: usize,
    operations: &mut Vec<PlannedOperation>,
) {
    // SAFETY: a getter of an immutable object.
    for operation in unsafe { block.operations() } {
        // SAFETY: getters of immutable objects, and two questions to the plan about an operation of
        // its own.
        let (operator, outputs, inner, usage, cost) = unsafe {
            (
                operation.operatorName(),
                operation.outputs(),
                operation.blocks(),
                plan.computeDeviceUsageForMLProgramOperation(&operation),
                plan.estimatedCostOfMLProgramOperation(&operation).map(|cost| cost.weight()),
            )
        };
        let (preferred, supported) = usage.map_or((None, Vec::new()), |usage| {
            // SAFETY: getters of an immutable object.
            let (preferred, supported) =
                unsafe { (usage.preferredComputeDevice(), usage.supportedComputeDevices()) };
            (
                Some(device(&preferred)),
                supported.iter().map(|supported| device(&supported)).collect(),
            )
        });
        // SAFETY: a getter of an immutable object.
        let outputs = outputs.iter().map(|output| unsafe { output.name() }.to_string()).collect();
        let (name, operator) = (function.to_owned(), operator.to_string());
        operations.push(PlannedOperation {
            function: name,
            operator,
            outputs,
            preferred,
            supported,
            cost,
        });
        if depth > 0 {
            inner.iter().for_each(|inner| walk(plan, function, &inner, depth - 1, operations));
        }
    }
}

/// Returns which device an object stands for.
fn device(device: &ProtocolObject<dyn MLComputeDeviceProtocol>) -> Device {
    let device: &AnyObject = device.as_ref();
    if device.downcast_ref::<MLNeuralEngineComputeDevice>().is_some() {
        Device::NeuralEngine
    } else if device.downcast_ref::<MLGPUComputeDevice>().is_some() {
        Device::Gpu
    } else if device.downcast_ref::<MLCPUComputeDevice>().is_some() {
        Device::Cpu
    } else {
        Device::Other
    }
}
