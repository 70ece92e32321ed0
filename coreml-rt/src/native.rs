//! The backend of the system that this crate is compiled for.
//!
//! Owns: the choice: Core ML on Apple's systems, the portable backend everywhere else.
//! Flow: `model.rs` loads a [`NativeBackend`] and calls it through [`Backend`].

use crate::backend::Backend;

#[cfg(target_vendor = "apple")]
pub(crate) use crate::apple::CoreMlBackend as NativeBackend;
#[cfg(not(target_vendor = "apple"))]
pub(crate) use crate::portable::PortableBackend as NativeBackend;

/// Its states.
pub(crate) type NativeState = <NativeBackend as Backend>::State;
