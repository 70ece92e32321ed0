//! The model packages that arguments name: one package, or those of a manifest.
//!
//! Owns: the arguments that name models, the same for each subcommand that reads one, and finding
//! the crate around a manifest.
//! Must not: convert; a model that is not in the cache is an error.
//! Flow: a subcommand's file → [`Choice`] → [`find`] → [`coreml_build::Context`] for a manifest.

use crate::failure::Failure;
use crate::parts::{self, Part};
use crate::selection;
use coreml_build::{Context, Policy};
use coreml_spec::{ConversionReport, INDEX_FILE, Index, IndexedModel, Outcome};
use std::path::{Path, PathBuf};

/// The arguments that name models.
#[derive(clap::Args)]
pub(crate) struct Choice {
    /// A model package (a folder NAME.mlpackage), or a manifest (NAME.toml) whose models are in the
    /// cache
    #[arg(value_name = "MODEL.mlpackage|MANIFEST.toml")]
    pub(crate) model: PathBuf,
    /// One model of the manifest, if it has several
    #[arg(id = "name", long = "model", value_name = "NAME")]
    pub(crate) name: Option<String>,
}

impl Choice {
    /// Returns all models that are meant.
    ///
    /// Errors: those of [`find`]; there is no model of this name.
    pub(crate) fn all(&self) -> Result<Models, Failure> {
        named(&self.model, self.name.as_deref())
    }

    /// Returns the only model that is meant.
    ///
    /// Errors: those of [`all`](Self::all); there are several.
    pub(crate) fn one(&self) -> Result<Models, Failure> {
        let found = self.all()?;
        match found.models.len() {
            1 => Ok(found),
            _ => Err(give_one_of(&self.model, &found.models)),
        }
    }

    /// Returns whether a manifest is meant, and so perhaps several models.
    pub(crate) fn is_manifest(&self) -> bool {
        is_manifest(&self.model)
    }
}

/// Returns whether a path is that of a manifest, by its name.
pub(crate) fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

/// Returns the packages that `path` means, or those of the model `name` alone.
///
/// Errors: those of [`find`]; there is no model of this name.
pub(crate) fn named(path: &Path, name: Option<&str>) -> Result<Models, Failure> {
    let mut found = find(path)?;
    let Some(name) = name else { return Ok(found) };
    if !is_manifest(path) {
        return Err(
            format!("{}: a package has only one model: omit --model", path.display()).into()
        );
    }
    let is_named = |model: &ModelPackage| {
        model.indexed.as_ref().is_some_and(|indexed| {
            indexed.name == name || indexed.bucket_of.as_deref() == Some(name)
        })
    };
    if !found.models.iter().any(is_named) {
        return Err(give_one_of(path, &found.models));
    }
    found.models.retain(is_named);
    Ok(found)
}

/// Makes the error for a model that must be chosen.
fn give_one_of(path: &Path, models: &[ModelPackage]) -> Failure {
    let names: Vec<&str> = models.iter().map(ModelPackage::name).collect();
    format!("{}: give --model one of: {}", path.display(), names.join(", ")).into()
}

/// What an argument means.
pub(crate) struct Models {
    /// The models, in order.
    pub(crate) models: Vec<ModelPackage>,
    /// Holds the packages of a manifest while they are used.
    _folder: Option<tempfile::TempDir>,
}

/// A model package.
pub(crate) struct ModelPackage {
    /// Its title in the output: the path as given, or `MANIFEST: NAME`.
    pub(crate) title: String,
    /// Where it was named: the package, or the manifest.
    pub(crate) source: PathBuf,
    /// Where the package is.
    pub(crate) package: PathBuf,
    /// Its entry in the index; `None` for a package without a manifest.
    pub(crate) indexed: Option<IndexedModel>,
    /// What its conversion has left to be read, with Python files as the user would name them here;
    /// empty for a package.
    pub(crate) conversion: ConversionReport,
    /// What Python said while it was converted, its end at least; empty when that was not kept.
    pub(crate) log: String,
}

impl ModelPackage {
    /// Returns the manifest's name for it; of a package its path.
    pub(crate) fn name(&self) -> &str {
        self.indexed.as_ref().map_or(&self.title, |indexed| &indexed.name)
    }

