//! Memory that is not copied: inputs that Core ML keeps, outputs that it writes in place.

use super::double::*;
use super::fixture::One;
use super::load;
use coreml_rt::{CoreMlError, Fixed, Tensor, TensorView, f16};
use std::sync::Arc;

/// Input and output of `wide`: 32 KiB.
type Wide = Tensor<f32, (Fixed<64>, Fixed<128>)>;

/// Returns an input.
fn ramp(step: f32) -> Wide {
    Tensor::from_fn(|[row, column]: [usize; 2]| step * (128 * row + column) as f32)
}

/// Asserts that `grown` is twice the ramp.
fn assert_grown(grown: &Wide, step: f32) {
    let wrong =
        grown.as_slice().iter().enumerate().find(|(at, value)| **value != 2.0 * step * *at as f32);
    assert_eq!(wrong, None);
}

#[test]
fn a_shared_input_is_kept_and_released_once() {
    let double = Double::take();
    {
        let wide = load("wide");
        let mut input = Arc::new(ramp(1.0));
        let mut grown = Wide::zeros();
        double.fail(Fail::KeepInputs);
        for _ in 0..5 {
            wide.predict([&TensorView::from(&input)], &mut [&mut grown]).unwrap();
            assert_grown(&grown, 1.0);
            // Core ML still reads it, so it cannot be changed; no copy of it was made.
            assert!(Arc::strong_count(&input) > 1 && Arc::get_mut(&mut input).is_none());
        }
        double.fail(Fail::Nothing);
        settle();
        assert_eq!(Arc::strong_count(&input), 1, "each was let go of, and none twice");
        // The last one may be Core ML's.
        double.fail(Fail::KeepInputs);
        wide.predict([&TensorView::from(&input)], &mut [&mut grown]).unwrap();
        let completion = wide.predict_async([&TensorView::from(&input)], One(Wide::zeros()));
        let weak = Arc::downgrade(&input);
        drop(input);
        assert!(weak.upgrade().is_some());
        assert_grown(&completion.wait().unwrap().0, 1.0);
        double.fail(Fail::Nothing);
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
        double.fail(Fail::Nothing);
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
            assert_eq!(
                matches!(cause(&error), CoreMlError::Unexpected(_)),
                matches!(fail, Fail::MissingOutput)
            );
            assert_eq!(grown.as_slice().len(), 64 * 128);
        }
    }
    double.assert_nothing_leaks();
}

/// Waits until the double has released everything, so that the result has no other owner.
fn settled<T>(completion: coreml_rt::Completion<T>) -> T {
    settle();
    completion.wait().unwrap()
}

#[test]
fn asynchronous_outputs_are_written_in_place() {
    let double = Double::take();
    {
        let wide = load("wide");
        let mut output = One(Wide::zeros());
        let (place, used) = (output.0.as_slice().as_ptr(), double_backings_used());
        for step in 1..=5 {
            // The input is gone before it is over.
            output = settled(wide.predict_async([&ramp(step as f32).view()], output));
            assert_grown(&output.0, step as f32);
            assert_eq!(output.0.as_slice().as_ptr(), place, "the memory is the caller's");
        }
        assert_eq!(double_backings_used() - used, 5);
        // Core ML still has it when the result is taken.
        double.fail(Fail::KeepBacking);
        let output = wide.predict_async([&ramp(6.0).view()], output).wait().unwrap();
        assert_grown(&output.0, 6.0);
        assert_ne!(output.0.as_slice().as_ptr(), place, "Core ML has that memory");
        double.fail(Fail::Nothing);
    }
    double.assert_nothing_leaks();
}

#[test]
fn refused_asynchronous_backings_are_copied_and_not_offered_again() {
    let double = Double::take();
    {
        let wide = load("wide");
        let used = double_backings_used();
        double.fail(Fail::Backing);
        assert_grown(&settled(wide.predict_async([&ramp(1.0).view()], One(Wide::zeros()))).0, 1.0);
        double.fail(Fail::Nothing);
        assert_grown(&settled(wide.predict_async([&ramp(2.0).view()], One(Wide::zeros()))).0, 2.0);
        assert_eq!(double_backings_used(), used);
    }
    double.assert_nothing_leaks();
}

#[test]
fn abandoned_futures_do_not_free_a_backing_in_use() {
    let double = Double::take();
    {
        let wide = load("wide");
        let used = double_backings_used();
        let mut others = Vec::new();
        for step in 0..16 {
            drop(wide.predict_async([&ramp(step as f32).view()], One(Wide::zeros())));
            // An allocation of the same size now gets the memory of an output that was freed too
            // early.
            others.push(vec![7.0f32; 64 * 128]);
        }
        drop(wide);
        settle();
        assert_eq!(double_backings_used() - used, 16);
        assert!(
            others.iter().flatten().all(|&number| number == 7.0),
            "Core ML wrote memory that was freed"
        );
    }
    double.assert_nothing_leaks();
}

#[test]
fn failed_asynchronous_predictions_keep_no_memory() {
    let double = Double::take();
    {
        let wide = load("wide");
        for fail in [Fail::Error, Fail::Exception, Fail::MissingOutput, Fail::Silent] {
            double.fail(fail);
            assert!(wide.predict_async([&ramp(1.0).view()], One(Wide::zeros())).wait().is_err());
            settle();
            assert_eq!(double_live() - double.live, 1);
        }
    }
    double.assert_nothing_leaks();
}

/// Input and output of `halves`: 16 KiB.
type Halves = Tensor<f16, (Fixed<4>, Fixed<16>, Fixed<128>)>;

#[test]
fn large_half_precision_inputs_are_in_surfaces() {
    let double = Double::take();
    {
        let halves = load("halves");
        let input = Halves::from_fn(|[plane, row, column]: [usize; 3]| {
            f16::from_f32((plane + 4 * row) as f32 + column as f32 / 4.0)
        });
        let mut halved = Halves::zeros();
        let mut surfaces = double_surfaces();
        // As it should be; on a system without such arrays; where Core Video makes no such surface.
        for (old, fail, count) in
            [(0, Fail::Nothing, 1), (1, Fail::Nothing, 0), (0, Fail::Surface, 0)]
        {
            double_old_system(old);
            double.fail(fail);
            for _ in 0..5 {
                halved.as_mut_slice().fill(f16::ZERO);
                halves.predict([&input.view()], &mut [&mut halved]).unwrap();
                assert_eq!(double_surfaces() - surfaces, count);
                surfaces = double_surfaces();
                let halves = halved.as_slice().iter().zip(input.as_slice());
                assert!(
                    halves.into_iter().all(|(half, whole)| half.to_f32() == whole.to_f32() / 2.0)
                );
            }
        }
        settle();
        assert_eq!((double_live() - double.live, double_locks()), (1, 0));
        assert_eq!(double_late_changes(), 0);
    }
    double.assert_nothing_leaks();
}
