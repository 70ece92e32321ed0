//! Results that arrive later, with or without an executor.
//!
//! Owns: [`Completion`], the future of every asynchronous function here, and [`Completer`], its
//! other end. Must not: run anything except what [`spawn`] is given.
//! Flow: `model.rs` makes a pair; a backend completes one end, the application awaits the other.

use crate::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A model or an output that is being made.
///
/// A future that any executor runs, and that borrows nothing. What it waits for is under way
/// already, whether or not it is polled. To drop it abandons the result, not the work: Core ML
/// cannot take a prediction back.
#[must_use = "the result arrives only here: await it, or call `wait`"]
pub struct Completion<T> {
    /// What both ends share.
    shared: Arc<Shared<T>>,
}

/// What both ends share.
struct Shared<T> {
    /// How far it is.
    progress: Mutex<Progress<T>>,
    /// Wakes threads in [`Completion::wait`].
    done: Condvar,
}

/// How far a completion is.
enum Progress<T> {
    /// Nothing has come; whom to wake when it does.
    Waiting(Option<Waker>),
    /// The result is here, and made when it is taken.
    Done(Box<dyn FnOnce() -> Result<T, Error> + Send>),
    /// The result was taken.
    Taken,
}

impl<T> Shared<T> {
    /// Locks the progress; no code panics while it holds the lock.
    fn progress(&self) -> MutexGuard<'_, Progress<T>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Completion<T> {
    /// Blocks the thread until the result is here, for programs without an executor.
    pub fn wait(self) -> Result<T, Error> {
        let mut progress = self.shared.progress();
        loop {
            match std::mem::replace(&mut *progress, Progress::Taken) {
                Progress::Done(result) => {
                    drop(progress);
                    return result();
                }
                waiting => *progress = waiting,
            }
            progress = self.shared.done.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Future for Completion<T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut progress = self.shared.progress();
        match std::mem::replace(&mut *progress, Progress::Taken) {
            Progress::Done(result) => {
                drop(progress);
                Poll::Ready(result())
            }
            // Polled again after it was ready, which no executor does: it stays pending, as
            // `Future` allows.
            Progress::Taken => Poll::Pending,
            Progress::Waiting(_) => {
                *progress = Progress::Waiting(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }
}

impl<T> std::fmt::Debug for Completion<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &*self.shared.progress() {
            Progress::Waiting(_) => "waiting",
            Progress::Done(_) => "done",
            Progress::Taken => "taken",
        })
    }
}

/// The end that brings the result.
pub(crate) struct Completer<T> {
    /// What both ends share.
    shared: Arc<Shared<T>>,
    /// Name of the model, for the error of a result that never came.
    model: String,
}

impl<T> Completer<T> {
    /// Hands the result over and wakes the waiting side.
    pub(crate) fn complete(self, result: Result<T, Error>)
    where
        T: Send + 'static,
    {
        self.complete_with(move || result);
    }

    /// Wakes the waiting side, which calls `result` when it takes the result.
    pub(crate) fn complete_with(self, result: impl FnOnce() -> Result<T, Error> + Send + 'static) {
        self.finish(Box::new(result));
    }

    /// Hands a result over, unless there is one.
    fn finish(&self, result: Box<dyn FnOnce() -> Result<T, Error> + Send>) {
        let waker = {
            let mut progress = self.shared.progress();
            match &mut *progress {
                Progress::Waiting(waker) => {
                    let waker = waker.take();
                    *progress = Progress::Done(result);
                    waker
                }
                Progress::Done(_) | Progress::Taken => return,
            }
        };
        self.shared.done.notify_all();
        // Outside the lock, because the woken task may poll at once.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Completer<T> {
    fn drop(&mut self) {
        let source = "the request was dropped without an answer".into();
        let error = Error::Engine { model: std::mem::take(&mut self.model), source };
        self.finish(Box::new(move || Err(error)));
    }
}

/// Makes both ends.
///
/// Parameters: `model` — its name, for errors.
pub(crate) fn pair<T>(model: &str) -> (Completer<T>, Completion<T>) {
    let shared =
        Arc::new(Shared { progress: Mutex::new(Progress::Waiting(None)), done: Condvar::new() });
    (Completer { shared: Arc::clone(&shared), model: model.to_owned() }, Completion { shared })
}

/// Makes a completion of what could not be started.
///
/// Parameters: `model` — as for [`pair`].
pub(crate) fn failed<T: Send + 'static>(model: &str, error: Error) -> Completion<T> {
    let (completer, completion) = pair(model);
    completer.complete(Err(error));
    completion
}

/// Runs `work` on a thread of its own.
///
/// Errors: [`Error::Engine`] when the system gives no thread.
pub(crate) fn spawn(model: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = std::thread::Builder::new().name(format!("coreml: {model}")).spawn(work);
    thread.map(drop).map_err(|error| {
        let source =
            format!("no thread could be started ({error}); run fewer predictions at the same time")
                .into();
        Error::Engine { model: model.to_owned(), source }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_result_wakes_who_polled_last() {
        let (completer, mut completion) = pair::<i32>("net");
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        for count in [&first, &second] {
            let waker = Waker::from(Arc::clone(count));
            assert!(Pin::new(&mut completion).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        completer.complete(Ok(7));
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 1));
        let waker = Waker::from(first);
        let ready = Pin::new(&mut completion).poll(&mut Context::from_waker(&waker));
        assert!(matches!(ready, Poll::Ready(Ok(7))));
    }

    #[test]
    fn a_thread_waits() {
        let (completer, completion) = pair::<i32>("net");
        spawn("net", move || completer.complete(Ok(7))).unwrap();
        assert_eq!(completion.wait().unwrap(), 7);
    }

    #[test]
    fn a_request_without_an_answer_is_an_error() {
        let (completer, completion) = pair::<i32>("net");
        drop(completer);
        let message = completion.wait().unwrap_err().to_string();
        assert_eq!(
            message,
            "running the model `net` failed: the request was dropped without an answer"
        );
        // The other end was dropped.
        let (completer, completion) = pair::<i32>("net");
        drop(completion);
        completer.complete(Ok(7));
    }
}
