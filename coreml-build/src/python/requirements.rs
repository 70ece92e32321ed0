//! Which Python packages a manifest's models need.
//!
//! Owns: the tested defaults, and how `[python] dependencies` extend them. Must not: resolve versions; uv and pip do.
//! Flow: made by `manifest.rs`; hashed into the fingerprint, installed by `environment.rs`, sent to the driver.

use super::version::VersionRange;
use crate::digest::Hasher;
use crate::embedded;

/// Python packages and the interpreters that may run them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requirements {
    /// Requirement strings as pip takes them.
    pub(crate) packages: Vec<String>,
    /// Versions of Python.
    pub(crate) range: VersionRange,
    /// Whether the packages are the defaults, which the embedded lock pins.
    pub(crate) locked: bool,
}

impl Default for Requirements {
    fn default() -> Self {
        let lines = embedded::REQUIREMENTS.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let packages = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
        Self { packages, range: VersionRange::default(), locked: true }
    }
}

impl Requirements {
    /// Replaces the versions of Python.
    pub(crate) fn with_range(mut self, range: VersionRange) -> Self {
        self.range = range;
        self
    }

    /// Adds `dependencies`; one that names the same package as a default takes its place.
    pub(crate) fn extended(mut self, dependencies: Vec<String>) -> Self {
        let before = self.packages.clone();
        for dependency in dependencies {
            let name = package_name(&dependency);
            match self.packages.iter_mut().find(|package| package_name(package) == name) {
                Some(package) => *package = dependency,
                None => self.packages.push(dependency),
            }
        }
        self.locked &= self.packages == before;
        self
    }

    /// Returns whether the package called `name` is among them.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.packages.iter().any(|package| package_name(package) == name)
    }

    /// Returns what an interpreter's packages must satisfy.
    ///
    /// Called by: `convert.rs`, for the driver.
    /// Returns: all that the manifest names and the exact versions among the defaults, which decide what a conversion
    /// gives. A mere bound among the defaults is advice for new environments: of such a package any version will do.
    pub(crate) fn demanded(&self) -> Vec<String> {
        let defaults = Self::default().packages;
        let demand = |package: &String| {
            let is_advice = defaults.contains(package) && !package.contains("==");
            if is_advice { package_name(package) } else { package.clone() }
        };
        self.packages.iter().map(demand).collect()
    }

    /// Returns the lock to install, when the packages are the defaults.
    pub(crate) fn lock(&self) -> Option<&'static str> {
        self.locked.then_some(embedded::REQUIREMENTS_LOCK)
    }

    /// Feeds what decides the versions into a digest. The interpreter's range does not.
    pub(crate) fn hash(&self, hasher: &mut Hasher) {
        match self.lock() {
            Some(_) => hasher.field("lock", embedded::lock_digest().as_bytes()),
            None => self.packages.iter().for_each(|package| hasher.field("requirement", package.as_bytes())),
        }
    }
}

/// Returns the name of a requirement, normalised: lower case, `-` for `_` and `.`.
fn package_name(requirement: &str) -> String {
    let end = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let name = requirement.trim().split(end).next().unwrap_or_default();
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_extend_the_defaults_and_replace_those_of_the_same_name() {
        let same = Requirements::default().extended(vec!["torch==2.7.0".into()]);
        assert_eq!(same, Requirements::default());
        let other = Requirements::default().extended(vec!["Torch>=2.8".into(), "open_ai.whisper[x]; a".into()]);
        let mut expected = Requirements::default().packages;
        expected[0] = "Torch>=2.8".into();
        expected.push("open_ai.whisper[x]; a".into());
        assert_eq!((&other.packages, other.locked), (&expected, false));
        expected[2] = "numpy".into();
        assert_eq!(other.demanded(), expected, "the bound of numpy is advice");
        let bounded = Requirements::default().extended(vec!["numpy<2.3".into()]);
        assert_eq!(bounded.demanded()[2], "numpy<2.3", "unless the manifest names it");
    }

    #[test]
    fn the_embedded_lock_pins_every_default() {
        let packages = Requirements::default().packages;
        let names: Vec<_> = packages.iter().map(|package| package_name(package)).collect();
        assert_eq!(names, ["torch", "coremltools", "numpy", "safetensors"]);
        let lock = format!("\n{}", embedded::REQUIREMENTS_LOCK);
        for (package, name) in packages.iter().zip(names) {
            let pinned = if package.contains("==") { format!("\n{package} ") } else { format!("\n{name}==") };
            assert!(lock.contains(&pinned), "{package} is not in the lock");
        }
        assert!(embedded::REQUIREMENTS_LOCK.contains("--hash=sha256:"));
    }
}
