//! Reading `states`: what a model keeps from one prediction to the next.
//!
//! Owns: the keys of a state, and Core ML's limits on them.
//! Flow: `function.rs` reads the table `states` with it; the driver finds the buffer and makes a
//! `StateType` of it.

use super::key::{self, Key, fill, rows, set};
use super::kind::{Absent, Kind, Table, words};
use super::named::{Named, features};
use super::section::Item;
use super::shape::{FIXED_SHAPE, fixed_shape};
use coreml_spec::DataType;
use serde::Serialize;

/// One state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct State {
    /// The module's buffer, as `named_buffers()` calls it; the state's own name where the manifest
    /// is silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    buffer: Option<String>,
    /// Element type.
    dtype: DataType,
    /// Size of each dimension.
    shape: Vec<usize>,
}

/// What keeps the states between predictions.
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
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The words of `mode`.
const MODES: [(&str, StatesMode); 2] = [("coreml", StatesMode::CoreMl), ("io", StatesMode::Io)];

/// The words of `mode` alone.
const MODE_WORDS: &[&str] = &words(&MODES);

/// The only element type of a state.
const TYPES: [(&str, DataType); 1] = [("float16", DataType::Float16)];

/// Its word.
const TYPE_WORDS: &[&str] = &words(&TYPES);

/// The table of all states.
pub(super) static STATES: Table = Table {
    name: "states",
    text: "States by name, and how all of them are kept.",
    rows: || rows(STATES_KEYS),
    entries: Some(&STATE),
};

/// A state.
pub(super) static STATE: Table = Table {
    name: "state",
    text: "A state: a buffer of the module that `forward` writes to.",
    rows: || rows(STATE_KEYS),
    entries: None,
};

/// The key of `states` beside the states.
static STATES_KEYS: &[Key<StatesMode>] = &[Key {
    name: "mode",
    kind: Kind::Word(MODE_WORDS),
    absent: Absent::Is("\"coreml\""),
    text: "`\"coreml\"`: Core ML keeps the states. `\"io\"`: each is an input and an output of the \
        package, and the generated `State` keeps it.",
    read: |mode, item| set(mode, states_mode(item)),
    ..Key::PLAIN
}];

/// Keys of a state.
static STATE_KEYS: &[Key<StateKeys>] = &[
    Key {
        name: "shape",
        kind: FIXED_SHAPE,
        absent: Absent::Needed("shape = [1, 8, 64, 64]"),
        text: "The buffer's sizes.",
        read: |keys, item| set(&mut keys.shape, fixed_shape(item)),
        ..Key::PLAIN
    },
    Key {
        name: "dtype",
        kind: Kind::Word(TYPE_WORDS),
        absent: Absent::Is("\"float16\""),
        text: "Element type. The buffer in PyTorch may be float32.",
        read: |keys, item| fill(&mut keys.dtype, dtype(item)),
        ..Key::PLAIN
    },
    Key {
        name: "buffer",
        absent: Absent::Means("the state's name, underscores standing for dots"),
        text: "The buffer's name in `named_buffers()`: `\"layers.0.key_cache\"`.",
        read: |keys, item| fill(&mut keys.buffer, item.text().map(str::to_owned)),
        ..Key::PLAIN
    },
];

/// A state as it was written.
#[derive(Default)]
struct StateKeys {
    /// `shape`.
    shape: Vec<usize>,
    /// `dtype`.
    dtype: Option<DataType>,
    /// `buffer`.
    buffer: Option<String>,
}

/// Reads `states` and `mode` over what is there already.
pub(super) fn states(
    item: &Item<'_>,
    into: &mut Named<State>,
    mode: &mut StatesMode,
) -> Option<()> {
    let section = item.section()?;
    // Without the row's default: a model without a mode keeps that of `[defaults]`.
    let read = key::read_section(&section, STATES_KEYS, mode);
    features(&section, &STATES_KEYS.iter().map(|key| key.name).collect::<Vec<_>>(), into, state)
        .and(read)
}

/// Reads one state.
fn state(item: &Item<'_>) -> Option<State> {
    let mut keys = StateKeys::default();
    key::read(item, STATE_KEYS, &mut keys)?.right()?;
    Some(State { buffer: keys.buffer, dtype: keys.dtype?, shape: keys.shape })
}

/// Reads `mode`.
fn states_mode(item: &Item<'_>) -> Option<StatesMode> {
    if item.is_table() {
        item.report(
            "a state cannot be called `mode`: name its buffer, `states.other = { buffer = \
            \"mode\", … }`",
        );
        return None;
    }
    item.choice(&MODES)
}

/// Reads the element type: Core ML has one for states.
fn dtype(item: &Item<'_>) -> Option<DataType> {
    if item.is_string() && item.string() != Some("float16") {
        item.report("Core ML's states are `float16`; the module's buffer may be float32");
        return None;
    }
    item.choice(&TYPES)
}
