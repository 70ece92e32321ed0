//! Pixels to Core Video's pixel buffers and back.
//!
//! Owns: the memory of pixel buffers, locked while it is used, and the only reads and writes of it.
//! Must not: reorder channels for the model; Core ML does that from BGRA, the only color format
//! that all its versions take.
//! Flow: `image_value.rs` and `results.rs` → here for image features, `multi_array.rs` → here for
//! arrays in IOSurface memory.
#![allow(unsafe_code, reason = "calls Core Video and reads its memory")]

use super::failure::CoreMlError;
use super::frame::Frame;
use crate::dimension::Dim;
use crate::image::{Color, ImageRef, ImageView, Pixels, PixelsMut};
use crate::shape::ShapeError;
use half::f16;
use objc2::rc::Retained;
use objc2::runtime::AnyObject;
use objc2_core_foundation::{CFDictionary, CFRetained, Type};
use objc2_core_video::{
    CVPixelBuffer, CVPixelBufferCreate, CVPixelBufferGetBaseAddress, CVPixelBufferGetBytesPerRow,
    CVPixelBufferGetHeight, CVPixelBufferGetPixelFormatType, CVPixelBufferGetWidth,
    CVPixelBufferLockBaseAddress, CVPixelBufferLockFlags, CVPixelBufferUnlockBaseAddress,
    kCVPixelBufferIOSurfacePropertiesKey, kCVPixelFormatType_32BGRA,
    kCVPixelFormatType_OneComponent8, kCVPixelFormatType_OneComponent16Half, kCVReturnSuccess,
};
use objc2_foundation::{NSDictionary, NSString};
use std::ptr::{NonNull, null_mut};

/// Domain of errors whose code is a `CVReturn`.
const DOMAIN: &str = "Core Video";

/// Bytes of a pixel in `kCVPixelFormatType_32BGRA`.
const BGRA: usize = 4;

/// Alpha of a pixel that nothing shines through.
const OPAQUE: u8 = 255;

impl<'a, C: Color, W: Dim, H: Dim> ImageView<'a, C, W, H> {
    /// Borrows a frame of a camera or a video without a copy. On Apple's systems only;
    /// [`CVPixelBuffer`] is the type of `objc2-core-video` 0.3.
    ///
    /// Core ML takes `kCVPixelFormatType_32BGRA` for [`Rgb`](crate::Rgb), `OneComponent8` for
    /// [`Grayscale`](crate::Grayscale), `OneComponent16Half` for
    /// [`GrayscaleFloat16`](crate::GrayscaleFloat16): ask the camera for that format. Another
    /// format is an error of the prediction. Core ML keeps the buffer for a while after a
    /// prediction; do not write its pixels before Core ML releases it.
    ///
    /// Errors: [`ShapeError::ImageSize`] when the model does not take the buffer's size.
    pub fn from_pixel_buffer(buffer: &'a CVPixelBuffer) -> Result<Self, ShapeError> {
        let (width, height) = size(buffer);
        Self::new(Pixels::Buffer(Frame(buffer)), width, height)
    }
}

/// Copies an image into a new pixel buffer: one byte per pixel, one half-precision float, or BGRA.
/// An image that already is a pixel buffer is not copied.
pub(super) fn of_image(image: &ImageRef<'_>) -> Result<CFRetained<CVPixelBuffer>, CoreMlError> {
    let format = match image.pixels {
        Pixels::Gray(_) => kCVPixelFormatType_OneComponent8,
        Pixels::GrayFloat16(_) => kCVPixelFormatType_OneComponent16Half,
        Pixels::Color { .. } => kCVPixelFormatType_32BGRA,
        Pixels::Buffer(frame) => return Ok(frame.0.retain()),
    };
    let buffer = create(image.width, image.height, format)?;
    let locked = Locked::new(&buffer, CVPixelBufferLockFlags::empty())?;
    for y in 0..image.height {
        match image.pixels {
            Pixels::Gray(bytes) => locked.write_row(y, row(bytes, y, image.width))?,
            Pixels::GrayFloat16(floats) => locked.write_row(y, row(floats, y, image.width))?,
            Pixels::Color { bytes, stride, rgb: [red, green, blue] } => {
                let pixels = row(bytes, y, image.width * stride).chunks_exact(stride);
                let bgra: Vec<u8> = pixels
                    .flat_map(|pixel| [pixel[blue], pixel[green], pixel[red], OPAQUE])
                    .collect();
                locked.write_row(y, &bgra)?;
            }
            Pixels::Buffer(_) => {}
        }
    }
    drop(locked);
    Ok(buffer)
}

