//! Tensors to Core ML's multi-arrays and back.
//!
//! Owns: the memory of multi-arrays, and the only reads and writes of it. Must not: lend borrowed
//! memory to Core ML, whose own queues may read an input after the prediction has returned.
//! Flow: `features.rs`, `results.rs`, `backing.rs` and `state.rs` → here; `strides.rs` reads padded
//! arrays.
#![allow(unsafe_code, reason = "calls Objective-C and reads its memory")]

use super::failure::CoreMlError;
use super::{pixel_buffer, strides};
use block2::{RcBlock, StackBlock};
use coreml_spec::{DataType, Elements, ElementsMut, TensorRef};
use half::f16;
use objc2::rc::Retained;
use objc2::runtime::NSObjectProtocol;
use objc2::{AnyThread, ClassType, sel};
use objc2_core_ml::{MLMultiArray, MLMultiArrayDataType};
use objc2_foundation::{NSArray, NSInteger, NSNumber};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

/// Inputs of fewer bytes are in ordinary memory: to make a surface takes a call to the kernel.
const WORTH_A_SURFACE: usize = 16 << 10;

/// Returns a shape as Core ML takes it.
pub(super) fn shape_of(dims: &[usize]) -> Retained<NSArray<NSNumber>> {
    let numbers: Vec<Retained<NSNumber>> =
        dims.iter().map(|&dim| NSNumber::new_usize(dim)).collect();
    NSArray::from_retained_slice(&numbers)
}

/// Copies a tensor into a multi-array that owns its memory.
///
/// Parameters: `shape` — of `tensor`, by [`shape_of`].
pub(super) fn of_tensor(
    tensor: &TensorRef<'_>,
    shape: &NSArray<NSNumber>,
) -> Result<Retained<MLMultiArray>, CoreMlError> {
    if let Elements::Float16(elements) = tensor.elements
        && let Some(array) = of_surface(elements, tensor.dims, shape)
    {
        return Ok(array);
    }
    let data_type = multi_array_type(tensor.elements.data_type());
    // SAFETY: a shape of numbers and one of Apple's types; whatever Core ML dislikes about them it
    // reports.
    let array = unsafe {
        MLMultiArray::initWithShape_dataType_error(MLMultiArray::alloc(), shape, data_type)
    }?;
    match tensor.elements {
        Elements::Float16(elements) => write(&array, elements),
        Elements::Float32(elements) => write(&array, elements),
        Elements::Float64(elements) => write(&array, elements),
        Elements::Int32(elements) => write(&array, elements),
        Elements::Int8(elements) => write(&array, elements),
    }?;
    Ok(array)
}

/// Copies half-precision elements into IOSurface memory, from which the Neural Engine takes them
/// without another copy.
///
/// Returns: `None` when there are too few to be worth it, or when the system cannot: before macOS
/// 12 and iOS 16, and for sizes that Core Video does not make a pixel buffer of.
fn of_surface(
    elements: &[f16],
    dims: &[usize],
    shape: &NSArray<NSNumber>,
) -> Option<Retained<MLMultiArray>> {
    let &columns = dims.last().filter(|_| size_of_val(elements) >= WORTH_A_SURFACE)?;
    if !MLMultiArray::class().responds_to(sel!(initWithPixelBuffer:shape:)) {
        return None;
    }
    let buffer = pixel_buffer::of_halves(elements, columns).ok()?;
    // SAFETY: the system has the method; the buffer has half-precision floats in IOSurface memory,
    // in rows of the last dimension and as many as the others make. The array keeps it alive.
    Some(unsafe { MLMultiArray::initWithPixelBuffer_shape(MLMultiArray::alloc(), &buffer, shape) })
}

/// Makes a multi-array on memory that `owner` keeps alive, without a copy.
///
/// Parameters: `elements` — the first one; `shape`, `strides` — of contiguous elements, by
/// [`shape_of`]; `owner` — released when Core ML releases the array, on any thread.
///
/// # Safety
/// As many elements of `data_type` as `shape` says must start at `elements` as long as `owner`
/// lives. Meanwhile Rust must not write them. Nor must Rust read them while Core ML writes, which
/// only a prediction with this array as a backing does.
pub(super) unsafe fn of_owner(
    elements: NonNull<c_void>,
    data_type: DataType,
    shape: &NSArray<NSNumber>,
    strides: &NSArray<NSNumber>,
    owner: Arc<dyn Any + Send + Sync>,
) -> Result<Retained<MLMultiArray>, CoreMlError> {
    // To Rust a block may be called several times. If Core ML makes no array, it may not call the
    // block at all; then the owner is dropped with the block.
    let owner = Cell::new(Some(owner));
    let release = RcBlock::new(move |_elements: NonNull<c_void>| drop(owner.take()));
    let (array, data_type) = (MLMultiArray::alloc(), multi_array_type(data_type));
    // SAFETY: the caller's promise; Core ML copies the block, whose captured owner is `Send`.
    unsafe {
        MLMultiArray::initWithDataPointer_shape_dataType_strides_deallocator_error(
            array,
            elements,
            shape,
            data_type,
            strides,
            Some(&release),
        )
    }
    .map_err(CoreMlError::from)
}

