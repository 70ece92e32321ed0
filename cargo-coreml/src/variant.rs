//! A model of a manifest, converted with some keys changed.
//!
//! Owns: the manifest of variants, which exists only while the command runs. Must not: change the
//! user's files; the conversions go into the cache like all others.
//! Flow: `quantize.rs` and `precision.rs` → here → `coreml_build::Context`, one Python process for
//! all variants → `coreml_rt::parity` for each.

use crate::failure::Failure;
use crate::parts::{self, Part};
use crate::selection;
use coreml_build::{Build, Context, Selection};
use coreml_rt::LoadOptions;
use coreml_rt::parity::{Metric, Report, Tolerance, Verdict};
use coreml_spec::{Index, IndexedModel, Outcome};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use toml::{Table, Value};

/// A model of which variants are converted.
pub(crate) struct BaseModel {
    /// Builds it, into a folder of its own.
    context: Context,
    /// Holds the manifest of variants and what is built; gone with this.
    folder: TempDir,
    /// The manifest without its models.
    rest: Table,
    /// The model's own table, defaults merged in by the build.
    table: Table,
    /// Its name.
    name: String,
    /// Number of builds. Each has its own manifest, because a build removes the output of an
    /// earlier build of the same manifest.
    builds: Cell<usize>,
}

/// Keys that a variant has instead of the model's own.
pub(crate) struct Change {
    /// Name of the variant, an identifier.
    pub(crate) name: String,
    /// Keys that are taken away.
    pub(crate) without: Vec<&'static str>,
    /// Keys as a line of TOML; empty for no change.
    pub(crate) line: String,
}

/// A converted variant.
pub(crate) struct Variant {
    /// The model package; of buckets in packages of their own the largest.
    pub(crate) package: PathBuf,
    /// Size of all packages, in bytes.
    pub(crate) size: u64,
    /// What is compared with PyTorch's results, which are the same for all variants.
    parts: Vec<Part>,
    /// When the manifest calls a result equal.
    pub(crate) tolerance: Tolerance,
    /// The manifest's command that judges all samples together.
    pub(crate) metric: Option<Metric>,
}

impl BaseModel {
    /// Reads a model of a manifest.
    ///
    /// Parameters: `manifest` — its path; `model` — needed when the manifest has several.
    pub(crate) fn of(manifest: &Path, model: Option<&str>) -> Result<Self, Failure> {
        let selection = Selection::of(&std::env::current_dir()?, &[manifest.to_owned()])?;
        let [Selection { package_root, .. }] = &selection[..] else {
            return Err("give exactly one manifest".into());
        };
        let text = fs::read_to_string(manifest)
            .map_err(|error| format!("{}: {error}", manifest.display()))?;
        let mut rest: Table =
            text.parse().map_err(|error| format!("{}: {error}", manifest.display()))?;
        let (name, table) = take_model(&mut rest, manifest, model)?;
        let folder = tempfile::tempdir()?;
        let mut options = selection::options(package_root)?;
        options.out_dir = folder.path().join("out");
        options.status = true;
        Ok(Self { context: Context::new(options), folder, rest, table, name, builds: Cell::new(0) })
    }

    /// Returns the model's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the manifest asks for a Python package.
    pub(crate) fn depends_on(&self, package: &str) -> bool {
        let dependencies = self.rest.get("python").and_then(|python| python.get("dependencies"));
        let names =
            dependencies.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        names.into_iter().any(|name| name.starts_with(package))
    }

    /// Converts the variants that are not in the cache.
    ///
    /// Returns: for each change the variant, or the reason why it cannot be converted.
    /// Errors: nothing could be built at all.
    pub(crate) fn convert(
        &self,
        changes: &[Change],
    ) -> Result<Vec<Result<Variant, String>>, Failure> {
        let mut results = self.build(changes)?;
        // One wrong variant fails the whole build; then build each of them alone.
        if results.iter().all(Result::is_err) && changes.len() > 1 {
            results = Vec::new();
            for change in changes {
                results.append(&mut self.build(std::slice::from_ref(change))?);
            }
        }
        Ok(results)
    }

    /// Builds a manifest with a model for each change.
    fn build(&self, changes: &[Change]) -> Result<Vec<Result<Variant, String>>, Failure> {
        let mut models = Table::new();
        for change in changes {
            let mut table = self.table.clone();
            change.without.iter().for_each(|key| drop(table.remove(*key)));
            let keys: Table =
                change.line.parse().map_err(|error| format!("{}: {error}", change.line))?;
            table.extend(keys);
            models.insert(change.name.clone(), Value::Table(table));
        }
        let mut manifest = self.rest.clone();
        manifest.insert("models".to_owned(), Value::Table(models));
        let file = format!("variants-{}.toml", self.builds.replace(self.builds.get() + 1));
        let path = self.folder.path().join(&file);
        fs::write(&path, manifest.to_string())?;
        let path =
            path.to_str().ok_or("the path of the temporary folder is not Unicode: set TMPDIR")?;
        let builds = self.context.build(&[path]);
        let [build] = &builds[..] else { return Err("the build returned nothing".into()) };
        match &build.outcome {
            Ok(_) => read(build, changes),
            Err(errors) => {
                let text = selection::together(errors).replace(path, &file);
                Ok(changes.iter().map(|_| Err(text.clone())).collect())
            }
        }
    }
}