/// Copies half-precision elements into a buffer of one per pixel, which can be a multi-array as it
/// is.
///
/// Parameters: `columns` — elements of a row; there are as many rows as it takes.
/// Errors: those of Core Video, which limits how large a buffer may be.
pub(super) fn of_halves(
    elements: &[f16],
    columns: usize,
) -> Result<CFRetained<CVPixelBuffer>, CoreMlError> {
    let rows = elements.len().checked_div(columns).unwrap_or_default();
    let buffer = create(columns, rows, kCVPixelFormatType_OneComponent16Half)?;
    let locked = Locked::new(&buffer, CVPixelBufferLockFlags::empty())?;
    (0..rows).try_for_each(|y| locked.write_row(y, row(elements, y, columns)))?;
    drop(locked);
    Ok(buffer)
}

/// Makes a pixel buffer in IOSurface memory, which GPU and Neural Engine read where it is.
fn create(
    width: usize,
    height: usize,
    format: u32,
) -> Result<CFRetained<CVPixelBuffer>, CoreMlError> {
    // SAFETY: a constant of Core Video, initialised when the framework is loaded and never written
    // again; a `CFString` is an `NSString`.
    let key =
        unsafe { &*std::ptr::from_ref(kCVPixelBufferIOSurfacePropertiesKey).cast::<NSString>() };
    // No properties: Core Video chooses them by the format.
    let properties = NSDictionary::<NSString, AnyObject>::new();
    let attributes = NSDictionary::<NSString, AnyObject>::from_slices(&[key], &[&*properties]);
    // SAFETY: an `NSDictionary` is a `CFDictionary`; its key is one of Core Video's, with a value
    // of the type that it asks for.
    let attributes = unsafe { &*Retained::as_ptr(&attributes).cast::<CFDictionary>() };
    let mut buffer: *mut CVPixelBuffer = null_mut();
    // SAFETY: a place for the result, and attributes that live during the call; whatever Core Video
    // dislikes about the size it reports.
    let code = unsafe {
        CVPixelBufferCreate(
            None,
            width,
            height,
            format,
            Some(attributes),
            NonNull::from(&mut buffer),
        )
    };
    let buffer = NonNull::new(buffer)
        .filter(|_| code == kCVReturnSuccess)
        .ok_or_else(|| failed("create", code))?;
    // SAFETY: a function that creates gives an object with one reference, which is ours.
    Ok(unsafe { CFRetained::from_raw(buffer) })
}

/// Returns row `y` of elements without padding.
fn row<T>(elements: &[T], y: usize, len: usize) -> &[T] {
    elements.get(y * len..(y + 1) * len).unwrap_or_default()
}

/// Returns width and height.
pub(super) fn size(buffer: &CVPixelBuffer) -> (usize, usize) {
    (CVPixelBufferGetWidth(buffer), CVPixelBufferGetHeight(buffer))
}

