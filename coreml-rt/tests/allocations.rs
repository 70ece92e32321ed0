//! A typed prediction into an existing output allocates nothing beyond what the engine's session
//! does by itself.
//!
//! A test binary of its own, because it counts what the whole process allocates.
#![allow(clippy::unwrap_used, reason = "this file is tests")]
#![allow(unsafe_code, reason = "an allocator is unsafe by its trait")]
#![allow(unexpected_cfgs, reason = "`coreml_double` is set by tools/apple-double")]

mod fixture;

use coreml_rt::private::Model;
use coreml_rt::{Fixed, LoadOptions, Tensor, f16};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Allocations of this thread: the test harness has threads of its own.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

// SAFETY: every call goes to the system's allocator as it came; counting does not allocate, because
// the counter is a constant-initialised thread-local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often each way runs before it is counted, so that pools and lazily made buffers are there.
const WARM_UP: usize = 5;

/// Returns how often one run of `run` allocates, when it has run before.
fn allocations(mut run: impl FnMut()) -> usize {
    (0..WARM_UP).for_each(|_| run());
    let before = COUNT.get();
    run();
    COUNT.get() - before
}

/// Core ML's own allocations are not counted, and cannot be avoided; this crate adds none.
#[test]
#[cfg(target_vendor = "apple")]
fn predict_into_allocates_nothing() {
    let half = Tensor::<f16, (Fixed<2>, Fixed<3>)>::zeros();
    let (ids, scale) = (Tensor::from([1, -2, 3, 1000]), Tensor::from([0.5f32]));
    let mut scaled = Tensor::<f16, (Fixed<2>, Fixed<3>)>::zeros();
    let mut doubled = Tensor::<i32, (Fixed<4>,)>::zeros();
    let mut sums = Tensor::<f32, (Fixed<2>,)>::zeros();
    let model = Model::load(&fixture::description("mix"), &LoadOptions::new()).unwrap();
    let mut predict = || {
        model
            .predict(
                [&half.view(), &ids.view(), &scale.view()],
                &mut [&mut scaled, &mut doubled, &mut sums],
            )
            .unwrap();
    };
    assert_eq!(allocations(&mut predict), 0);
    // For tools/apple-overhead, which counts the instructions of so many more.
    let more = std::env::var("COREML_MORE_PREDICTIONS")
        .ok()
        .and_then(|more| more.parse().ok())
        .unwrap_or(0);
    (0..more).for_each(|_| predict());
}

#[test]
#[cfg(not(target_vendor = "apple"))]
fn predict_into_allocates_no_more_than_the_session() {
    use coreml_portable::{Options, Session};
    use coreml_spec::{ElementsMut, Package};

    let half = Tensor::<f16, (Fixed<2>, Fixed<3>)>::from_fn(|[row, column]| {
        f16::from_f32((row + column) as f32)
    });
    let ids = Tensor::from([1, -2, 3, 1000]);
    let scale = Tensor::from([0.5f32]);
    let mut scaled = Tensor::<f16, (Fixed<2>, Fixed<3>)>::zeros();
    let mut doubled = Tensor::<i32, (Fixed<4>,)>::zeros();
    let mut sums = Tensor::<f32, (Fixed<2>,)>::zeros();

    let package = Package::open(fixture::data("mix.mlpackage")).unwrap();
    let mut options = Options::default();
    options.threads = Some(1);
    let session = Session::load(&package, &options).unwrap();
    let inputs = [
        coreml_spec::TensorRef {
            dims: &[2, 3],
            elements: coreml_spec::Elements::Float16(half.as_slice()),
        },
        coreml_spec::TensorRef {
            dims: &[4],
            elements: coreml_spec::Elements::Int32(ids.as_slice()),
        },
        coreml_spec::TensorRef {
            dims: &[1],
            elements: coreml_spec::Elements::Float32(scale.as_slice()),
        },
    ];
    let direct = allocations(|| {
        let outputs = session.run(&inputs).unwrap();
        outputs.copy_to(0, ElementsMut::Float16(scaled.as_mut_slice())).unwrap();
        outputs.copy_to(1, ElementsMut::Int32(doubled.as_mut_slice())).unwrap();
        outputs.copy_to(2, ElementsMut::Float32(sums.as_mut_slice())).unwrap();
    });

    let model = Model::load(&fixture::description("mix"), &LoadOptions::new().threads(1)).unwrap();
    let given = Some(scale.view());
    let typed = allocations(|| {
        model
            .predict(
                [&half.view(), &ids.view(), &given],
                &mut [&mut scaled, &mut doubled, &mut sums],
            )
            .unwrap();
    });
    assert!(direct > 0, "the counter counts");
    assert_eq!(
        typed, direct,
        "a typed prediction allocates {typed} times, the session alone {direct} times"
    );

    let left_out: Option<coreml_rt::TensorView<'_, f32, (Fixed<1>,)>> = None;
    let with_default = allocations(|| {
        model
            .predict(
                [&half.view(), &ids.view(), &left_out],
                &mut [&mut scaled, &mut doubled, &mut sums],
            )
            .unwrap();
    });
    assert_eq!(with_default, direct, "an input that is left out costs nothing");
}
