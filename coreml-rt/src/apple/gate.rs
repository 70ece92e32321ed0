//! The gate for models that predict one at a time.
//!
//! Owns: the one pass, and the queue of those that wait for it. Must not: know predictions, or bind
//! a pass to a thread: an asynchronous prediction starts on one thread and ends on another.
//! Flow: `backend.rs` enters before a synchronous prediction, `asynchronous.rs` is let in; both
//! drop their [`Pass`] at the end.

use std::collections::VecDeque;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is run when its turn comes.
type Turn = Box<dyn FnOnce(Pass) + Send>;

/// Lets one in at a time.
pub(super) struct Gate {
    /// The state of the gate.
    line: Mutex<Line>,
}

/// Whether the pass is out, and the queue.
struct Line {
    /// Whether a pass is out.
    is_taken: bool,
    /// Whether a thread is letting others in, and will see that the pass is back.
    is_letting_in: bool,
    /// The queue, first come first served.
    waiting: VecDeque<Turn>,
}

/// The right to predict; to drop it lets the next one in.
pub(super) struct Pass {
    /// The gate that it belongs to.
    gate: &'static Gate,
}

impl Gate {
    /// Makes an open gate.
    pub(super) const fn new() -> Self {
        Self {
            line: Mutex::new(Line {
                is_taken: false,
                is_letting_in: false,
                waiting: VecDeque::new(),
            }),
        }
    }

    /// Waits for a pass.
    pub(super) fn enter(&'static self) -> Pass {
        loop {
            let receiver = {
                let mut line = self.line();
                // Take the pass even while others are being let in: one of them may be below us on
                // this thread's stack.
                if !line.is_taken {
                    line.is_taken = true;
                    return Pass { gate: self };
                }
                let (sender, receiver) = sync_channel(1);
                // A receiver that is gone leaves the pass in the error, which drops it.
                line.waiting.push_back(Box::new(move |pass| drop(sender.send(pass))));
                receiver
            };
            // Every turn comes, since passes and turns are never leaked. If a turn is dropped
            // nevertheless, ask again.
            if let Ok(pass) = receiver.recv() {
                return pass;
            }
        }
    }

    /// Calls `turn` with a pass: now, or on the thread of the one that is in when it leaves.
    pub(super) fn let_in(&'static self, turn: impl FnOnce(Pass) + Send + 'static) {
        self.line().waiting.push_back(Box::new(turn));
        self.advance();
    }

    /// Lets waiters in as long as the pass is here. It is a loop, so that waiters which leave at
    /// once do not pile up on the stack.
    fn advance(&'static self) {
        let mut line = self.line();
        if line.is_letting_in {
            return;
        }
        while !line.is_taken
            && let Some(turn) = line.waiting.pop_front()
        {
            (line.is_taken, line.is_letting_in) = (true, true);
            drop(line);
            turn(Pass { gate: self });
            line = self.line();
            line.is_letting_in = false;
        }
    }

    /// Locks the queue; no code panics while it holds the lock.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.line().is_taken = false;
        self.gate.advance();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Makes a gate that lives as long as the tests.
    fn gate() -> &'static Gate {
        Box::leak(Box::new(Gate::new()))
    }

    #[test]
    fn one_is_in_at_a_time_and_all_get_in() {
        let (gate, inside, done) =
            (gate(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        std::thread::scope(|scope| {
            for at in 0..8 {
                let (inside, done) = (Arc::clone(&inside), Arc::clone(&done));
                scope.spawn(move || {
                    for _ in 0..200 {
                        let (inside, done) = (Arc::clone(&inside), Arc::clone(&done));
                        let work = move |pass: Pass| {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            inside.fetch_sub(1, Ordering::SeqCst);
                            done.fetch_add(1, Ordering::SeqCst);
                            drop(pass);
                        };
                        if at % 2 == 0 { work(gate.enter()) } else { gate.let_in(work) }
                    }
                });
            }
        });
        drop(gate.enter());
        assert_eq!(done.load(Ordering::SeqCst), 8 * 200);
    }

    #[test]
    fn the_first_to_come_is_the_first_let_in() {
        let (gate, order) = (gate(), Arc::new(Mutex::new(Vec::new())));
        let first = gate.enter();
        for at in 0..3 {
            let order = Arc::clone(&order);
            gate.let_in(move |_pass| order.lock().unwrap().push(at));
        }
        assert!(order.lock().unwrap().is_empty());
        // A pass goes where its prediction ends.
        std::thread::spawn(move || drop(first)).join().unwrap();
        assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
    }

    #[test]
    fn a_long_line_does_not_pile_up() {
        let (gate, count) = (gate(), Arc::new(AtomicUsize::new(0)));
        let first = gate.enter();
        for _ in 0..100_000 {
            let count = Arc::clone(&count);
            gate.let_in(move |_pass| {
                count.fetch_add(1, Ordering::Relaxed);
            });
        }
        drop(first);
        assert_eq!(count.load(Ordering::Relaxed), 100_000);
    }
}
