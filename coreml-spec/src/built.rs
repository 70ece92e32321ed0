//! What a run of the build script tells the macro: one variable of the compiler for each manifest.
//!
//! Owns: the variable's name and value. Must not: read the environment or the disk.
//! Flow: `coreml-build` gives cargo the variable after it wrote the index; `coreml-macros` takes an
//! index only if its variable says the same. `OUT_DIR` alone proves nothing: cargo does not empty
//! it, so it also holds what earlier runs left.

use std::hash::{DefaultHasher, Hasher};

/// What the variables of all manifests begin with.
pub const BUILT_PREFIX: &str = "COREML_BUILT_";

/// Returns the name of the variable for a manifest.
///
/// Called by: `coreml_build::compile`, `coreml_macros::coreml_model`.
/// Parameters: `manifest` — the path as the user wrote it. Characters that no variable has are
/// written as `_XX`, so that different manifests get different variables.
pub fn built_variable(manifest: &str) -> String {
    let mut variable = BUILT_PREFIX.to_owned();
    for byte in plain(manifest).bytes() {
        if byte.is_ascii_alphanumeric() {
            variable.push(char::from(byte));
        } else {
            variable.push_str(&format!("_{byte:02X}"));
        }
    }
    variable
}

/// Returns the value of the variable for a manifest: which index the run wrote, and for what.
///
/// Called by: `coreml_build::compile`, `coreml_macros::coreml_model`.
/// Parameters: `index` — the bytes of the index. They say the manifest's own path and the digest of
/// each model.
pub fn built_value(manifest: &str, index: &[u8]) -> String {
    // The algorithm may change with the compiler, which compiles both sides. It tells one index
    // from another by accident, not by intent.
    let mut hasher = DefaultHasher::new();
    hasher.write(index);
    format!("{:016x} {}", hasher.finish(), plain(manifest))
}

/// Returns the manifest that the value of a variable names.
pub fn built_manifest(value: &str) -> Option<&str> {
    value.split_once(' ').map(|(_, manifest)| manifest)
}

/// Returns a manifest's path without the prefix that does not distinguish it.
pub(crate) fn plain(manifest: &str) -> &str {
    manifest.strip_prefix("./").unwrap_or(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_have_a_variable_each() {
        assert_eq!(built_variable("times.toml"), "COREML_BUILT_times_2Etoml");
        assert_eq!(built_variable("./m/ä.toml"), "COREML_BUILT_m_2F_C3_A4_2Etoml");
        assert_ne!(built_variable("a_2Etoml"), built_variable("a.toml"));
    }

    #[test]
    fn a_value_tells_indexes_and_manifests_apart() {
        let value = built_value("./m/a b.toml", b"{}");
        assert_eq!(value, built_value("m/a b.toml", b"{}"));
        assert_eq!(built_manifest(&value), Some("m/a b.toml"));
        assert_ne!(value, built_value("m/a b.toml", b"{ }"));
        assert_ne!(value, built_value("a.toml", b"{}"));
        assert_eq!(built_manifest("0123"), None);
    }
}
