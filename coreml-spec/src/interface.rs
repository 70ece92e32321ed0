//! What goes in and out of a model: the only description of an interface in the workspace.
//!
//! Owns: [`Interface`], as plain data with a JSON form (index, lock); `function.rs` has its parts.
//! Flow: made by [`crate::Package::interface`] from a package, carried by [`crate::Index`], turned
//! into types by `coreml-macros`, compared with the package at load by `coreml-rt`.

use crate::buckets::Buckets;
use crate::function::Function;
use serde::{Deserialize, Serialize};

/// The interface of a model package: its functions with their features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// Core ML specification version: 6 is iOS 15, 7 iOS 16, 8 iOS 17, 9 iOS 18, 10 iOS 26.
    pub specification_version: i32,
    /// Name of the function that runs when the caller names none; `main` unless the package is
    /// multifunction.
    pub default_function: String,
    /// The functions, in the package's order; exactly one unless the package is multifunction.
    pub functions: Vec<Function>,
    /// Present when the functions are one model at several sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<Buckets>,
}

impl Interface {
    /// Returns the function called `name`, or the default function for `None`.
    pub fn function(&self, name: Option<&str>) -> Option<&Function> {
        let name = name.unwrap_or(&self.default_function);
        self.functions.iter().find(|function| function.name == name)
    }
}
