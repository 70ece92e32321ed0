//! What a new model is made of, and the plainest one.
//!
//! Owns: the form of a template, and how NAME stands in its texts. Must not: write files.
//! Flow: `image.rs`, `text.rs` and [`plain`] make one → `new.rs` writes it.

/// The files and dependencies of a new model.
pub(super) struct Template {
    /// The manifest.
    pub(super) manifest: String,
    /// The Python file, where the manifest names a function.
    pub(super) python: Option<String>,
    /// A program that calls the model, where there is one.
    pub(super) program: Option<String>,
    /// A picture to try the program with.
    pub(super) picture: Option<&'static [u8]>,
    /// Features of coreml-rt.
    pub(super) features: &'static [&'static str],
    /// Another crate that the program needs.
    pub(super) dependency: Option<Dependency>,
    /// What to do next, a line each.
    pub(super) next: Vec<String>,
}

/// A crate of the registry.
pub(super) struct Dependency {
    /// Its name.
    pub(super) name: &'static str,
    /// Its version, the one that this repository is tested with.
    pub(super) version: &'static str,
    /// Its features, instead of the default ones.
    pub(super) features: &'static [&'static str],
}

/// The manifest of a function.
const MANIFEST: &str = r#"# A model: its PyTorch source, inputs and outputs.

[model]
source = { file = "python/NAME.py", entry = "NAME" }
inputs.x = { shape = [3], dtype = "float32" }
outputs.y = { dtype = "float32" }
"#;

/// A function that returns a module.
const PYTHON: &str = r#""""The model of NAME.toml."""

import torch


class Module(torch.nn.Module):
    """Doubles its input; replace it with your module."""

    def forward(self, x):
        return 2 * x


def NAME():
    """Returns the module that is converted, with its weights."""
    return Module()
"#;

/// Returns a model of numbers, to be replaced.
pub(super) fn plain(name: &str) -> Template {
    Template {
        manifest: named(MANIFEST, name),
        python: Some(named(PYTHON, name)),
        program: None,
        picture: None,
        features: &[],
        dependency: None,
        next: vec![
            format!(
                "put your module into python/{name}.py, and its inputs and outputs into {name}.toml"
            ),
            "`cargo test` converts it and compares it with PyTorch".to_owned(),
        ],
    }
}

/// Returns a text with the name in it.
pub(super) fn named(text: &str, name: &str) -> String {
    text.replace("NAME", name)
}
