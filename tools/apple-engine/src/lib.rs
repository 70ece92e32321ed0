//! The portable backend behind a C interface, with which the double of Core ML computes models that
//! it does not implement.
//!
//! Owns: the C interface of `coreml-rt/tests/double/engine.m`. Must not: know Objective-C.
//! Flow: `tools/apple-double` builds it; the double opens it by the path in `COREML_DOUBLE_ENGINE`.
#![allow(unsafe_code, reason = "a C interface")]

use coreml_portable::{Options, Session};
use coreml_spec::{Elements, ElementsMut, FeatureKind, Labels, Package, TensorRef};
use half::f16;
use std::ffi::{CStr, CString, c_char, c_void};

/// Codes of `MLMultiArrayDataType`.
const FLOAT16: i32 = 0x10010;
/// See [`FLOAT16`].
const FLOAT32: i32 = 0x10020;
/// See [`FLOAT16`].
const INT32: i32 = 0x20020;

/// The kind of an output that is not an array: a label as text.
const LABEL: i32 = 1;
/// A probability; the name is that of the label, behind it a line feed and the name of the output.
const PROBABILITY: i32 = 2;

/// An array that the double feeds, in row-major order without padding.
#[repr(C)]
pub struct Array {
    /// Name of the input.
    name: *const c_char,
    /// Type of the elements.
    data_type: i32,
    /// Number of dimensions.
    rank: usize,
    /// The sizes.
    dims: *const usize,
    /// The elements.
    elements: *const c_void,
}

/// Takes one output: context, name, type or kind, rank, sizes, elements.
pub type Give =
    unsafe extern "C" fn(*mut c_void, *const c_char, i32, usize, *const usize, *const c_void);

/// Loads a package; null when that fails, and the reason is on standard error.
///
/// # Safety
/// `path` must be a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_load(path: *const c_char) -> *mut Session {
    // SAFETY: the caller's promise.
    let path = unsafe { CStr::from_ptr(path) }.to_string_lossy();
    let mut options = Options::default();
    options.threads = Some(1);
    let package = Package::open(&*path).map_err(|error| error.to_string());
    let session = package
        .and_then(|package| Session::load(&package, &options).map_err(|error| error.to_string()));
    match session {
        Ok(session) => Box::into_raw(Box::new(session)),
        Err(error) => {
            eprintln!("apple-engine: {path}: {error}");
            std::ptr::null_mut()
        }
    }
}

/// Frees the session of [`engine_load`].
///
/// # Safety
/// `session` must come from [`engine_load`] and not be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_free(session: *mut Session) {
    if !session.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(session) });
    }
}

/// Runs a model and passes its outputs on. Returns 0, or 1 when that fails, with the reason on
/// standard error.
///
/// # Safety
/// `session` must come from [`engine_load`]; `inputs` must be `count` arrays; `give` must be as its
/// type says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_run(
    session: *const Session,
    inputs: *const Array,
    count: usize,
    give: Give,
    context: *mut c_void,
) -> i32 {
    // SAFETY: the caller's promise.
    let (session, inputs) = unsafe { (&*session, std::slice::from_raw_parts(inputs, count)) };
    let mut give = |name: &str, kind: i32, dims: &[usize], elements: *const c_void| {
        let name = CString::new(name).unwrap_or_default();
        // SAFETY: the caller's promise; the arguments live during the call.
        unsafe { give(context, name.as_ptr(), kind, dims.len(), dims.as_ptr(), elements) };
    };
    match run(session, inputs, &mut give) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("apple-engine: {error}");
            1
        }
    }
}

/// Takes an output: name, type or kind, sizes, elements.
type Taker<'a> = &'a mut dyn FnMut(&str, i32, &[usize], *const c_void);

/// Runs a model and passes its outputs on.
fn run(session: &Session, inputs: &[Array], give: Taker<'_>) -> Result<(), String> {
    let function = session.function();
    let mut tensors = Vec::new();
    for feature in &function.inputs {
        let found = inputs.iter().find(|array| {
            // SAFETY: the names are C strings, by the contract of `engine_run`.
            unsafe { CStr::from_ptr(array.name) }.to_bytes() == feature.name.as_bytes()
        });
        let array = found.ok_or_else(|| format!("the input `{}` is missing", feature.name))?;
        // SAFETY: the arrays are what they say, by the contract of `engine_run`, and row-major.
        tensors.push(unsafe { tensor(array) }?);
    }
    let outputs = session.run(&tensors).map_err(|error| error.to_string())?;
    for (index, feature) in function.outputs.iter().enumerate() {
        let labels = match function.classifier.as_ref().map(|classifier| &classifier.labels) {
            Some(Labels::Strings(labels)) => labels.as_slice(),
            _ => &[],
        };
        if feature.kind == FeatureKind::StringLabel {
            let label = outputs.label().map_err(|error| error.to_string())?;
            let label = CString::new(labels[label].as_str()).unwrap_or_default();
            give(&feature.name, LABEL, &[], label.as_ptr().cast());
            continue;
        }
        let dims = outputs.dims(index).map_err(|error| error.to_string())?.to_vec();
        let len = dims.iter().product();
        let copied =
            |into: ElementsMut<'_>| outputs.copy_to(index, into).map_err(|error| error.to_string());
        match &feature.kind {
            FeatureKind::Probabilities => {
                let mut elements = vec![0.0_f32; len];
                copied(ElementsMut::Float32(&mut elements))?;
                for (label, probability) in labels.iter().zip(&elements) {
                    let name = format!("{label}\n{}", feature.name);
                    give(&name, PROBABILITY, &[], std::ptr::from_ref(probability).cast());
                }
            }
            FeatureKind::MultiArray { data_type: coreml_spec::DataType::Float16, .. } => {
                let mut elements = vec![f16::ZERO; len];
                copied(ElementsMut::Float16(&mut elements))?;
                give(&feature.name, FLOAT16, &dims, elements.as_ptr().cast());
            }
            FeatureKind::MultiArray { data_type: coreml_spec::DataType::Int32, .. } => {
                let mut elements = vec![0; len];
                copied(ElementsMut::Int32(&mut elements))?;
                give(&feature.name, INT32, &dims, elements.as_ptr().cast());
            }
            FeatureKind::MultiArray { data_type: coreml_spec::DataType::Float32, .. } => {
                let mut elements = vec![0.0_f32; len];
                copied(ElementsMut::Float32(&mut elements))?;
                give(&feature.name, FLOAT32, &dims, elements.as_ptr().cast());
            }
            kind => {
                return Err(format!(
                    "the output `{}` is a {kind:?}, which the double does not have",
                    feature.name
                ));
            }
        }
    }
    Ok(())
}

/// Borrows an array.
///
/// # Safety
/// Its fields must be true as long as the result is used.
unsafe fn tensor<'a>(array: &'a Array) -> Result<TensorRef<'a>, String> {
    // SAFETY: the caller's promise.
    let dims = unsafe { std::slice::from_raw_parts(array.dims, array.rank) };
    let len = dims.iter().product();
    // SAFETY: the caller's promise, for the type that the array has.
    let elements = unsafe {
        match array.data_type {
            FLOAT16 => Elements::Float16(std::slice::from_raw_parts(array.elements.cast(), len)),
            FLOAT32 => Elements::Float32(std::slice::from_raw_parts(array.elements.cast(), len)),
            INT32 => Elements::Int32(std::slice::from_raw_parts(array.elements.cast(), len)),
            other => {
                return Err(format!("an input of type {other:#x}, which the double does not feed"));
            }
        }
    };
    Ok(TensorRef { dims, elements })
}