/// Returns the strides of elements that follow each other without a gap, as Core ML takes them.
pub(super) fn strides_of(dims: &[usize]) -> Retained<NSArray<NSNumber>> {
    let mut strides = vec![1; dims.len()];
    for at in (1..dims.len()).rev() {
        strides[at - 1] = strides[at] * dims[at];
    }
    shape_of(&strides)
}

/// Returns the first element of a tensor.
pub(super) fn first(elements: Elements<'_>) -> NonNull<c_void> {
    match elements {
        Elements::Float16(elements) => NonNull::from(elements).cast(),
        Elements::Float32(elements) => NonNull::from(elements).cast(),
        Elements::Float64(elements) => NonNull::from(elements).cast(),
        Elements::Int32(elements) => NonNull::from(elements).cast(),
        Elements::Int8(elements) => NonNull::from(elements).cast(),
    }
}

/// Reads the sizes and strides of a multi-array, counted in elements, into vectors that keep their
/// memory.
pub(super) fn layout(array: &MLMultiArray, shape: &mut Vec<usize>, strides: &mut Vec<usize>) {
    // SAFETY: getters of immutable properties.
    let (ns_shape, ns_strides) = unsafe { (array.shape(), array.strides()) };
    shape.clear();
    shape.extend(ns_shape.iter().map(|size| size.as_usize()));
    strides.clear();
    strides.extend(ns_strides.iter().map(|stride| stride.as_usize()));
}

/// Copies a multi-array out, past its padding.
///
/// Parameters: `shape`, `strides` — by [`layout`]; `into` — as many elements as `shape` says, of
/// the array's type.
/// Errors: [`CoreMlError::Unexpected`] when the array holds another type or its numbers do not fit
/// each other.
pub(super) fn copy_to(
    array: &MLMultiArray,
    shape: &[usize],
    strides: &[usize],
    into: ElementsMut<'_>,
) -> Result<(), CoreMlError> {
    // SAFETY: a getter of an immutable property.
    let found = unsafe { array.dataType() };
    let expected = match &into {
        ElementsMut::Float16(_) => MLMultiArrayDataType::Float16,
        ElementsMut::Float32(_) => MLMultiArrayDataType::Float32,
        ElementsMut::Float64(_) => MLMultiArrayDataType::Float64,
        ElementsMut::Int32(_) => MLMultiArrayDataType::Int32,
        ElementsMut::Int8(_) => MLMultiArrayDataType::Int8,
    };
    if found != expected {
        let (found, expected) = (found.0, expected.0);
        return Err(CoreMlError::Unexpected(format!(
            "an array of type {found:#x} instead of {expected:#x}"
        )));
    }
    match into {
        ElementsMut::Float16(into) => read(array, shape, strides, into),
        ElementsMut::Float32(into) => read(array, shape, strides, into),
        ElementsMut::Float64(into) => read(array, shape, strides, into),
        ElementsMut::Int32(into) => read(array, shape, strides, into),
        ElementsMut::Int8(into) => read(array, shape, strides, into),
    }
}

/// Replaces the elements of a multi-array of Core ML's own; its padding stays as it is.
///
/// Parameters: `from` — as many elements as the array's shape says, of its type.
/// Errors: [`CoreMlError::Unexpected`] when the array holds another type or another number of
/// elements.
pub(super) fn overwrite(array: &MLMultiArray, from: Elements<'_>) -> Result<(), CoreMlError> {
    // SAFETY: a getter of an immutable property.
    let (found, given) = (unsafe { array.dataType() }, multi_array_type(from.data_type()));
    if found != given {
        let (found, given) = (found.0, given.0);
        return Err(CoreMlError::Unexpected(format!(
            "an array of type {found:#x} instead of {given:#x}"
        )));
    }
    match from {
        Elements::Float16(from) => scatter(array, from),
        Elements::Float32(from) => scatter(array, from),
        Elements::Float64(from) => scatter(array, from),
        Elements::Int32(from) => scatter(array, from),
        Elements::Int8(from) => scatter(array, from),
    }
}

/// Copies elements into the memory of a multi-array with strides.
fn scatter<T: Plain>(array: &MLMultiArray, from: &[T]) -> Result<(), CoreMlError> {
    let (mut shape, mut strides) = (Vec::new(), Vec::new());
    layout(array, &mut shape, &mut strides);
    let result = Cell::new(None);
    let block = StackBlock::new(
        |memory: NonNull<c_void>, size: NSInteger, _strides: NonNull<NSArray<NSNumber>>| {
            let memory = memory.cast::<T>();
            let Some(size) = usize::try_from(size).ok().filter(|_| memory.is_aligned()) else {
                return;
            };
            // SAFETY: Core ML gives `size` bytes to write for the duration of this call, aligned.
            // Nothing else accesses them meanwhile, since only the caller has the array. Every bit
            // pattern is a `T`.
            let elements =
                unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), size / size_of::<T>()) };
            result.set(Some(
                strides::scatter(from, &shape, &strides, elements).map_err(CoreMlError::Unexpected),
            ));
        },
    );
    // SAFETY: the handler runs before the call returns and is not kept, so what it borrows outlives
    // it. Systems that have states have this method.
    unsafe { array.getMutableBytesWithHandler(&block) };
    result.into_inner().unwrap_or_else(|| Err(unexpected_memory()))
}

