//! Memory that a backend may keep instead of copying it.
//!
//! Owns: [`Owner`].
//! Flow: `view.rs` stores one beside borrowed elements; `slot.rs` passes it to a backend.

use std::any::Any;
use std::sync::Arc;

/// Memory that can be kept alive. Nobody changes it while somebody holds it.
pub trait Owner: std::fmt::Debug + Send + Sync {
    /// Returns a reference that keeps the memory alive.
    fn share(&self) -> Arc<dyn Any + Send + Sync>;
}

impl<O: Any + std::fmt::Debug + Send + Sync> Owner for Arc<O> {
    fn share(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::<O>::clone(self)
    }
}
