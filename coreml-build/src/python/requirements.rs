//! Which Python packages a manifest's models need.
//!
//! Owns: the tested defaults, and how `[python] dependencies` extend them.   Must not: resolve
//! versions; uv and pip do.
//! Flow: `manifest/` makes them; they are hashed into the primary key, installed by
//! `environment.rs` and checked by the driver.

use super::embedded;
use super::version::VersionRange;
use crate::digest::Hasher;
use std::borrow::Cow;

/// Python packages and the interpreters that may run them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requirements {
    /// Requirement strings as pip takes them.
    pub(crate) packages: Vec<String>,
    /// Versions of Python.
    pub(crate) range: VersionRange,
    /// Whether the packages are the defaults, which the embedded lock pins.
    pub(crate) locked: bool,
    /// The packages as the manifest's lock pins them, a line with hashes for each.
    pub(crate) pins: Option<Vec<String>>,
}

impl Default for Requirements {
    fn default() -> Self {
        let lines = embedded::REQUIREMENTS
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim());
        let packages = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
        Self { packages, range: VersionRange::default(), locked: true, pins: None }
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
    /// Returns: all that the manifest names, and the exact versions among the defaults, which
    /// decide what a conversion gives. A bound among the defaults only guides new environments: of
    /// such a package any version will do.
    pub(crate) fn demanded(&self) -> Vec<String> {
        let defaults = Self::default().packages;
        let demand = |package: &String| {
            let is_advice = defaults.contains(package) && !package.contains("==");
            if is_advice { package_name(package) } else { package.clone() }
        };
        self.packages.iter().map(demand).collect()
    }

    /// Returns the pinned packages to install: the manifest's lock's, or coreml-build's own for the
    /// defaults.
    pub(crate) fn lock(&self) -> Option<Cow<'static, str>> {
        match &self.pins {
            Some(pins) => Some(Cow::Owned(pins.join("\n"))),
            None => self.locked.then_some(Cow::Borrowed(embedded::REQUIREMENTS_LOCK)),
        }
    }

    /// Returns whether a lock has to resolve the packages: nothing pins them yet.
    pub(crate) fn needs_pins(&self) -> bool {
        self.pins.is_none() && !self.locked
    }

    /// Feeds what decides the versions into a digest. The interpreter's range does not.
    pub(crate) fn hash(&self, hasher: &mut Hasher) {
        match &self.pins {
            Some(pins) => pins.iter().for_each(|pin| hasher.field("pin", pin.as_bytes())),
            None if self.locked => hasher.field("lock", embedded::lock_digest().as_bytes()),
            None => self
                .packages
                .iter()
                .for_each(|package| hasher.field("requirement", package.as_bytes())),
        }
    }
}

/// Returns the packages of a file that uv wrote, each on one line with its marker and its hashes.
pub(crate) fn pins(lock: &str) -> Vec<String> {
    let lines = lock
        .lines()
        .map(|line| line.split(" #").next().unwrap_or_default())
        .filter(|line| !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.lines().map(words).filter(|line| !line.is_empty()).collect()
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
        let other = Requirements::default()
            .extended(vec!["Torch>=2.8".into(), "open_ai.whisper[x]; a".into()]);
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
    fn pins_have_a_line_each() {
        let lock = "# by uv\na==1 ; x \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\n    # via \
            b\nb==2 \\\n    --hash=sha256:2\n";
        assert_eq!(
            pins(lock),
            ["a==1 ; x --hash=sha256:0 --hash=sha256:1", "b==2 --hash=sha256:2"]
        );
        let all = pins(embedded::REQUIREMENTS_LOCK);
        assert!(
            all.iter().all(|pin| pin.contains("==") && pin.contains(" --hash=sha256:")),
            "{all:?}"
        );
    }

    #[test]
    fn the_embedded_lock_pins_every_default() {
        let packages = Requirements::default().packages;
        let names: Vec<_> = packages.iter().map(|package| package_name(package)).collect();
        assert_eq!(names, ["torch", "coremltools", "numpy", "safetensors"]);
        let lock = format!("\n{}", embedded::REQUIREMENTS_LOCK);
        for (package, name) in packages.iter().zip(names) {
            let pinned = if package.contains("==") {
                format!("\n{package} ")
            } else {
                format!("\n{name}==")
            };
            assert!(lock.contains(&pinned), "{package} is not in the lock");
        }
        assert!(embedded::REQUIREMENTS_LOCK.contains("--hash=sha256:"));
    }
}
