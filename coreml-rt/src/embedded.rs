//! Packages that are part of the program.
//!
//! Owns: turning the linker's symbols into slices. This is the only `unsafe` outside `apple/`.
//! Flow: the generated `embedded` function declares the symbols and calls this; `coreml-build`
//! assembled the files.
#![allow(unsafe_code)]

/// Returns the bytes from `start` up to `end`, exclusive.
///
/// # Safety
/// Both must be symbols of one object that `coreml-build` assembled from a file: `start` before its
/// first byte, `end` after its last, in read-only memory that lives as long as the program.
pub unsafe fn bytes(start: *const u8, end: *const u8) -> &'static [u8] {
    let len = end.addr().saturating_sub(start.addr());
    // The symbol is declared as a single byte, so a pointer to it may not reach further. The
    // address names memory that the linker brought in, and such memory is exposed by nature.
    let start = std::ptr::with_exposed_provenance::<u8>(start.addr());
    // SAFETY: the caller promises that `len` bytes from `start` are one read-only object of
    // `'static` lifetime, so they are initialised and never written, and u8 has no alignment or
    // validity demands.
    unsafe { std::slice::from_raw_parts(start, len) }
}