    /// Returns what the rules about the Neural Engine have to know of it.
    pub(crate) fn lint_options(&self) -> coreml_lint::Options {
        let mut options = coreml_lint::Options::default();
        options.origins = self.conversion.origins.clone();
        if let Some(indexed) = &self.indexed {
            options.allow = indexed.allow.iter().cloned().collect();
            options.compute_units = Some(indexed.compute_units);
            options.compared = !indexed.samples.is_empty();
        }
        options
    }

    /// Returns its parts with their samples; none for a package without a manifest.
    pub(crate) fn parts(&self) -> Result<Vec<Part>, Failure> {
        let folder = self.package.parent().unwrap_or(Path::new("."));
        self.indexed.as_ref().map_or_else(|| Ok(Vec::new()), |indexed| parts::of(indexed, folder))
    }
}

/// Returns the packages that `path` means.
///
/// Parameters: `path` — a package, or a manifest: a file that ends in `.toml`.
/// Errors: those of the manifest; its models have not been converted.
pub(crate) fn find(path: &Path) -> Result<Models, Failure> {
    if !is_manifest(path) {
        let (title, source, package) =
            (path.display().to_string(), path.to_owned(), path.to_owned());
        let (conversion, log) = (ConversionReport::default(), String::new());
        let model = ModelPackage { title, source, package, indexed: None, conversion, log };
        return Ok(Models { models: vec![model], _folder: None });
    }
    let absolute = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
    let root = crate_of(&absolute)?;
    let name = absolute.strip_prefix(&root)?.to_string_lossy().replace('\\', "/");
    let folder = tempfile::tempdir()?;
    let mut options = selection::options(&root)?;
    options.out_dir = folder.path().to_owned();
    options.policy = Policy::Cached;
    options.status = false;
    let context = Context::new(options);
    let mut builds = context.build(&[name.as_str()]);
    let build = builds.pop().ok_or("the manifest was not read")?;
    let built = build.outcome.map_err(|errors| {
        format!("{}\nhelp: `cargo build` converts what is not in the cache", listed(&errors))
    })?;
    let index: Index = serde_json::from_slice(&std::fs::read(build.folder.join(INDEX_FILE))?)?;
    let indexed = match index.outcome {
        Outcome::Models(models) => models.models,
        Outcome::Error(_) => Vec::new(),
    };
    // `examples/a/models/a.toml` without `models/a.toml`: what Python files are relative to, seen
    // from here.
    let shown_root = path
        .ancestors()
        .nth(Path::new(&name).components().count())
        .filter(|_| path.ends_with(&name));
    let models = built.into_iter().map(|model| {
        let indexed = indexed.iter().find(|indexed| indexed.name == model.name).cloned();
        let title = format!("{}: {}", path.display(), model.name);
        let conversion = conversion(&model.package, shown_root.unwrap_or(&root));
        // A log is for people: one that is not there is empty.
        let log =
            std::fs::read(&model.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let log = log.unwrap_or_default();
        ModelPackage {
            title,
            source: path.to_owned(),
            package: model.package,
            indexed,
            conversion,
            log,
        }
    });
    Ok(Models { models: models.collect(), _folder: Some(folder) })
}

/// Returns what the conversion of a package has left beside it; nothing when another version has
/// written it.
///
/// Parameters: `root` — what Python files are relative to.
fn conversion(package: &Path, root: &Path) -> ConversionReport {
    let json = std::fs::read(package.with_extension("report.json")).unwrap_or_default();
    let mut report = ConversionReport::read(&json).unwrap_or_default();
    for origin in report.origins.values_mut().flat_map(|origins| origins.values_mut()) {
        // An absolute path stays as it is.
        origin.file =
            origin.file.take().map(|file| root.join(file).to_string_lossy().replace('\\', "/"));
    }
    report
}

/// Returns the folder of the crate that a file belongs to.
pub(crate) fn crate_of(file: &Path) -> Result<PathBuf, Failure> {
    let folder = file.ancestors().skip(1).find(|folder| folder.join("Cargo.toml").is_file());
    let missing = || format!("{}: there is no Cargo.toml in a folder above it", file.display());
    Ok(folder.ok_or_else(missing)?.to_owned())
}

/// Returns errors as one text.
fn listed(errors: &[coreml_build::Error]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
