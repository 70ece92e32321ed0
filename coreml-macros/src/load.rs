//! Reading the index: the only I/O of the macro.
//!
//! Owns: the variables and the one file that are read, the advice when they are missing, and the
//! proof that this run of the build script made the file for this package.
//! Flow: `module.rs` → here; `coreml_build::compile` writes the file and gives cargo the variables.

use coreml_spec::{
    BUILT_PREFIX, INDEX_FILE, INDEX_VERSION, Index, Models, Outcome, built_manifest, built_value,
    built_variable, index_folder,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// What cargo says about the package being compiled.
pub(crate) struct Environment {
    /// `OUT_DIR`: set when the package has a build script and it has run.
    pub(crate) out_dir: Option<PathBuf>,
    /// `CARGO_MANIFEST_DIR`.
    pub(crate) package_root: Option<PathBuf>,
    /// Variables of the manifests that this run of the build script built, with their values.
    pub(crate) built: BTreeMap<String, String>,
}

impl Environment {
    /// Asks the process, which is the compiler.
    pub(crate) fn of_process() -> Self {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        let text = |(name, value): (OsString, OsString)| {
            name.into_string().ok().zip(value.into_string().ok())
        };
        let variables = std::env::vars_os().filter_map(text);
        Self {
            out_dir: path("OUT_DIR"),
            package_root: path("CARGO_MANIFEST_DIR"),
            built: variables.filter(|(name, _)| name.starts_with(BUILT_PREFIX)).collect(),
        }
    }
}

/// What the build left for a manifest.
pub(crate) struct Built {
    /// The models.
    pub(crate) models: Models,
    /// Folder of the packages and samples, absolute.
    pub(crate) folder: PathBuf,
    /// The index, for the compiler to watch.
    pub(crate) index_file: PathBuf,
}

/// Why there are no models to generate code for.
#[derive(Debug)]
pub(crate) struct Missing {
    /// The whole message to show, that of a failed build included.
    pub(crate) message: String,
    /// The manifest's names of several models, as far as they are known.
    pub(crate) models: Vec<String>,
}

impl From<String> for Missing {
    fn from(message: String) -> Self {
        Self { message, models: Vec::new() }
    }
}

/// The part of an index that every version has.
#[derive(Deserialize)]
struct AnyVersion {
    /// See [`Index::version`].
    version: u32,
}

/// Reads what the build script made from `manifest`.
///
/// Parameters: `manifest` — as the user wrote it.
pub(crate) fn load(manifest: &str, environment: &Environment) -> Result<Built, Missing> {
    let Some(out_dir) = &environment.out_dir else {
        return Err(without_build_products(manifest, environment.package_root.as_deref()).into());
    };
    let folder = index_folder(out_dir, manifest);
    let index_file = folder.join(INDEX_FILE);
    // A file that is there proves nothing: cargo does not empty `OUT_DIR`.
    let Some(built) = environment.built.get(&built_variable(manifest)) else {
        return Err(not_listed(manifest, out_dir, environment).into());
    };
    let text = match fs::read_to_string(&index_file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(not_of_this_build(manifest, &folder).into());
        }
        Err(error) => {
            let index_file = index_file.display();
            return Err(format!(
                "{index_file} cannot be read: {error}; run `cargo clean` and build again"
            )
            .into());
        }
    };
    let damaged = |error: serde_json::Error| {
        format!("{} is damaged ({error}); run `cargo clean` and build again", index_file.display())
    };
    let AnyVersion { version } = serde_json::from_str(&text).map_err(damaged)?;
    if version != INDEX_VERSION {
        let own = env!("CARGO_PKG_VERSION");
        return Err(format!(
            "coreml-build and coreml-rt are of different versions: coreml-build wrote version \
             {version} of the index, and coreml-rt {own} reads version {INDEX_VERSION}. Give both \
             the same version in Cargo.toml:\n\
             \n    \
             [dependencies]\n    \
             coreml-rt = \"={own}\"\n    \
             [build-dependencies]\n    \
             coreml-build = \"={own}\""
        )
        .into());
    }
    let index: Index = serde_json::from_str(&text).map_err(damaged)?;
    if *built != built_value(manifest, text.as_bytes()) {
        return Err(not_of_this_build(manifest, &folder).into());
    }
    if let Some(root) = &environment.package_root
        && is_of_another_copy(&index.manifest, manifest, root)
    {
        return Err(of_another_copy(manifest, &index.manifest).into());
    }
    match index.outcome {
        Outcome::Models(models) => Ok(Built { models, folder, index_file }),
        Outcome::Error(error) => Err(Missing { message: error.message, models: error.models }),
    }
}

