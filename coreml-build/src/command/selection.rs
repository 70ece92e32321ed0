//! Which manifests a command means: those that it names, or all of the package around the current
//! folder.
//!
//! Owns: finding the package of a manifest, and the manifests of a package.   Must not: run in a
//! build, whose build script names its manifests.
//! Flow: the command line → [`Selection::of`] → [`Context::build_packages`](crate::Context).

use crate::build::Selection;
use crate::error::{Error, ErrorKind};
use crate::files::{Links, walk};
use crate::manifest;
use std::path::{Component, Path, PathBuf};

/// Folders that hold no manifests of a package: build products and other packages' code.
const SKIPPED_FOLDERS: [&str; 3] = ["target", "node_modules", "__pycache__"];

impl Selection {
    /// Returns the manifests of the package in `package_root`; none when no file has a model.
    pub fn of_package(package_root: &Path) -> Self {
        let (package_root, manifests) = (package_root.to_owned(), manifests_of(package_root));
        Self { package_root, manifests }
    }

    /// Returns the manifests of the package around `folder`; `None` when there is no package.
    pub fn around(folder: &Path) -> Option<Self> {
        package_around(folder).map(|package_root| Self::of_package(&package_root))
    }

    /// Returns the manifests at `paths`, by package; all of the package around `folder` when there
    /// are no paths.
    ///
    /// Parameters: `folder` — the current one, absolute; `paths` — relative to it, or absolute.
    /// Errors: there is no package, or no manifest.
    pub fn of(folder: &Path, paths: &[PathBuf]) -> Result<Vec<Self>, Error> {
        if paths.is_empty() {
            let around = Self::around(folder).ok_or_else(|| no_package(folder))?;
            if around.manifests.is_empty() {
                return Err(Error::new(
                    ErrorKind::Manifest,
                    format!(
                        "no file of the package {} has a `[model]` or `[models]` table",
                        around.package_root.display()
                    ),
                )
                .advise(
                    "name the manifest, or run the command in the folder of the package that \
                    has it",
                ));
            }
            return Ok(vec![around]);
        }
        let mut selections: Vec<Self> = Vec::new();
        for path in paths {
            let path = plain(&folder.join(path));
            if !path.is_file() {
                return Err(Error::new(
                    ErrorKind::Manifest,
                    format!("there is no manifest {}", path.display()),
                )
                .advise("paths are relative to the current folder"));
            }
            let package_root =
                path.parent().and_then(package_around).ok_or_else(|| no_package(&path))?;
            let name = path.strip_prefix(&package_root).unwrap_or(&path);
            let name = name.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
            match selections.iter_mut().find(|selection| selection.package_root == package_root) {
                Some(selection) => selection.manifests.push(name),
                None => selections.push(Self { package_root, manifests: vec![name] }),
            }
        }
        Ok(selections)
    }
}

/// Returns the nearest folder from `folder` upwards that has a `Cargo.toml` with a package.
fn package_around(folder: &Path) -> Option<PathBuf> {
    let is_package = |folder: &&Path| {
        std::fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| {
            text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("package"))
        })
    };
    folder.ancestors().find(is_package).map(Path::to_owned)
}

/// Returns the manifests of a package, sorted, but not those of packages inside it.
fn manifests_of(package_root: &Path) -> Vec<String> {
    let enter = |folder: &Path| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.')
            && !SKIPPED_FOLDERS.contains(&name.as_ref())
            && !folder.join("Cargo.toml").exists()
    };
    let files = walk(package_root, Links::Listed, enter).flatten();
    let files = files.filter_map(|file| Some((file.name_below(package_root).ok()?, file.path)));
    let manifests =
        files.filter(|(name, path)| name.ends_with(".toml") && manifest::is_manifest(path));
    let mut manifests: Vec<_> = manifests.map(|(name, _)| name).collect();
    manifests.sort();
    manifests
}

/// Returns `path` without `.` and `..`, as if there were no links.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Returns the error for a path outside any package.
fn no_package(path: &Path) -> Error {
    Error::new(
        ErrorKind::Manifest,
        format!("there is no package around {}: no Cargo.toml", path.display()),
    )
    .advise("run the command in a package, or name a manifest of one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_found_by_name_and_by_package() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let write = |path: &str, content: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        write("Cargo.toml", "[workspace]\n");
        write("a/Cargo.toml", "[package]\nname = \"a\"\n");
        write("a/digits.toml", "[model]\n");
        write("a/models/two.toml", "[models.x]\n");
        write("a/other.toml", "[models-not]\n");
        write("a/target/x.toml", "[model]\n");
        write("a/inner/Cargo.toml", "[package]\nname = \"inner\"\n");
        write("a/inner/m.toml", "[model]\n");
        let of = |folder: &str, paths: &[&str]| {
            let paths: Vec<_> = paths.iter().map(PathBuf::from).collect();
            Selection::of(&root.join(folder), &paths)
        };
        let selection = |package: &str, manifests: &[&str]| Selection {
            package_root: root.join(package),
            manifests: manifests.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(
            of("a/models", &[]),
            Ok(vec![selection("a", &["digits.toml", "models/two.toml"])])
        );
        let both = vec![selection("a", &["digits.toml"]), selection("a/inner", &["m.toml"])];
        assert_eq!(of("a/models", &["../digits.toml", "../inner/m.toml"]), Ok(both));
        assert!(of("", &[]).unwrap_err().to_string().contains("there is no package around"));
        assert!(of("", &["a/none.toml"]).unwrap_err().to_string().contains("there is no manifest"));
    }
}
