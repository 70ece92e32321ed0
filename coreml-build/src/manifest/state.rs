//! Reading `states`: what a model keeps from one prediction to the next.
//!
//! Owns: the keys of a state, and Core ML's limits on them.
//! Flow: called by `model.rs`; the driver finds the buffer and makes a `StateType` of it.

use super::conversion::Named;
use super::feature::named_of;
use super::section::{Item, Section};
use super::shape::fixed_shape;
use coreml_spec::DataType;
use serde::Serialize;

/// One state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct State {
    /// The module's buffer, as `named_buffers()` calls it; the state's own name where the manifest
    /// is silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) buffer: Option<String>,
    /// Element type.
    pub(crate) dtype: DataType,
    /// Size of each dimension.
    pub(crate) shape: Vec<usize>,
}

/// Who keeps the states between predictions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StatesMode {
    /// Core ML, as its own states.
    #[default]
    CoreMl,
    /// The program: each state is an input and an output of the package.
    Io,
}

impl StatesMode {
    /// Returns whether it is the one that is meant where a manifest is silent.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads `states`: each by its name, and beside them `mode`, if it is there.
pub(super) fn states(item: &Item<'_>) -> Option<(Named<State>, Option<StatesMode>)> {
    let section = item.section()?;
    let mode = section.take("mode").map(|item| {
        if item.is_table() {
            item.report(
                "a state cannot be called `mode`: name its buffer, `states.other = { \
                buffer = \"mode\", … }`",
            );
            return None;
        }
        item.choice(&[("coreml", StatesMode::CoreMl), ("io", StatesMode::Io)])
    });
    let mode = match mode {
        Some(mode) => Some(mode?),
        None => None,
    };
    Some((named_of(&section, state), mode))
}

/// Reads one state.
fn state(section: Section<'_>) -> Option<State> {
    let shape =
        section.require("shape", "shape = [1, 8, 64, 64]").and_then(|item| fixed_shape(&item));
    let dtype = section.take("dtype").map_or(Some(DataType::Float16), |item| dtype(&item));
    let buffer = section.take("buffer").map(|item| item.text().map(str::to_owned));
    section.finish();
    let buffer = match buffer {
        Some(buffer) => Some(buffer?),
        None => None,
    };
    Some(State { buffer, dtype: dtype?, shape: shape? })
}

/// Reads the element type: Core ML has one for states.
fn dtype(item: &Item<'_>) -> Option<DataType> {
    if item.is_string() && item.string() != Some("float16") {
        item.report("Core ML's states are `float16`; the module's buffer may be float32");
        return None;
    }
    item.choice(&[("float16", DataType::Float16)])
}
