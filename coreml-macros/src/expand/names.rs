//! Names in generated code, and paths in it.
//!
//! Owns: which identifier each model and feature gets, and the manifest key that each stands under.
//! Flow: `expand.rs` makes these once; every other file of this folder reads them.

use crate::load::Built;
use coreml_spec::{Feature, Function, IndexedModel, Models, rust_identifier, rust_identifiers};
use proc_macro2::{Ident, Span};
use std::path::Path;

/// A package with its names.
pub(super) struct Package<'a> {
    /// Name of its module; not used by a manifest with a single model.
    pub(super) module: Ident,
    /// Its functions: one, or several that each have a module of their own.
    pub(super) functions: Vec<Model<'a>>,
}

/// A function of a package with its names: what a model is, unless the package has several.
pub(super) struct Model<'a> {
    /// The model as the build describes it.
    pub(super) indexed: &'a IndexedModel,
    /// The function that runs.
    pub(super) function: &'a Function,
    /// Whether it is one of several.
    pub(super) is_one_of_several: bool,
    /// Name of its module; not used where there is only one.
    pub(super) module: Ident,
    /// Its table in the manifest: `models.encoder`, `model`, or `models.decoder.functions.step`.
    pub(super) key: String,
    /// Fields of `Input`, in the order of the function's inputs.
    pub(super) inputs: Vec<Ident>,
    /// Fields of `Output`, in the order of the function's outputs.
    pub(super) outputs: Vec<Ident>,
    /// Getters of `State`, in the order of the function's states.
    pub(super) states: Vec<Ident>,
}

/// Names the models of a manifest, their functions and their features.
///
/// Errors: two models or functions with the same identifier, and an index that contradicts itself.
pub(super) fn packages(models: &Models) -> Result<Vec<Package<'_>>, String> {
    let mut named: Vec<Package<'_>> = Vec::with_capacity(models.models.len());
    for (indexed, module) in
        models.models.iter().zip(modules("models", models.models.iter().map(|model| &*model.name))?)
    {
        let functions = &indexed.interface.functions;
        if indexed.interface.function(None).is_none() {
            return Err(format!(
                "the package of `{}` has no function `{}`: convert it again",
                indexed.name, indexed.interface.default_function
            ));
        }
        let table = if models.single { "model".to_owned() } else { format!("models.{}", key(&indexed.name)) };
        let modules = modules("functions", functions.iter().map(|function| &*function.name))?;
        let is_one_of_several = functions.len() > 1;
        let functions = functions.iter().zip(modules).map(|(function, function_module)| {
            let [inputs, outputs, states] =
                [&function.inputs, &function.outputs, &function.states].map(|all| fields(all));
            let (module, key) = if is_one_of_several {
                (function_module, format!("{table}.functions.{}", key(&function.name)))
            } else {
                (module.clone(), table.clone())
            };
            Model { indexed, function, is_one_of_several, module, key, inputs, outputs, states }
        });
        named.push(Package { functions: functions.collect(), module });
    }
    match named.len() {
        0 => Err("the manifest has no model: add a table `[model]`".to_owned()),
        _ => Ok(named),
    }
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
            return Err(format!("the {what} `{other}` and `{name}` would both be `{module}`: rename one of them"));
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
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { format!("{name:?}") }
}

/// Where the manifest's build products lie, as text for generated code.
pub(super) struct Place {
    /// The manifest, as the attribute names it.
    pub(super) manifest: String,
    /// The folder of packages and samples, absolute.
    folder: String,
    /// The index, absolute.
    pub(super) index_file: String,
}

impl Place {
    /// Converts the paths to text.
    ///
    /// Errors: a path that is not Unicode, which no string literal can hold.
    pub(super) fn new(manifest: &str, built: &Built) -> Result<Self, String> {
        let text = |path: &Path| {
            path.to_str().map(str::to_owned).ok_or_else(|| {
                format!("the path {} is not Unicode: build in another folder, or set CARGO_TARGET_DIR", path.display())
            })
        };
        Ok(Self { manifest: manifest.to_owned(), folder: text(&built.folder)?, index_file: text(&built.index_file)? })
    }

    /// Returns the absolute path of a file or folder beside the index.
    pub(super) fn beside(&self, name: &str) -> String {
        format!("{}{}{name}", self.folder, std::path::MAIN_SEPARATOR)
    }
}
