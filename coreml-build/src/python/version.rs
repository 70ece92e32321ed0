//! Version bounds of the Python interpreter, as in `requires-python`.
//!
//! Owns: parsing bounds and comparing an interpreter's version with them.   Must not: know
//! packages; those are pip's job.
//! Flow: `manifest/` reads them, `interpreter.rs` compares.

use std::fmt;

/// The interpreters for which torch and coremltools of the default requirements have wheels.
const DEFAULT_RANGE: &str = ">=3.10,<3.14";

/// A version number: major, minor, and where there is one, patch.
pub(crate) type Version = [u32; 3];

/// Bounds on a version, all of which hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionRange {
    /// The bounds as they were written.
    text: String,
    /// Each bound: operator, version, and how many parts of the version were written.
    bounds: Vec<(Bound, Version, usize)>,
}

/// Relation of a version to a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `<`
    Below,
    /// `!=`, also with `.*`
    Not,
    /// `==`, also with `.*`
    Is,
    /// `~=`: at least, with all but the last part equal.
    Compatible,
}

/// Operators, the longer before those that they begin with.
const OPERATORS: [(&str, Bound); 7] = [
    (">=", Bound::AtLeast),
    ("<=", Bound::AtMost),
    ("!=", Bound::Not),
    ("==", Bound::Is),
    ("~=", Bound::Compatible),
    (">", Bound::Above),
    ("<", Bound::Below),
];

impl Default for VersionRange {
    fn default() -> Self {
        Self::parse(DEFAULT_RANGE).unwrap_or(Self { text: String::new(), bounds: Vec::new() })
    }
}

impl VersionRange {
    /// Parses bounds such as `>=3.10,<3.14`; `None` when they are not of that form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bounds =
            text.split(',').map(|bound| parse_bound(bound.trim())).collect::<Option<_>>()?;
        Some(Self { text: text.to_owned(), bounds })
    }

    /// Returns whether `version` lies within all bounds.
    pub(crate) fn contains(&self, version: Version) -> bool {
        self.bounds.iter().all(|(bound, limit, parts)| {
            let same = version[..*parts] == limit[..*parts];
            match bound {
                Bound::AtLeast => version >= *limit,
                Bound::AtMost => version <= *limit,
                Bound::Above => version > *limit,
                Bound::Below => version < *limit,
                Bound::Is => same,
                Bound::Not => !same,
                Bound::Compatible => {
                    let fixed = parts.saturating_sub(1);
                    version >= *limit && version[..fixed] == limit[..fixed]
                }
            }
        })
    }
}

/// Parses one bound.
fn parse_bound(text: &str) -> Option<(Bound, Version, usize)> {
    let (operator, bound) = OPERATORS.iter().find(|(operator, _)| text.starts_with(operator))?;
    let version = text.strip_prefix(operator)?.trim();
    let wild = version.strip_suffix(".*");
    if wild.is_some() && !matches!(bound, Bound::Is | Bound::Not) {
        return None;
    }
    let (limit, parts) = parse_version(wild.unwrap_or(version))?;
    // Without `.*`, `== 3.12` means 3.12.0, as PEP 440 has it.
    let exact = wild.is_none() && matches!(bound, Bound::Is | Bound::Not);
    Some((*bound, limit, if exact { limit.len() } else { parts }))
}

/// Parses a version of one to three numbers; returns it with the count of numbers.
pub(crate) fn parse_version(text: &str) -> Option<(Version, usize)> {
    let numbers = text.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>()?;
    let mut version = Version::default();
    version.get_mut(..numbers.len())?.copy_from_slice(&numbers);
    Some((version, numbers.len()))
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_as_pep_440_says() {
        let cases = [
            (">=3.10,<3.14", [3, 9, 9], false),
            (">=3.10,<3.14", [3, 10, 0], true),
            (">=3.10,<3.14", [3, 13, 9], true),
            (">=3.10,<3.14", [3, 14, 0], false),
            ("==3.11.*", [3, 11, 7], true),
            ("==3.11", [3, 11, 7], false),
            ("~=3.10", [3, 12, 0], true),
            ("~=3.10.2", [3, 11, 0], false),
            ("!=3.12.1", [3, 12, 1], false),
            (" > 3.11 , <= 3.12 ", [3, 12, 0], true),
        ];
        for (range, version, expected) in cases {
            assert_eq!(
                VersionRange::parse(range).unwrap().contains(version),
                expected,
                "{range} {version:?}"
            );
        }
        for wrong in ["", "3.10", ">=3.x", ">=3.1.2.3", "=>3", ">=3.*"] {
            assert_eq!(VersionRange::parse(wrong), None, "{wrong}");
        }
        assert!(VersionRange::default().contains([3, 11, 7]));
    }
}
