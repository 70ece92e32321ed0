//! Asynchronous predictions and batches on the double: memory, threads, and the answer that each
//! gets.

use super::double::*;
use super::fixture::description;
use super::{encode, load};
use coreml_rt::private::Model;
use coreml_rt::{Completion, CoreMlError, Error, Fixed, LoadOptions, Tensor, f16};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// The output of `encoder`.
type Code = super::fixture::One<Tensor<f32, (Fixed<1>, Fixed<3>)>>;

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The least that an executor is.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Starts `encoder` once.
fn start(encoder: &Model, seed: f32) -> Completion<Code> {
    let image =
        Tensor::<f32, (Fixed<2>, Fixed<4>)>::from_fn(|[row, column]| seed * (row + column) as f32);
    encoder.predict_async([&image.view()], Code::default())
}

#[test]
fn thirty_two_at_a_time_give_what_one_gives() {
    let double = Double::take();
    {
        let encoder = load("encoder");
        let alone: Vec<_> = (0..32).map(|seed| encode(&encoder, seed as f32).unwrap()).collect();
        for _ in 0..5 {
            // All are under way before the first is awaited; the images are gone by then.
            let started: Vec<_> = (0..32).map(|seed| start(&encoder, seed as f32)).collect();
            for (completion, expected) in started.into_iter().zip(&alone) {
                assert_eq!(&block_on(completion).unwrap().0, expected);
            }
        }
        assert!(double_most_running() > 8, "only {} ran at a time", double_most_running());
        settle();
        assert_eq!(double_live() - double.live, 1, "of a prediction nothing is left");
        assert_eq!(double_late_changes(), 0);
    }
    double.assert_nothing_leaks();
}

#[test]
fn threads_start_and_await_as_they_like() {
    let double = Double::take();
    {
        let encoder = load("encoder");
        let expected = encode(&encoder, 1.0).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let (encoder, expected) = (&encoder, &expected);
                scope.spawn(move || {
                    for _ in 0..10 {
                        let completion = start(encoder, 1.0);
                        assert_eq!(&encode(encoder, 1.0).unwrap(), expected);
                        // A future goes where it is awaited.
                        let moved = std::thread::spawn(move || block_on(completion).unwrap());
                        assert_eq!(&moved.join().unwrap().0, expected);
                    }
                });
            }
        });
        assert_eq!(double_overlaps(), 0);
    }
    double.assert_nothing_leaks();
}

