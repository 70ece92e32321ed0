//! `minimum-deployment-target`: the oldest system that must run a model.
//!
//! Owns: coremltools' names of systems, and which release each has.
//! Flow: `keys.rs` reads the target with it; its text goes into the canonical table.

use super::section::Item;
use crate::nearest::did_you_mean;
use serde::{Serialize, Serializer};
use std::fmt;

/// Core ML releases that run ML Programs: release, and the first iOS, macOS, watchOS and tvOS with
/// it, as coremltools 9.0 names them.
const RELEASES: [(u8, [&str; 4]); 5] = [
    (5, ["iOS15", "macOS12", "watchOS8", "tvOS15"]),
    (6, ["iOS16", "macOS13", "watchOS9", "tvOS16"]),
    (7, ["iOS17", "macOS14", "watchOS10", "tvOS17"]),
    (8, ["iOS18", "macOS15", "watchOS11", "tvOS18"]),
    (9, ["iOS26", "macOS26", "watchOS26", "tvOS26"]),
];

/// coremltools' names of all systems.
pub(super) const TARGETS: &[&str] = &names();

/// Returns the names of [`RELEASES`].
const fn names() -> [&'static str; 4 * RELEASES.len()] {
    let mut names = [""; 4 * RELEASES.len()];
    let mut position = 0;
    while position < names.len() {
        names[position] = RELEASES[position / 4].1[position % 4];
        position += 1;
    }
    names
}

/// The oldest system that must run a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeploymentTarget {
    /// Core ML release.
    release: u8,
    /// Which system, as a position in a row of [`RELEASES`].
    system: usize,
    /// coremltools' name.
    name: &'static str,
}

impl DeploymentTarget {
    /// Reads a target.
    pub(super) fn read(item: &Item<'_>) -> Option<Self> {
        let name = item.string()?;
        let all = RELEASES.iter().flat_map(|(release, names)| {
            names.iter().enumerate().map(|(system, name)| Self { release: *release, system, name })
        });
        let found = all.clone().find(|target| target.name == name);
        if found.is_none() {
            let ios: Vec<_> =
                RELEASES.iter().map(|(_, names)| format!("\"{}\"", names[0])).collect();
            item.report(format!(
                "`minimum-deployment-target` cannot be \"{name}\": ML Programs need one of {}, or \
                the macOS, watchOS or tvOS of the same year{}",
                ios.join(", "),
                did_you_mean(name, all.map(|target| target.name))
            ));
        }
        found
    }

    /// Returns the first target of the same system with `release`, or `None` when this one has it.
    pub(super) fn older_than(self, release: Release) -> Option<&'static str> {
        let (_, names) = RELEASES.iter().find(|(known, _)| *known == release as u8)?;
        (self.release < release as u8).then(|| names[self.system])
    }
}

/// A release of Core ML that brought something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// Half-precision features.
    Ios16 = 6,
    /// States, several enumerated inputs.
    Ios18 = 8,
    /// 8-bit inputs.
    Ios26 = 9,
}

impl fmt::Display for DeploymentTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Serialize for DeploymentTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}
