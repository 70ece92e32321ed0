//! Names in generated code, and paths in it.
//!
//! Owns: the identifier of each model and feature, and its manifest key.
//! Flow: `expand.rs` makes these once; every other file of this folder reads them.

use super::fittings;
use crate::load::Built;
use coreml_spec::{
    Buckets, Feature, Fitting, Function, IndexedModel, Models, rust_identifier, rust_identifiers,
};
use proc_macro2::{Ident, Span};
use std::borrow::Cow;
use std::path::Path;

/// A package with its names.
pub(super) struct NamedPackage<'a> {
    /// Name of its module; not used by a manifest with a single model.
    pub(super) module: Ident,
    /// Its functions: one, or several that each have a module of their own.
    pub(super) functions: Vec<NamedModel<'a>>,
}

/// A function of a package with its names: what a model is, unless the package has several.
pub(super) struct NamedModel<'a> {
    /// The manifest's name for it.
    pub(super) name: &'a str,
    /// The model as the build describes it; of buckets in several packages the smallest.
    pub(super) indexed: &'a IndexedModel,
    /// The function that runs; of buckets what callers see.
    pub(super) function: Cow<'a, Function>,
    /// What is done to inputs that do not fit, by their positions.
    pub(super) fittings: Vec<(usize, Fitting)>,
    /// The sizes that it is there in, ascending; empty without buckets.
    pub(super) buckets: Vec<Bucket<'a>>,
    /// Whether it is one of several.
    pub(super) is_one_of_several: bool,
    /// Name of its module; not used where there is only one.
    pub(super) module: Ident,
    /// The table of its package in the manifest: `models.encoder` or `model`.
    pub(super) table: String,
    /// Its table in the manifest: the package's, or `models.decoder.functions.step`.
    pub(super) key: String,
    /// Fields of `Input`, in the order of the function's inputs.
    pub(super) inputs: Vec<Ident>,
    /// Fields of `Output`, in the order of the function's outputs.
    pub(super) outputs: Vec<Ident>,
    /// Getters of `State`, in the order of the function's states.
    pub(super) states: Vec<Ident>,
}

/// One size of a model.
pub(super) struct Bucket<'a> {
    /// The length that it is made for.
    pub(super) size: usize,
    /// The package that holds it.
    pub(super) indexed: &'a IndexedModel,
    /// Its function in a package of several.
    pub(super) function: Option<&'a str>,
}

impl<'a> NamedModel<'a> {
    /// Returns the samples, by their names.
    pub(super) fn samples(&self) -> impl Iterator<Item = &'a str> {
        let own = self.buckets.is_empty().then(|| self.indexed.samples_of(&self.function.name));
        let mut packages: Vec<&'a IndexedModel> =
            self.buckets.iter().map(|bucket| bucket.indexed).collect();
        packages.dedup_by_key(|package| package.package.as_str());
        let of_buckets =
            packages.into_iter().flat_map(|package| package.samples.iter().map(String::as_str));
        own.into_iter().flatten().chain(of_buckets)
    }
}

/// Names the models of a manifest, their functions and their features.
///
/// Errors: two models or functions with the same identifier, and an index that contradicts itself.
pub(super) fn packages(models: &Models) -> Result<Vec<NamedPackage<'_>>, String> {
    let mut named: Vec<NamedPackage<'_>> = Vec::with_capacity(models.models.len());
    let groups: Vec<&[IndexedModel]> = models.models.chunk_by(is_same_model).collect();
    for (packages, module) in
        groups.iter().zip(modules("models", groups.iter().filter_map(|group| name_of(group)))?)
    {
        let Some((indexed, name)) = packages.first().zip(name_of(packages)) else { continue };
        let interface = &indexed.interface;
        let Some(default) = interface.function(None) else {
            return Err(format!(
                "the package of `{name}` has no function `{}`: convert it again",
                interface.default_function
            ));
        };
        let table =
            if models.single { "model".to_owned() } else { format!("models.{}", key(name)) };
        if interface.buckets.is_some() || indexed.bucket_of.is_some() {
            let (mut function, buckets) = buckets(name, packages, default)?;
            let fittings = fittings::open(indexed, &mut function);
            let [inputs, outputs, states] = named_features(&function);
            let model = NamedModel {
                name,
                indexed,
                function: Cow::Owned(function),
                fittings,
                buckets,
                is_one_of_several: false,
                module: module.clone(),
                key: table.clone(),
                table,
                inputs,
                outputs,
                states,
            };
            named.push(NamedPackage { functions: vec![model], module });
            continue;
        }
        let functions = &interface.functions;
        let modules = modules("functions", functions.iter().map(|function| &*function.name))?;
        let is_one_of_several = functions.len() > 1;
        let functions = functions.iter().zip(modules).map(|(function, function_module)| {
            let [inputs, outputs, states] = named_features(function);
            let (module, key) = if is_one_of_several {
                (function_module, format!("{table}.functions.{}", key(&function.name)))
            } else {
                (module.clone(), table.clone())
            };
            let (mut function, buckets) = (Cow::Borrowed(function), Vec::new());
            let mut fittings = Vec::new();
            if !indexed.fittings.is_empty() {
                fittings = fittings::open(indexed, function.to_mut());
            }
            NamedModel {
                name,
                indexed,
                function,
                fittings,
                buckets,
                is_one_of_several,
                module,
                table: table.clone(),
                key,
                inputs,
                outputs,
                states,
            }
        });
        named.push(NamedPackage { functions: functions.collect(), module });
    }
    match named.len() {
        0 => Err("the manifest has no model: add a table `[model]`".to_owned()),
        _ => Ok(named),
    }
}