#[test]
fn abandoned_futures_leave_nothing_behind() {
    let double = Double::take();
    {
        let encoder = load("encoder");
        for seed in 0..8 {
            drop(start(&encoder, seed as f32));
            // One that was polled has left a waker behind.
            let mut completion = pin!(start(&encoder, seed as f32));
            assert!(completion.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        // The model goes first, the predictions are still under way.
        let last = start(&encoder, 1.0);
        drop(encoder);
        assert!(last.wait().is_ok());
    }
    double.assert_nothing_leaks();
}

#[test]
fn failures_reach_who_waits() {
    let double = Double::take();
    {
        let encoder = load("encoder");
        double.fail(Fail::Error);
        let error = start(&encoder, 1.0).wait().unwrap_err();
        assert!(matches!(cause(&error), CoreMlError::Framework { code: 0, .. }), "{error}");
        // An exception of the call that starts.
        double.fail(Fail::Exception);
        let error = start(&encoder, 1.0).wait().unwrap_err();
        assert!(matches!(cause(&error), CoreMlError::Exception { .. }), "{error}");
        double.fail(Fail::MissingOutput);
        let error = start(&encoder, 1.0).wait().unwrap_err();
        assert!(error.to_string().contains("no output `code`"), "{error}");
        settle();
        double.fail(Fail::Silent);
        let error = start(&encoder, 1.0).wait().unwrap_err();
        assert!(error.to_string().contains("without an answer"), "{error}");
        settle();
        double.fail(Fail::Nothing);
        assert!(start(&encoder, 1.0).wait().is_ok());

        double_old_system(1);
        let error = start(&encoder, 1.0).wait().unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains("macOS 14 or iOS 17"), "{error}");
    }
    double.assert_nothing_leaks();
}

#[test]
fn models_that_wait_predict_one_at_a_time_without_anybody_waiting() {
    let double = Double::take();
    for (options, alone) in
        [(LoadOptions::new(), false), (LoadOptions::new().one_model_at_a_time(true), true)]
    {
        let models: Vec<_> =
            (0..4).map(|_| Model::load(&description("encoder"), &options).unwrap()).collect();
        let expected = encode(&models[0], 1.0).unwrap();
        settle();
        double_reset_most();
        let started: Vec<_> =
            (0..6).flat_map(|_| models.iter().map(|model| start(model, 1.0))).collect();
        // A waiting thread is in the same queue.
        assert_eq!(encode(&models[3], 1.0).unwrap(), expected);
        for (at, completion) in started.into_iter().enumerate() {
            // Abandoned, they let the next one in as well.
            if at % 3 != 0 {
                assert_eq!(completion.wait().unwrap().0, expected);
            }
        }
        settle();
        assert_eq!(
            double_most_predicting() == 1,
            alone,
            "{} predicted at a time",
            double_most_predicting()
        );
        // A prediction that fails leaves the gate open.
        for fail in [Fail::Error, Fail::Exception, Fail::MissingOutput, Fail::Silent] {
            double.fail(fail);
            let started: Vec<_> = models.iter().map(|model| start(model, 1.0)).collect();
            assert!(started.into_iter().all(|completion| completion.wait().is_err()));
            settle();
        }
        double.fail(Fail::Nothing);
        assert_eq!(encode(&models[0], 1.0).unwrap(), expected);
        // The models go first, and their predictions have not begun.
        let started: Vec<_> = models.iter().map(|model| start(model, 1.0)).collect();
        drop(models);
        assert!(started.into_iter().all(|completion| completion.wait().unwrap().0 == expected));
    }
    double.assert_nothing_leaks();
}

#[test]
fn states_travel_with_the_prediction() {
    type Mean = super::fixture::One<Tensor<f16, (Fixed<2>, Fixed<3>)>>;
    let double = Double::take();
    {
        let memory = load("memory");
        let numbers =
            Tensor::<f16, (Fixed<2>, Fixed<3>)>::from_fn(|[row, _]| f16::from_f32(row as f32));
        let mut state = memory.new_state().unwrap();
        for step in 1..=3_u8 {
            let completion = memory.predict_with_state_async(
                state,
                [&numbers.view()],
                Mean::default(),
                |state| state,
            );
            let (after, mean) = completion.wait().unwrap();
            assert_eq!(mean.0, numbers);
            assert_eq!(after.get::<f16, (Fixed<1>,)>(1).unwrap().as_slice(), [f16::from(step)]);
            state = after;
        }
        // Abandoned with its state.
        drop(
            memory
                .predict_with_state_async(state, [&numbers.view()], Mean::default(), |state| state),
        );
        settle();
        assert_eq!(double_live() - double.live, 1);
    }
    double.assert_nothing_leaks();
}

#[test]
fn batches_leave_nothing_behind() {
    let double = Double::take();
    {
        let encoder = load("encoder");
        let images: Vec<Tensor<f32, (Fixed<2>, Fixed<4>)>> = (0..5_usize)
            .map(|seed| Tensor::from_fn(|[row, column]: [usize; 2]| (seed * (row + column)) as f32))
            .collect();
        let views: Vec<_> = images.iter().map(Tensor::view).collect();
        let batch = || views.iter().map(|view| [view as &dyn coreml_rt::private::InputSlot]);
        for _ in 0..5 {
            let codes: Vec<Code> = encoder.predict_batch(batch()).unwrap();
            for (seed, code) in codes.iter().enumerate() {
                assert_eq!(code.0, encode(&encoder, seed as f32).unwrap());
            }
        }
        double.fail(Fail::Error);
        let error = encoder.predict_batch::<1, Code>(batch()).unwrap_err();
        assert!(matches!(cause(&error), CoreMlError::Framework { .. }), "{error}");
        double.fail(Fail::MissingOutput);
        let error = encoder.predict_batch::<1, Code>(batch()).unwrap_err();
        assert!(error.to_string().contains("0 results for a batch of 5"), "{error}");
        double.fail(Fail::Nothing);
        settle();
        assert_eq!(double_live() - double.live, 1);
    }
    double.assert_nothing_leaks();
}
