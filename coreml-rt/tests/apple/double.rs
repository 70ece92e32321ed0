//! Steering the double.
//!
//! Owns: its functions in C, its lock, and the counting of its objects.
//! Flow: every test of this folder → here.
#![allow(dead_code, reason = "each test uses its part")]

use coreml_rt::{CoreMlError, Error};
use std::ffi::{CStr, c_char, c_int, c_long};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

unsafe extern "C" {
    pub(crate) safe fn double_live() -> c_int;
    pub(crate) safe fn double_locks() -> c_int;
    pub(crate) safe fn double_surfaces() -> c_int;
    pub(crate) safe fn double_pending() -> c_int;
    pub(crate) safe fn double_compilations() -> c_int;
    pub(crate) safe fn double_loads() -> c_int;
    pub(crate) safe fn double_late_changes() -> c_int;
    pub(crate) safe fn double_backings_used() -> c_int;
    pub(crate) safe fn double_last_low_precision() -> c_int;
    pub(crate) safe fn double_last_strategy() -> c_long;
    pub(crate) safe fn double_last_frequency() -> c_long;
    pub(crate) safe fn double_most_predicting() -> c_int;
    pub(crate) safe fn double_reset_most();
    pub(crate) safe fn double_most_running() -> c_int;
    pub(crate) safe fn double_overlaps() -> c_int;
    pub(crate) safe fn double_last_units() -> c_long;
    safe fn double_last_path() -> *const c_char;
    pub(crate) safe fn double_fail(kind: c_int);
    pub(crate) safe fn double_old_system(old: c_int);
}

/// What the double can be made to fail with, as `double.h` numbers it.
#[derive(Clone, Copy)]
#[repr(i32)]
pub(crate) enum Fail {
    Nothing,
    Error,
    WrongFeature,
    Exception,
    Compile,
    Load,
    MissingOutput,
    Type,
    Silent,
    Backing,
    KeepBacking,
    Surface,
    KeepInputs,
}

/// The double alone: its counters and its failures belong to the process.
pub(crate) struct Double {
    /// Others wait.
    _lock: MutexGuard<'static, ()>,
    /// How many objects lived before.
    pub(crate) live: c_int,
}

impl Double {
    /// Waits for the others.
    pub(crate) fn take() -> Self {
        static LOCK: Mutex<()> = Mutex::new(());
        let lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        settle();
        Self { _lock: lock, live: double_live() }
    }

    /// Fails from now on.
    pub(crate) fn fail(&self, how: Fail) {
        double_fail(how as c_int);
    }

    /// Asserts that every object of Core ML that was made has been released.
    pub(crate) fn assert_nothing_leaks(&self) {
        settle();
        assert_eq!(double_live() - self.live, 0, "objects are left alive");
        assert_eq!(double_locks(), 0, "images are left locked");
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.fail(Fail::Nothing);
        double_old_system(0);
    }
}

/// Returns what compiled model was loaded last.
pub(crate) fn last_path() -> PathBuf {
    // SAFETY: a text of the double's, which ends with a zero and stays where it is; tests have the
    // double one at a time.
    unsafe { CStr::from_ptr(double_last_path()) }.to_str().unwrap().into()
}

/// Waits until the double has released the inputs.
pub(crate) fn settle() {
    while double_pending() > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns what Core ML said.
pub(crate) fn cause(error: &Error) -> CoreMlError {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<CoreMlError>())
        .unwrap()
        .clone()
}