/// Makes the message for a package without `OUT_DIR`.
fn without_build_products(manifest: &str, package_root: Option<&Path>) -> String {
    if package_root.is_some_and(|root| root.join("build.rs").is_file()) {
        return format!(
            "`{manifest}` has not been built: build.rs failed or has not run. `cargo build` shows \
             its error; an editor must be allowed to run build scripts (rust-analyzer: \
             `cargo.buildScripts.enable`)"
        );
    }
    let own = env!("CARGO_PKG_VERSION");
    format!(
        "`{manifest}` has not been built, because this package has no build script. Add a file \
         build.rs beside Cargo.toml:\n\
         \n    \
         fn main() {{\n        \
         {}\n    \
         }}\n\
         \n\
         and to Cargo.toml:\n\
         \n    \
         [build-dependencies]\n    \
         coreml-build = \"={own}\"",
        compile_line(manifest)
    )
}

/// Makes the message for a manifest that the build script does not build.
fn not_listed(manifest: &str, out_dir: &Path, environment: &Environment) -> String {
    // A cargo that another crate's test started has that crate's variables, too.
    let is_own = |manifest: &&str| index_folder(out_dir, manifest).join(INDEX_FILE).is_file();
    let mut built: Vec<String> = environment
        .built
        .values()
        .filter_map(|value| built_manifest(value))
        .filter(is_own)
        .map(|manifest| format!("`{manifest}`"))
        .collect();
    built.sort();
    let (built, advice) = match built.len() {
        0 => ("it builds no manifest".to_owned(), "Add"),
        _ => (format!("it builds {}", built.join(", ")), "Correct a name there, or add"),
    };
    let script = environment.package_root.as_ref().map(|root| root.join("build.rs"));
    let script = script.and_then(|script| fs::read_to_string(script).ok()).unwrap_or_default();
    if script.contains(&format!("{manifest:?}")) {
        return format!(
            "build.rs names `{manifest}`, but the build script that ran did not build it \
             ({built}). Is the call in a comment, or under a condition? If not, cargo ran the \
             build script of another copy of this package, which shares the target folder: run \
             `touch build.rs` and build again, or give each copy a target folder of its own \
             (CARGO_TARGET_DIR)"
        );
    }
    format!(
        "build.rs does not build `{manifest}` ({built}). {advice} to its `main`:\n\n    {}",
        compile_line(manifest)
    )
}

/// Makes the message for an index that another build left.
fn not_of_this_build(manifest: &str, folder: &Path) -> String {
    format!(
        "{} does not hold what this build made of `{manifest}`, but what another one left. Run \
         `cargo clean` and build again; in an editor, reload the workspace",
        folder.display()
    )
}

/// Returns whether an index is of the manifest of another copy of the package.
///
/// A package without such a file is none: trybuild compiles cases in a package of its own, with the
/// `OUT_DIR` of the tested one.
fn is_of_another_copy(indexed: &Path, manifest: &str, root: &Path) -> bool {
    let own = root.join(manifest.strip_prefix("./").unwrap_or(manifest));
    let real = |path: &Path| path.canonicalize().ok();
    own != indexed && own.is_file() && real(&own) != real(indexed)
}

/// Makes the message for an index of another copy of the package.
fn of_another_copy(manifest: &str, indexed: &Path) -> String {
    format!(
        "`{manifest}` was built for another copy of this package that shares its target folder: \
         {}. Run `touch build.rs` and build again, or give each copy a target folder of its own \
         (CARGO_TARGET_DIR)",
        indexed.display()
    )
}

/// Returns the line that builds `manifest`.
fn compile_line(manifest: &str) -> String {
    format!("coreml_build::compile({manifest:?});")
}

#[cfg(test)]
#[path = "load/tests.rs"]
mod tests;