/// Copies the pixels out, past the padding of rows.
///
/// Parameters: `into` — as many pixels as the buffer has.
/// Errors: [`CoreMlError::Unexpected`] when the buffer has another format or another number of
/// pixels.
pub(super) fn copy_to(buffer: &CVPixelBuffer, into: PixelsMut<'_>) -> Result<(), CoreMlError> {
    let (width, height) = size(buffer);
    let (format, len, channels) = match &into {
        PixelsMut::Gray(into) => (kCVPixelFormatType_OneComponent8, into.len(), 1),
        PixelsMut::GrayFloat16(into) => (kCVPixelFormatType_OneComponent16Half, into.len(), 1),
        PixelsMut::Rgb(into) => (kCVPixelFormatType_32BGRA, into.len(), 3),
    };
    let found = CVPixelBufferGetPixelFormatType(buffer);
    if found != format
        || Some(len) != width.checked_mul(height).and_then(|count| count.checked_mul(channels))
    {
        return Err(CoreMlError::Unexpected(format!(
            "an image of {width}x{height} pixels in format {found:#x} instead of {len} samples in \
             {format:#x}"
        )));
    }
    let locked = Locked::new(buffer, CVPixelBufferLockFlags::ReadOnly)?;
    match into {
        PixelsMut::Gray(into) => {
            (0..height).try_for_each(|y| locked.read_row(y, row_mut(into, y, width)))
        }
        PixelsMut::GrayFloat16(into) => {
            (0..height).try_for_each(|y| locked.read_row(y, row_mut(into, y, width)))
        }
        PixelsMut::Rgb(into) => {
            let mut bgra = vec![0u8; width * BGRA];
            for y in 0..height {
                locked.read_row(y, &mut bgra)?;
                let rows = row_mut(into, y, width * 3).chunks_exact_mut(3);
                rows.zip(bgra.chunks_exact(BGRA)).for_each(|(rgb, bgra)| {
                    rgb.copy_from_slice(&[bgra[2], bgra[1], bgra[0]]);
                });
            }
            Ok(())
        }
    }
}

/// Returns row `y` of elements without padding, to write.
fn row_mut<T>(elements: &mut [T], y: usize, len: usize) -> &mut [T] {
    elements.get_mut(y * len..(y + 1) * len).unwrap_or_default()
}

/// A sample whose every bit pattern is a value.
trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for f16 {}

/// A pixel buffer whose memory may be used until this is dropped.
struct Locked<'a> {
    /// The buffer.
    buffer: &'a CVPixelBuffer,
    /// How it was locked, which unlocking must repeat.
    flags: CVPixelBufferLockFlags,
}

impl<'a> Locked<'a> {
    /// Locks the memory.
    fn new(buffer: &'a CVPixelBuffer, flags: CVPixelBufferLockFlags) -> Result<Self, CoreMlError> {
        // SAFETY: `Drop` unlocks it with the same flags.
        let code = unsafe { CVPixelBufferLockBaseAddress(buffer, flags) };
        if code == kCVReturnSuccess {
            Ok(Self { buffer, flags })
        } else {
            Err(failed("lock", code))
        }
    }

    /// Returns the memory of row `y`, when it has room for `len` samples.
    fn row<T: Plain>(&self, y: usize, len: usize) -> Result<*mut T, CoreMlError> {
        let (memory, stride) =
            (CVPixelBufferGetBaseAddress(self.buffer), CVPixelBufferGetBytesPerRow(self.buffer));
        let row = memory.cast::<u8>().wrapping_add(y * stride).cast::<T>();
        if memory.is_null() || !row.is_aligned() || len * size_of::<T>() > stride {
            return Err(CoreMlError::Unexpected(
                "Core Video showed no usable memory of an image".to_owned(),
            ));
        }
        Ok(row)
    }

    /// Writes the samples of row `y`, of which the buffer has one.
    fn write_row<T: Plain>(&self, y: usize, from: &[T]) -> Result<(), CoreMlError> {
        let row = self.row::<T>(y, from.len())?;
        // SAFETY: the buffer is locked for writing, the row is inside it and has room for all
        // samples; Core Video's memory does not overlap our slice.
        unsafe { row.copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        Ok(())
    }

    /// Reads the samples of row `y`, of which the buffer has one.
    fn read_row<T: Plain>(&self, y: usize, into: &mut [T]) -> Result<(), CoreMlError> {
        let row = self.row::<T>(y, into.len())?;
        // SAFETY: the buffer is locked, the row is inside it and has that many samples; every bit
        // pattern is a `T`.
        unsafe { into.as_mut_ptr().copy_from_nonoverlapping(row, into.len()) };
        Ok(())
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: `new` locked it with the same flags. Nothing can be done about a failure.
        let _ = unsafe { CVPixelBufferUnlockBaseAddress(self.buffer, self.flags) };
    }
}

/// Makes the error of a function that returned another code than success.
fn failed(action: &str, code: i32) -> CoreMlError {
    CoreMlError::Framework {
        domain: DOMAIN.to_owned(),
        code: code as isize,
        message: format!("cannot {action} a pixel buffer"),
    }
}
