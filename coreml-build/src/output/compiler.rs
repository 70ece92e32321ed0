//! Compiling packages where Xcode is: what the first start of a program would do otherwise.
//!
//! Owns: finding and running `coremlcompiler`, and the compiled models beside the packages.
//! Must not: fail a build: without a compiled model the program compiles by itself, once.
//! Flow: `build/deliver.rs` → [`compile_named`] when the packages are in place → `xcrun
//! coremlcompiler`.

use coreml_spec::{COMPILED_EXTENSION, digest_of_folder};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Xcode's way to its tools.
const XCRUN: &str = "xcrun";

/// How much of what the compiler printed a warning shows, in lines.
const LINES_SHOWN: usize = 6;

/// Compiles packages that are not compiled yet, each to `DIGEST.mlmodelc` in `folder`. The runtime
/// takes it when the digest is that of the package beside it, or, without a package, the one that
/// the program was built with.
///
/// Called by: `cargo coreml bundle`.
/// Returns: the compiled models, and warnings; no models where there is no Xcode.
pub fn compile(folder: &Path, packages: &[PathBuf]) -> (BTreeSet<PathBuf>, Vec<String>) {
    let (mut named, mut warnings) = (Vec::new(), Vec::new());
    for package in packages {
        match digest_of_folder(package) {
            Ok(digest) => named.push((package.clone(), digest)),
            Err(error) => warnings.push(not_compiled(package, &error.to_string())),
        }
    }
    let (compiled, of_xcode) = compile_named(folder, &named);
    warnings.extend(of_xcode);
    (compiled, warnings)
}

/// [`compile`] for packages whose digest is known.
///
/// Parameters: `packages` — paths, and what [`digest_of_folder`] says of each.
pub(crate) fn compile_named(
    folder: &Path,
    packages: &[(PathBuf, String)],
) -> (BTreeSet<PathBuf>, Vec<String>) {
    compile_with(which::which(XCRUN).ok().as_deref(), folder, packages)
}

/// [`compile_named`] with the program given.
fn compile_with(
    xcrun: Option<&Path>,
    folder: &Path,
    packages: &[(PathBuf, String)],
) -> (BTreeSet<PathBuf>, Vec<String>) {
    let (mut warnings, mut compiled) = (Vec::new(), BTreeSet::new());
    let Some(xcrun) = xcrun else { return (compiled, warnings) };
    for (package, digest) in packages {
        match compile_one(xcrun, folder, package, digest) {
            Ok(made) => drop(compiled.insert(made)),
            Err(problem) => warnings.push(not_compiled(package, &problem)),
        }
    }
    (compiled, warnings)
}

/// Makes the warning of a package that stays as it is.
fn not_compiled(package: &Path, problem: &str) -> String {
    let package = package.display();
    format!(
        "{package} was not compiled by Xcode; a program that has the package does it at its first \
        start: {problem}"
    )
}

/// Removes the compiled models of a folder that are not among `kept`.
pub(crate) fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == COMPILED_EXTENSION)
            && !kept.contains(&path)
        {
            // One that stays is never taken for another package's.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Compiles a package, unless that has been done.
fn compile_one(
    xcrun: &Path,
    folder: &Path,
    package: &Path,
    digest: &str,
) -> Result<PathBuf, String> {
    let text = |error: io::Error| error.to_string();
    let compiled = folder.join(digest).with_extension(COMPILED_EXTENSION);
    if compiled.is_dir() {
        return Ok(compiled);
    }
    let fresh = tempfile::Builder::new().prefix(".compiling-").tempdir_in(folder).map_err(text)?;
    let output = Command::new(xcrun)
        .args(["coremlcompiler", "compile"])
        .arg(package)
        .arg(fresh.path())
        .output()
        .map_err(text)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> =
            said.lines().filter(|line| !line.trim().is_empty()).take(LINES_SHOWN).collect();
        return Err(format!(
            "`xcrun coremlcompiler` ended with {}: {}",
            output.status,
            said.join("; ")
        ));
    }
    let name = package.with_extension(COMPILED_EXTENSION);
    let made = fresh.path().join(name.file_name().unwrap_or_default());
    if !made.is_dir() {
        return Err(format!("`xcrun coremlcompiler` made no {}", made.display()));
    }
    // Whole or not at all: an interrupted build leaves no half of a model behind.
    fs::rename(&made, &compiled).map_err(text)?;
    Ok(compiled)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A fake of Xcode's `xcrun`: it does what `coremlcompiler compile PACKAGE FOLDER` does,
    /// without compiling.
    const FAKE_XCRUN: &str = r#"#!/bin/sh
[ "$1 $2" = "coremlcompiler compile" ] || exit 64
grep -q broken "$3/Manifest.json" && { echo "error: the model is broken" >&2; exit 1; }
name="$(basename "$3" .mlpackage)"
mkdir "$4/$name.mlmodelc" && cp "$3/Manifest.json" "$4/$name.mlmodelc/compiled"
echo run >>"$(dirname "$0")/runs"
"#;

    /// Makes a folder with the fake and a package.
    fn folder(manifest: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (bin, package) = (folder.path().join("bin"), folder.path().join("out/net.mlpackage"));
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(&package).unwrap();
        fs::write(package.join("Manifest.json"), manifest).unwrap();
        fs::write(bin.join(XCRUN), FAKE_XCRUN).unwrap();
        fs::set_permissions(bin.join(XCRUN), fs::Permissions::from_mode(0o755)).unwrap();
        (folder, bin, package)
    }

    /// Runs the compiler on the package, and returns the compiled models.
    fn run(bin: &Path, package: &Path) -> (Vec<String>, Vec<PathBuf>) {
        let folder = package.parent().unwrap();
        let packages = [(package.to_owned(), digest_of_folder(package).unwrap())];
        let (kept, warnings) = compile_with(Some(&bin.join(XCRUN)), folder, &packages);
        remove_others(folder, &kept);
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        (warnings, entries.filter(|path| path != package).collect())
    }

    #[test]
    fn a_package_is_compiled_once_and_a_stale_model_goes() {
        let (folder, bin, package) = folder("{}");
        let (warnings, first) = run(&bin, &package);
        assert!(warnings.is_empty(), "{warnings:?}");
        let digest = digest_of_folder(&package).unwrap();
        assert_eq!(first, [folder.path().join("out").join(format!("{digest}.mlmodelc"))]);
        assert_eq!(fs::read_to_string(first[0].join("compiled")).unwrap(), "{}");
        assert_eq!(run(&bin, &package).1, first);
        assert_eq!(fs::read_to_string(bin.join("runs")).unwrap(), "run\n");

        fs::write(package.join("Manifest.json"), "{\"other\": 1}").unwrap();
        let (_, second) = run(&bin, &package);
        assert!(second.len() == 1 && second != first, "{second:?}");
    }

    #[test]
    fn a_failure_is_a_warning() {
        let (_folder, bin, package) = folder("broken");
        let (warnings, left) = run(&bin, &package);
        assert!(
            warnings[0].contains("the model is broken")
                && warnings[0].contains("at its first start"),
            "{warnings:?}"
        );
        assert!(left.is_empty(), "{left:?}");
    }

    #[test]
    fn without_xcode_nothing_happens() {
        let (_folder, _bin, package) = folder("{}");
        let folder = package.parent().unwrap();
        let (compiled, warnings) = compile_with(None, folder, &[(package.clone(), "0".repeat(32))]);
        assert!(compiled.is_empty() && warnings.is_empty());
    }
}