/// Returns Core ML's constant for a type that an input can have.
fn multi_array_type(data_type: DataType) -> MLMultiArrayDataType {
    match data_type {
        DataType::Float16 => MLMultiArrayDataType::Float16,
        DataType::Float64 => MLMultiArrayDataType::Float64,
        DataType::Int32 => MLMultiArrayDataType::Int32,
        DataType::Int8 => MLMultiArrayDataType::Int8,
        // `Elements` has no other variant.
        _ => MLMultiArrayDataType::Float32,
    }
}

/// An element whose every bit pattern is a value, so that foreign memory can be read as it.
trait Plain: Copy {}
impl Plain for f16 {}
impl Plain for f32 {}
impl Plain for f64 {}
impl Plain for i32 {}
impl Plain for i8 {}

/// Fills a fresh multi-array, which Core ML lays out without padding.
fn write<T: Plain>(array: &MLMultiArray, elements: &[T]) -> Result<(), CoreMlError> {
    let written = Cell::new(false);
    let fill = |memory: NonNull<c_void>, size: NSInteger| {
        let memory = memory.cast::<T>();
        if usize::try_from(size).is_ok_and(|size| size >= size_of_val(elements))
            && memory.is_aligned()
        {
            // SAFETY: Core ML gives `size` bytes to write for the duration of this call, which are
            // enough and aligned; the array has no other user yet. They belong to Core ML, so they
            // do not overlap the caller's elements.
            unsafe { memory.as_ptr().copy_from_nonoverlapping(elements.as_ptr(), elements.len()) };
            written.set(true);
        }
    };
    // macOS 12.3, iOS 15.4; before, the pointer is the only way.
    if array.respondsToSelector(sel!(getMutableBytesWithHandler:)) {
        let block = StackBlock::new(|memory, size, _strides: NonNull<NSArray<NSNumber>>| {
            fill(memory, size)
        });
        // SAFETY: the handler runs before the call returns and is not kept, so what it borrows
        // outlives it.
        unsafe { array.getMutableBytesWithHandler(&block) };
    } else {
        // SAFETY: getters; the pointer is valid as long as the array, which outlives this call.
        #[expect(deprecated, reason = "its successor does not exist on the running system")]
        let (memory, count) = unsafe { (array.dataPointer(), array.count()) };
        fill(memory, count.saturating_mul(size_of::<T>() as NSInteger));
    }
    if written.get() { Ok(()) } else { Err(unexpected_memory()) }
}

/// Copies elements out of the memory of a multi-array.
fn read<T: Plain>(
    array: &MLMultiArray,
    shape: &[usize],
    strides: &[usize],
    into: &mut [T],
) -> Result<(), CoreMlError> {
    let result = Cell::new(None);
    // The block is called once, but to Rust it is a function that may be called again.
    let into = RefCell::new(into);
    let take = |memory: NonNull<c_void>, size: NSInteger| {
        let memory = memory.cast::<T>();
        let (Ok(size), Ok(mut into)) = (usize::try_from(size), into.try_borrow_mut()) else {
            return;
        };
        if !memory.is_aligned() {
            return;
        }
        // SAFETY: Core ML shows `size` readable bytes for the duration of this call, during which
        // nothing writes them: the prediction is over and the array is ours. They are aligned, and
        // every bit pattern is a `T`.
        let elements =
            unsafe { std::slice::from_raw_parts(memory.as_ptr(), size / size_of::<T>()) };
        result.set(Some(
            strides::copy(elements, shape, strides, &mut into).map_err(CoreMlError::Unexpected),
        ));
    };
    if array.respondsToSelector(sel!(getBytesWithHandler:)) {
        let block = StackBlock::new(take);
        // SAFETY: the handler runs before the call returns and is not kept, so what it borrows
        // outlives it.
        unsafe { array.getBytesWithHandler(&block) };
    } else {
        let extent = strides::extent(shape, strides).unwrap_or_default();
        // SAFETY: a getter; the pointer is valid as long as the array, which outlives this call.
        #[expect(deprecated, reason = "its successor does not exist on the running system")]
        let memory = unsafe { array.dataPointer() };
        take(
            memory,
            NSInteger::try_from(extent.saturating_mul(size_of::<T>())).unwrap_or_default(),
        );
    }
    result.into_inner().unwrap_or_else(|| Err(unexpected_memory()))
}

/// Makes the error of an array whose memory cannot be used.
fn unexpected_memory() -> CoreMlError {
    CoreMlError::Unexpected("Core ML showed no usable memory of a multi-array".to_owned())
}