/// Returns whether two packages, one after the other in the index, are buckets of one model.
fn is_same_model(one: &IndexedModel, other: &IndexedModel) -> bool {
    one.bucket_of.is_some() && one.bucket_of == other.bucket_of
}

/// Returns the manifest's name for the model that packages make.
fn name_of(packages: &[IndexedModel]) -> Option<&str> {
    let first = packages.first()?;
    Some(first.bucket_of.as_deref().unwrap_or(&first.name))
}

/// Returns the fields of inputs, outputs and states.
fn named_features(function: &Function) -> [Vec<Ident>; 3] {
    [&function.inputs, &function.outputs, &function.states].map(|features| fields(features))
}

/// Returns what callers of a model with buckets see, and its sizes.
///
/// Parameters: `packages` — one with a function for each size, or one for each size; `default` — a
/// function of the first.
/// Errors: the packages contradict themselves or each other.
fn buckets<'a>(
    name: &str,
    packages: &'a [IndexedModel],
    default: &Function,
) -> Result<(Function, Vec<Bucket<'a>>), String> {
    let wrong =
        |problem: &str| format!("the buckets of `{name}` {problem}: convert the model again");
    let mut found: Vec<Bucket<'_>> = Vec::new();
    let mut seen: Option<&Buckets> = None;
    for indexed in packages {
        let functions = &indexed.interface.functions;
        let buckets =
            indexed.interface.buckets.as_ref().ok_or_else(|| wrong("are not described"))?;
        buckets
            .check(functions)
            .map_err(|problem| wrong(&format!("contradict themselves ({problem})")))?;
        let first = *seen.get_or_insert(buckets);
        if (Buckets { sizes: first.sizes.clone(), ..buckets.clone() }) != *first {
            return Err(wrong("differ in more than their sizes"));
        }
        for &size in &buckets.sizes {
            let function = buckets.function(functions, size).ok_or_else(|| wrong("lack a size"))?;
            let function = (functions.len() > 1).then_some(function.name.as_str());
            found.push(Bucket { size, indexed, function });
        }
    }
    let largest = found.last().map(|bucket| bucket.size).unwrap_or_default();
    if !found.is_sorted_by(|one, next| one.size < next.size) {
        return Err(wrong("do not ascend"));
    }
    let buckets = seen.ok_or_else(|| wrong("are not there"))?;
    Ok((buckets.flexible(default, largest), found))
}

/// Returns the module of each name.
///
/// Parameters: `what` — what the names are of, for the message.
/// Errors: two names with the same identifier.
fn modules<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<Vec<Ident>, String> {
    let mut modules: Vec<(&str, Ident)> = Vec::new();
    for name in names {
        let module = identifier(&rust_identifier(name));
        if let Some((other, _)) = modules.iter().find(|(_, other)| *other == module) {
            return Err(format!(
                "the {what} `{other}` and `{name}` would both be `{module}`: rename one of them"
            ));
        }
        modules.push((name, module));
    }
    Ok(modules.into_iter().map(|(_, module)| module).collect())
}

/// Returns the field of each feature.
fn fields(features: &[Feature]) -> Vec<Ident> {
    let names = features.iter().map(|feature| feature.name.as_str());
    rust_identifiers(names).iter().map(|name| identifier(name)).collect()
}

/// Makes an identifier of what [`coreml_spec`] returned, which is always one.
pub(super) fn identifier(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

/// Returns `name` as a key of a TOML document: quoted where TOML asks for it.
pub(super) fn key(name: &str) -> String {
    let is_bare = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    if !name.is_empty() && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

/// Paths of the manifest's build products, as text for generated code.
pub(super) struct Paths {
    /// The manifest, as the attribute names it.
    pub(super) manifest: String,
    /// The folder of packages and samples, absolute.
    folder: String,
    /// The index, absolute.
    pub(super) index_file: String,
}

impl Paths {
    /// Converts the paths to text.
    ///
    /// Errors: a path that is not Unicode, which no string literal can hold.
    pub(super) fn new(manifest: &str, built: &Built) -> Result<Self, String> {
        let text = |path: &Path| {
            path.to_str().map(str::to_owned).ok_or_else(|| {
                format!(
                    "the path {} is not Unicode: build in another folder, or set CARGO_TARGET_DIR",
                    path.display()
                )
            })
        };
        Ok(Self {
            manifest: manifest.to_owned(),
            folder: text(&built.folder)?,
            index_file: text(&built.index_file)?,
        })
    }

    /// Returns the absolute path of a file or folder beside the index.
    pub(super) fn beside(&self, name: &str) -> String {
        format!("{}{}{name}", self.folder, std::path::MAIN_SEPARATOR)
    }
}
