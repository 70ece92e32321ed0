//! Memory that is not copied: inputs that Core ML keeps, outputs that it writes in place.

use super::double::*;
use super::load;
use coreml_rt::{CoreMlError, Fixed, Tensor, TensorView};
use std::sync::Arc;

/// What `wide` takes and gives: 32 KiB.
type Wide = Tensor<f32, (Fixed<64>, Fixed<128>)>;

/// Returns an input.
fn ramp(step: f32) -> Wide {
    Tensor::from_fn(|[row, column]: [usize; 2]| step * (128 * row + column) as f32)
}

/// Asserts that `grown` is twice the ramp.
fn assert_grown(grown: &Wide, step: f32) {
    let wrong = grown.as_slice().iter().enumerate().find(|(at, value)| **value != 2.0 * step * *at as f32);
    assert_eq!(wrong, None);
}

#[test]
fn a_shared_input_is_kept_and_released_once() {
    let double = Double::take();
    {
        let wide = load("wide");
        let mut input = Arc::new(ramp(1.0));
        let mut grown = Wide::zeros();
        for _ in 0..5 {
            wide.predict([&TensorView::from(&input)], &mut [&mut grown]).unwrap();
            assert_grown(&grown, 1.0);
            // Core ML still reads it, so it cannot be changed; no copy of it was made.
            assert!(Arc::strong_count(&input) > 1 && Arc::get_mut(&mut input).is_none());
        }
        settle();
        assert_eq!(Arc::strong_count(&input), 1, "each was let go of, and none twice");
        // The last one may be Core ML's.
        wide.predict([&TensorView::from(&input)], &mut [&mut grown]).unwrap();
        let completion = wide.predict_async::<1, super::fixture::One<Wide>>([&TensorView::from(&input)]);
        let weak = Arc::downgrade(&input);
        drop(input);
        assert!(weak.upgrade().is_some());
        assert_grown(&completion.wait().unwrap().0, 1.0);
        settle();
        assert!(weak.upgrade().is_none());
        assert_eq!(double_late_changes(), 0);

        // What fails keeps nothing.
        let input = Arc::new(ramp(1.0));
        for fail in [Fail::Error, Fail::Exception] {
            double.fail(fail);
            assert!(wide.predict([&TensorView::from(&input)], &mut [&mut grown]).is_err());
        }
        double.fail(Fail::Nothing);
        settle();
        assert_eq!(Arc::strong_count(&input), 1);
    }
    double.assert_nothing_leaks();
}

#[test]
fn outputs_are_written_in_place() {
    let double = Double::take();
    {
        let wide = load("wide");
        let mut grown = Wide::zeros();
        let (place, used) = (grown.as_slice().as_ptr(), double_backings_used());
        for step in 1..=5 {
            wide.predict([&ramp(step as f32).view()], &mut [&mut grown]).unwrap();
            assert_grown(&grown, step as f32);
            assert_eq!(grown.as_slice().as_ptr(), place, "the memory is the caller's");
        }
        assert_eq!(double_backings_used() - used, 5);
    }
    double.assert_nothing_leaks();
}

#[test]
fn outputs_that_core_ml_keeps_are_copied() {
    let double = Double::take();
    {
        let wide = load("wide");
        let mut grown = Wide::zeros();
        let place = grown.as_slice().as_ptr();
        double.fail(Fail::KeepBacking);
        wide.predict([&ramp(1.0).view()], &mut [&mut grown]).unwrap();
        assert_grown(&grown, 1.0);
        assert_ne!(grown.as_slice().as_ptr(), place, "Core ML has that memory");
        grown.as_mut_slice().fill(0.0);
    }
    double.assert_nothing_leaks();
}

#[test]
fn refused_backings_are_copied_and_not_offered_again() {
    let double = Double::take();
    {
        let wide = load("wide");
        let mut grown = Wide::zeros();
        let used = double_backings_used();
        double.fail(Fail::Backing);
        wide.predict([&ramp(1.0).view()], &mut [&mut grown]).unwrap();
        assert_grown(&grown, 1.0);
        double.fail(Fail::Nothing);
        let place = grown.as_slice().as_ptr();
        wide.predict([&ramp(2.0).view()], &mut [&mut grown]).unwrap();
        assert_grown(&grown, 2.0);
        assert_eq!((grown.as_slice().as_ptr(), double_backings_used()), (place, used));
        // An old system knows no backings.
        let wide = load("wide");
        double_old_system(1);
        wide.predict([&ramp(3.0).view()], &mut [&mut grown]).unwrap();
        assert_grown(&grown, 3.0);
        assert_eq!(double_backings_used(), used);
    }
    double.assert_nothing_leaks();
}

#[test]
fn outputs_have_their_memory_after_a_failure() {
    let double = Double::take();
    {
        let wide = load("wide");
        let mut grown = Wide::zeros();
        for fail in [Fail::Error, Fail::Exception, Fail::MissingOutput] {
            double.fail(fail);
            let error = wide.predict([&ramp(1.0).view()], &mut [&mut grown]).unwrap_err();
            assert_eq!(matches!(cause(&error), CoreMlError::Unexpected(_)), matches!(fail, Fail::MissingOutput));
            assert_eq!(grown.as_slice().len(), 64 * 128);
        }
    }
    double.assert_nothing_leaks();
}
