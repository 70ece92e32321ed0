//! Reading the index: the only I/O of the macro.
//!
//! Owns: the variables and the one file that are read, and the advice when they are missing.
//! Flow: `module.rs` → here; `coreml_build::compile` writes the file.

use coreml_spec::{INDEX_FILE, INDEX_VERSION, Index, Models, Outcome, index_folder};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// What cargo says about the package being compiled.
pub(crate) struct Environment {
    /// `OUT_DIR`: set when the package has a build script and it has run.
    pub(crate) out_dir: Option<PathBuf>,
    /// `CARGO_MANIFEST_DIR`.
    pub(crate) package_root: Option<PathBuf>,
}

impl Environment {
    /// Asks the process, which is the compiler.
    pub(crate) fn of_process() -> Self {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        Self { out_dir: path("OUT_DIR"), package_root: path("CARGO_MANIFEST_DIR") }
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
    let text = match fs::read_to_string(&index_file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(not_listed(manifest, out_dir).into());
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
fn not_listed(manifest: &str, out_dir: &Path) -> String {
    let mut built: Vec<String> = fs::read_dir(out_dir.join("coreml"))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join(INDEX_FILE).is_file())
        .map(|entry| format!("`{}`", manifest_of_folder(&entry.file_name().to_string_lossy())))
        .collect();
    built.sort();
    let built = match built.len() {
        0 => "it builds no manifest".to_owned(),
        _ => format!("it builds {}", built.join(", ")),
    };
    format!(
        "build.rs does not build `{manifest}` ({built}). Add to its `main`:\n\n    {}",
        compile_line(manifest)
    )
}

/// Returns the line that builds `manifest`.
fn compile_line(manifest: &str) -> String {
    format!("coreml_build::compile({manifest:?});")
}

/// Returns the manifest that a folder of build products belongs to: undoes [`index_folder`].
fn manifest_of_folder(folder: &str) -> String {
    let mut bytes = Vec::with_capacity(folder.len());
    let mut rest = folder.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                hexadecimal(*high).zip(hexadecimal(*low)).map(|digits| (digits, after))
            }
            _ => None,
        };
        match escape {
            Some(((high, low), after)) => {
                bytes.push(high * 16 + low);
                rest = after;
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the value of a hexadecimal digit.
fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
#[path = "load/tests.rs"]
mod tests;
