//! The index: what a build script leaves in `OUT_DIR` for the attribute macro.
//!
//! Owns: the JSON form, its version, and its path. Must not: touch the disk; both sides
//! do their own I/O.
//! Flow: `coreml-build` writes it after a build, `coreml-macros` reads it and generates code from
//! nothing else.

use crate::built::plain;
use crate::{InputFitting, Interface};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Version of the JSON form. The macro refuses any other: the crates are released together.
pub const INDEX_VERSION: u32 = 1;

/// File name of the index inside [`index_folder`].
pub const INDEX_FILE: &str = "index.json";

/// What is added to a package's name for the file that stands in its place when the build left it
/// out, and says why.
pub const ABSENT_ENDING: &str = ".absent";

/// Returns the folder of a manifest's build products: `OUT_DIR/coreml/<manifest>`.
///
/// Called by: `coreml_build::compile`, `coreml_macros::coreml_model`.
/// Parameters: `out_dir` — cargo's `OUT_DIR`; `manifest` — the path as the user wrote it, relative
/// to the package. Characters that differ between file systems are written as `%XX`, so that
/// different manifests get different folders.
pub fn index_folder(out_dir: &Path, manifest: &str) -> PathBuf {
    let mut folder = String::new();
    for byte in plain(manifest).bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => {
                folder.push(char::from(byte))
            }
            _ => folder.push_str(&format!("%{byte:02X}")),
        }
    }
    out_dir.join("coreml").join(folder)
}

/// Returns the name of the folder with the files that belong to a model, beside its package.
///
/// Parameters: `model` — the manifest's name for it.
pub fn files_folder(model: &str) -> String {
    format!("{model}.files")
}

/// What the build made of one manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Always [`INDEX_VERSION`] when written by this crate.
    pub version: u32,
    /// The manifest, absolute: the macro tracks it.
    pub manifest: PathBuf,
    /// The models, or why there are none.
    pub outcome: Outcome,
}

/// Models, or the error that the macro shows at the attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every model of the manifest was converted or found.
    Models(Models),
    /// At least one was not.
    Error(BuildError),
}

/// A build error, kept for the macro.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildError {
    /// The whole message, as for a terminal without colours, several lines.
    pub message: String,
    /// The manifest's names of `[models.NAME]`, where they are known; empty for a single
    /// `[model]`. The macro lets the program name their modules, so that one mistake stays one
    /// error.
    #[serde(default)]
    pub models: Vec<String>,
}

/// The models of a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Models {
    /// Whether the manifest has one `[model]` (its items stand directly in the module) or
    /// `[models.NAME]` tables.
    pub single: bool,
    /// The models, in the manifest's order.
    pub models: Vec<IndexedModel>,
}

/// One converted model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexedModel {
    /// The manifest's name for it; for `[model]` the manifest's file stem.
    pub name: String,
    /// The manifest's `metadata.description`; empty when there is none.
    pub description: String,
    /// The manifest's name for the model of which this package is one bucket of several; `None` for
    /// a model of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_of: Option<String>,
    /// Where the model came from, for documentation: `python/whisper.py:encoder`.
    pub source: String,
    /// The interface that the generated types follow.
    pub interface: Interface,
    /// Content digest of the package: 64 lower-case hexadecimal digits (SHA-256).
    pub digest: String,
    /// What a compiled model of this content is called, without its ending:
    /// [`crate::digest_of_folder`] of the package. `None` where the build is for none of Apple's
    /// systems, or has left the package out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_digest: Option<String>,
    /// Folder name of the package beside the index: `encoder.mlpackage`.
    pub package: String,
    /// File names of the parity samples beside the index: `encoder.samples.0.safetensors`, and of a
    /// package with several functions `decoder.samples.prefill.0.safetensors`. Each is a
    /// safetensors file with `in/NAME` and `out/NAME`.
    pub samples: Vec<String>,
    /// When a sample counts as equal to PyTorch.
    pub tolerance: Tolerance,
    /// What judges all samples together, besides the tolerance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// Compute units to ask of Core ML unless the caller chooses.
    pub compute_units: ComputeUnits,
    /// Rules of `cargo coreml lint` whose findings are not wanted: `ANE030`.
    #[serde(default)]
    pub allow: Vec<String>,
    /// The package's files as linker symbols when the manifest says `embed = true`; otherwise
    /// empty.
    pub embedded: Vec<EmbeddedFile>,
    /// The files that belong to the model, in the manifest's order. They lie in
    /// [`files_folder`] beside the package; of several buckets they are the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<IndexedFile>,
    /// What is done to inputs that do not fit; without it they are errors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fittings: Vec<InputFitting>,
}

impl IndexedModel {
    /// Describes a model that is a package of its own beside the index, without samples, with
    /// nothing chosen: each of its other fields has a value for that.
    pub fn new(name: impl Into<String>, interface: Interface) -> Self {
        let name = name.into();
        Self {
            description: String::new(),
            bucket_of: None,
            source: String::new(),
            interface,
            digest: String::new(),
            content_digest: None,
            package: format!("{name}.mlpackage"),
            samples: Vec::new(),
            tolerance: Tolerance::of_precision(true),
            metric: None,
            compute_units: ComputeUnits::All,
            allow: Vec::new(),
            embedded: Vec::new(),
            files: Vec::new(),
            fittings: Vec::new(),
            name,
        }
    }

