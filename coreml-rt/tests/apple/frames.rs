//! Frames of cameras, which already are pixel buffers.

use super::double::*;
use super::load;
use coreml_rt::{Error, Fixed, GrayscaleFloat16, Image, ImageView, Rgb, ShapeError, Tensor};
use objc2_core_foundation::CFRetained;
use objc2_core_video::{
    CVPixelBuffer, CVPixelBufferCreate, CVPixelBufferGetBaseAddress, CVPixelBufferGetBytesPerRow,
    CVPixelBufferLockBaseAddress, CVPixelBufferLockFlags, CVPixelBufferUnlockBaseAddress,
    kCVPixelFormatType_32BGRA,
};
use std::ptr::{NonNull, null_mut};

/// Makes a frame of one color, as a camera would.
fn frame(width: usize, height: usize, bgra: [u8; 4]) -> CFRetained<CVPixelBuffer> {
    let mut made: *mut CVPixelBuffer = null_mut();
    // SAFETY: a place for the result, and no attributes.
    let code = unsafe {
        CVPixelBufferCreate(
            None,
            width,
            height,
            kCVPixelFormatType_32BGRA,
            None,
            NonNull::from(&mut made),
        )
    };
    assert_eq!(code, 0);
    // SAFETY: a function that creates returns an object with one reference.
    let frame = unsafe { CFRetained::from_raw(NonNull::new(made).unwrap()) };
    let flags = CVPixelBufferLockFlags::empty();
    // SAFETY: it is unlocked below, with the same flags.
    unsafe { CVPixelBufferLockBaseAddress(&frame, flags) };
    let (memory, stride) =
        (CVPixelBufferGetBaseAddress(&frame).cast::<u8>(), CVPixelBufferGetBytesPerRow(&frame));
    for y in 0..height {
        // SAFETY: the row is inside the buffer, which is locked.
        let row = unsafe { std::slice::from_raw_parts_mut(memory.add(y * stride), 4 * width) };
        row.chunks_exact_mut(4).for_each(|pixel| pixel.copy_from_slice(&bgra));
    }
    // SAFETY: it was locked above.
    unsafe { CVPixelBufferUnlockBaseAddress(&frame, flags) };
    frame
}

#[test]
fn frames_go_in_as_they_are() {
    let double = Double::take();
    {
        let photo = load("photo");
        let mut negative = Image::<Rgb, Fixed<4>, Fixed<2>>::black();
        let mut brightness = Tensor::<f32, (Fixed<1>, Fixed<3>)>::zeros();
        let surfaces = double_surfaces();
        for blue in 0..10 {
            let frame = frame(4, 2, [blue, 20, 30, 255]);
            let picture = ImageView::<Rgb, Fixed<4>, Fixed<2>>::from_pixel_buffer(&frame).unwrap();
            photo.predict([&picture], &mut [&mut negative, &mut brightness]).unwrap();
            assert_eq!(negative.pixel(3, 1), Some(&[225, 235, 255 - blue][..]));
            // The camera takes its buffer back, while Core ML may still read it.
        }
        assert_eq!(double_surfaces(), surfaces, "no buffer was made, so nothing was copied");
        settle();
        assert_eq!((double_live() - double.live, double_late_changes()), (1, 0));

        // The types refuse a wrong size, Core ML a wrong format.
        let wide = frame(5, 3, [0; 4]);
        let error = ImageView::<Rgb, Fixed<4>, Fixed<2>>::from_pixel_buffer(&wide).unwrap_err();
        assert!(matches!(error, ShapeError::ImageSize { width: 5, height: 3, .. }), "{error}");
        let picture =
            ImageView::<GrayscaleFloat16, Fixed<5>, Fixed<3>>::from_pixel_buffer(&wide).unwrap();
        let mut deeper = Image::<GrayscaleFloat16, Fixed<5>, Fixed<3>>::black();
        let error = load("depth").predict([&picture], &mut [&mut deeper]).unwrap_err();
        assert!(
            matches!(error, Error::Invalid { .. })
                && error.to_string().contains("supported format"),
            "{error}"
        );
    }
    double.assert_nothing_leaks();
}