/// Takes a model's table out of a manifest.
fn take_model(
    rest: &mut Table,
    manifest: &Path,
    model: Option<&str>,
) -> Result<(String, Table), Failure> {
    let table = |value: Value| match value {
        Value::Table(table) => Ok(table),
        _ => Err(Failure::from(format!("{}: a model is a table", manifest.display()))),
    };
    if let Some(single) = rest.remove("model") {
        let name = manifest.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        return Ok((name, table(single)?));
    }
    let mut models = rest.remove("models").map(table).transpose()?.unwrap_or_default();
    let names: Vec<String> = models.keys().cloned().collect();
    let name = match (model, &names[..]) {
        (Some(name), _) => name.to_owned(),
        (None, [name]) => name.clone(),
        (None, _) => {
            return Err(format!("choose one model with --model: {}", names.join(", ")).into());
        }
    };
    let found = models
        .remove(&name)
        .ok_or_else(|| format!("there is no model `{name}`, only {}", names.join(", ")))?;
    Ok((name, table(found)?))
}

/// Reads the variants of a successful build, in the order of the changes.
fn read(build: &Build, changes: &[Change]) -> Result<Vec<Result<Variant, String>>, Failure> {
    let index: Index =
        serde_json::from_slice(&fs::read(build.folder.join(coreml_spec::INDEX_FILE))?)?;
    let Outcome::Models(models) = index.outcome else {
        return Err("the build left no models".into());
    };
    let variant = |change: &Change| {
        let is_wanted =
            |model: &&IndexedModel| *model.bucket_of.as_ref().unwrap_or(&model.name) == change.name;
        let packages: Vec<&IndexedModel> = models.models.iter().filter(is_wanted).collect();
        variant(&build.folder, &packages, &change.name).map_err(|error| error.to_string())
    };
    Ok(changes.iter().map(variant).collect())
}

/// Reads one variant.
///
/// Parameters: `models` — its package, or one for each bucket, ascending; `name` — of the variant.
fn variant(folder: &Path, models: &[&IndexedModel], name: &str) -> Result<Variant, Failure> {
    let largest = models.last().ok_or_else(|| format!("the build left no `{name}`"))?;
    if models.iter().all(|model| model.samples.is_empty()) {
        return Err("the manifest keeps no samples: set `parity = { samples = 3 }`".into());
    }
    let (mut parts, mut size) = (Vec::new(), 0);
    for model in models {
        parts.append(&mut parts::of(model, folder)?);
        let package = coreml_spec::Package::open(folder.join(&model.package))?;
        size += package.summary()?.files.iter().map(|(_, size)| size).sum::<u64>();
    }
    let (package, tolerance, metric) =
        (folder.join(&largest.package), largest.tolerance, largest.metric.clone());
    Ok(Variant { package, size, parts, tolerance, metric })
}

impl Variant {
    /// Compares the variant with PyTorch, by the manifest's tolerance and metric.
    pub(crate) fn verify(&self, options: &LoadOptions) -> Result<Report, Failure> {
        self.compare(options, self.tolerance, self.metric.as_ref())
    }

    /// Compares the variant with PyTorch for its figures alone: everything passes.
    pub(crate) fn figures(&self, options: &LoadOptions) -> Result<Report, Failure> {
        self.compare(options, Tolerance::Psnr(0.0), None)
    }

    /// Compares the variant with PyTorch.
    fn compare(
        &self,
        options: &LoadOptions,
        tolerance: Tolerance,
        metric: Option<&Metric>,
    ) -> Result<Report, Failure> {
        let report = parts::compare(&self.parts, options, tolerance, metric)?;
        report.ok_or_else(|| "there is no sample to compare with".into())
    }
}

/// Returns the smallest signal-to-noise ratio of all outputs, in decibels; 0 for what is not finite
/// on one side only.
pub(crate) fn psnr(report: &Report) -> f64 {
    let ratios = report.comparisons.iter().filter_map(|comparison| match comparison.verdict {
        Verdict::Tensor(figures) if figures.non_finite > 0 => Some(0.0),
        Verdict::Tensor(figures) => Some(figures.psnr),
        Verdict::Label { .. } => None,
    });
    ratios.fold(f64::INFINITY, f64::min)
}

/// Returns a signal-to-noise ratio as text.
pub(crate) fn decibels(psnr: f64) -> String {
    if psnr.is_infinite() { "exact".to_owned() } else { format!("{psnr:.1} dB") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a model out of a manifest, and returns its name with what is left.
    fn taken(text: &str, model: Option<&str>) -> Result<(String, Table, Table), String> {
        let mut rest: Table = text.parse().unwrap();
        let (name, table) = take_model(&mut rest, Path::new("dir/net.toml"), model)
            .map_err(|error| error.to_string())?;
        Ok((name, table, rest))
    }

    #[test]
    fn one_model_is_found_by_itself_and_several_by_name() {
        let (name, table, rest) = taken("[python]\na = 1\n[model]\nb = 2\n", None).unwrap();
        assert_eq!(
            (name.as_str(), table.contains_key("b"), rest.contains_key("python")),
            ("net", true, true)
        );
        assert_eq!(taken("[models.a]\n", None).unwrap().0, "a");
        let several = "[models.a]\n[models.b]\nc = 3\n";
        assert_eq!(taken(several, Some("b")).unwrap().1.len(), 1);
        assert_eq!(taken(several, None).unwrap_err(), "choose one model with --model: a, b");
        assert_eq!(taken(several, Some("c")).unwrap_err(), "there is no model `c`, only a, b");
    }

    #[test]
    fn ratios_have_a_unit() {
        assert_eq!(decibels(35.04), "35.0 dB");
        assert_eq!(decibels(f64::INFINITY), "exact");
    }
}