    /// Returns the samples of a function, by their names.
    ///
    /// Parameters: `function` — one of the interface's; the samples that name no function are the
    /// default one's.
    pub fn samples_of(&self, function: &str) -> impl Iterator<Item = &str> {
        let prefix = format!("{}.samples.", self.name);
        self.samples.iter().map(String::as_str).filter(move |sample| {
            let rest = sample.strip_prefix(&prefix).unwrap_or(sample);
            let stem = rest.strip_suffix(".safetensors").unwrap_or(rest);
            let of = stem
                .rsplit_once('.')
                .map_or(self.interface.default_function.as_str(), |(function, _)| function);
            of == function
        })
    }
}

/// One file of an embedded package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddedFile {
    /// Path inside the package, `/`-separated: `Data/com.apple.CoreML/weights/weight.bin`.
    pub path: String,
    /// Symbol of the first byte; `<symbol>_end` is one past the last.
    pub symbol: String,
}

/// A file that belongs to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedFile {
    /// Its name: `tokenizer.json`.
    pub name: String,
    /// [`crate::digest_of_files`] of its name and content. `None` where the build has not seen the
    /// locked file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Symbol of its first byte when the model is embedded; `<symbol>_end` is one past the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
}

/// How close an output must be to PyTorch's fp32 output.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tolerance {
    /// Peak signal-to-noise ratio of each output, at least this many decibels.
    Psnr(f64),
    /// Each element within `atol + rtol × |expected|`.
    Absolute {
        /// Absolute part.
        atol: f64,
        /// Relative part.
        rtol: f64,
    },
}

impl Tolerance {
    /// Smallest signal-to-noise ratio, in decibels, at which a half-precision model counts as equal
    /// to PyTorch.
    pub const HALF_PRECISION_PSNR: f64 = 35.0;

    /// The same for single precision: differences of a ten thousandth of the largest element.
    pub const SINGLE_PRECISION_PSNR: f64 = 80.0;

    /// Returns what is close enough where the manifest does not say otherwise.
    ///
    /// Both precisions are judged by their noise. A bound for each element does not fit every
    /// output: in half precision a sound 6-layer encoder differs by 1.6e-2 at its worst, and in
    /// single precision a sound spectrogram with values in the thousands by 1e-2 where it is near
    /// zero. The ratio is that of the output's magnitude, so that small outputs must be right, too.
    /// Parameters: `half` — whether anything is computed, stored or given in half precision.
    pub fn of_precision(half: bool) -> Self {
        if half {
            Self::Psnr(Self::HALF_PRECISION_PSNR)
        } else {
            Self::Psnr(Self::SINGLE_PRECISION_PSNR)
        }
    }
}

/// A command that judges what a model gives: a task's own metric, as the manifest's `parity.metric`
/// has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Metric {
    /// What the shell runs. The last line that it prints is its figure.
    pub command: String,
    /// Where it runs: the folder of the crate's Cargo.toml, absolute.
    pub folder: PathBuf,
    /// What the figure must reach.
    pub bound: Bound,
}

/// What a figure must reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
}

impl Bound {
    /// Returns whether a figure reaches it; not-a-number never does.
    pub fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::AtMost(most) => write!(f, "at most {most}"),
        }
    }
}

/// Which processors Core ML may use (`MLComputeUnits`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComputeUnits {
    /// CPU, GPU and Neural Engine.
    #[default]
    All,
    /// CPU only.
    CpuOnly,
    /// CPU and GPU.
    CpuAndGpu,
    /// CPU and Neural Engine.
    CpuAndNeuralEngine,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_belong_to_functions() {
        let samples = [
            "net.samples.0.safetensors",
            "net.samples.step.0.safetensors",
            "net.samples.v1.2.0.safetensors",
        ];
        let interface = Interface {
            specification_version: 9,
            default_function: "main".to_owned(),
            functions: Vec::new(),
            buckets: None,
        };
        let mut model = IndexedModel::new("net", interface);
        model.samples = samples.map(str::to_owned).to_vec();
        for (function, sample) in ["main", "step", "v1.2"].iter().zip(samples) {
            assert_eq!(model.samples_of(function).collect::<Vec<_>>(), [sample]);
        }
    }

    #[test]
    fn manifests_get_folders_of_their_own() {
        let out = Path::new("/out");
        assert_eq!(index_folder(out, "./a.toml"), index_folder(out, "a.toml"));
        assert_eq!(index_folder(out, "m/ä b.toml"), Path::new("/out/coreml/m%2F%C3%A4%20b.toml"));
        assert_ne!(index_folder(out, "m/a.toml"), index_folder(out, "m%2Fa.toml"));
    }
}
