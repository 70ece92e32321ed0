//! `cargo coreml new --model`: a model that exists, with inputs that a real run accepted, and a
//! program that runs it once.
//!
//! Owns: the forms of MODEL, and the texts of the files. Must not: write files of the crate; find
//! inputs (`coreml_build` does).
//! Flow: `new.rs` → [`model`] → `coreml_build::Context::propose` → a template.

use super::template::{Template, named};
use super::text::within;
use crate::bars::Bars;
use crate::failure::Failure;
use crate::selection;
use coreml_build::Context;
use coreml_build::propose::{Origin, Proposal, ProposedInput, Question};
use coreml_spec::rust_identifier;
use std::fs;
use std::path::Path;

/// Where the model comes from.
#[derive(Clone, Debug)]
pub(super) enum Model {
    /// `timm/NAME`: an architecture of the library timm.
    Timm(String),
    /// `transformers/owner/name`, or `transformers/FOLDER`.
    Transformers(String),
    /// `FILE.py:ENTRY`: a function that returns a module.
    File(String, String),
}

impl std::str::FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |name: &str, others: &str| {
            !name.is_empty()
                && name.chars().all(|one| one.is_ascii_alphanumeric() || others.contains(one))
        };
        if let Some(name) = text.strip_prefix("timm/") {
            return match plain(name, "_.-") {
                true => Ok(Self::Timm(name.to_owned())),
                false => Err("after `timm/` stands a name of timm, such as resnet18".to_owned()),
            };
        }
        if let Some(name) = text.strip_prefix("transformers/") {
            return match name.trim_matches('/') {
                "" => Err("after `transformers/` stands owner/name, or a folder".to_owned()),
                _ => Ok(Self::Transformers(name.to_owned())),
            };
        }
        if let Some((file, entry)) = text.rsplit_once(':')
            && file.ends_with(".py")
            && plain(entry, "_")
        {
            return Ok(Self::File(file.to_owned(), entry.to_owned()));
        }
        Err("it must be timm/NAME, transformers/OWNER/NAME, transformers/FOLDER, or \
             FILE.py:FUNCTION"
            .to_owned())
    }
}

/// The function that makes a model of timm.
const TIMM: &str = r#""""The model of NAME.toml."""

import timm


def NAME():
    """Returns the module that is converted, with its weights."""
    # Its weights are random numbers. For trained ones, save them once,
    # `safetensors.torch.save_model(timm.create_model("ARCHITECTURE", pretrained=True), FILE)`,
    # and name the file in NAME.toml: `weights = "FILE"`. No build then needs a network.
    return timm.create_model("ARCHITECTURE", pretrained=False)
"#;

/// The program.
const PROGRAM: &str = r#"//! Runs the model of NAME.toml once: `cargo run`.

use coreml_rt::{Tensor, coreml_model};
use std::error::Error;

#[coreml_model("NAME.toml")]
pub mod NAME {}

fn main() -> Result<(), Box<dyn Error>> {
    let model = NAME::Model::load()?;
    // Put your own data here: the elements of a tensor are in row-major order.
TENSORS
    let output = model.predict(&NAME::Input { FIELDS })?;
PRINT
    Ok(())
}
"#;

/// Returns the template of a model that exists.
///
/// Parameters: `root` — the crate; `dependencies` — of the manifest, besides those of the library.
/// Errors: there is no such model, or it accepts none of the inputs that are tried.
pub(super) fn model(
    name: &str,
    root: &Path,
    model: &Model,
    dependencies: &[String],
) -> Result<Template, Failure> {
    let mut needed = dependencies.to_vec();
    // A function of the template's own is tried where it cannot be in the user's way.
    let scratch = tempfile::tempdir()?;
    let (mut folder, mut python) = (root.to_owned(), None);
    let (file, entry) = match model {
        Model::Timm(architecture) => {
            need(&mut needed, "timm", "timm");
            folder = scratch.path().canonicalize()?;
            let text = named(&TIMM.replace("ARCHITECTURE", architecture), name);
            fs::create_dir(folder.join("python"))?;
            fs::write(folder.join(format!("python/{name}.py")), &text)?;
            python = Some(text);
            (format!("python/{name}.py"), name.to_owned())
        }
        Model::Transformers(repository) => {
            need(&mut needed, "transformers", "transformers>=5");
            (transformers(root, repository)?, String::new())
        }
        Model::File(file, entry) => (within(root, Path::new(file))?, entry.clone()),
    };
    let origin = match model {
        Model::Transformers(_) => Origin::Transformers { file: &file },
        _ => Origin::File { file: &file, entry: &entry },
    };
    let mut options = selection::options(root)?;
    let bars = Bars::new();
    options.observer = Some(bars.observer());
    let question = Question { package_root: &folder, source: origin, dependencies: needed.clone() };
    let proposal = Context::new(options).propose(&question);
    drop(bars);
    let proposal = proposal?;
    let source = match model {
        Model::Transformers(_) => {
            let revision = proposal.revision.as_ref();
            let revision = revision
                .map(|commit| format!(", revision = {}", quoted(commit)))
                .unwrap_or_default();
            format!(
                "{{ transformers = {}, task = {}{revision} }}",
                quoted(&file),
                quoted(&proposal.task)
            )
        }
        _ => format!("{{ file = {}, entry = {} }}", quoted(&file), quoted(&entry)),
    };
    for (library, version) in &proposal.versions {
        pin(&mut needed, library, version);
    }
    let mut next = vec!["what was proposed, and why:".to_owned()];
    next.extend(proposal.inputs.iter().map(|input| {
        format!("  {}: {} {:?}: {}", input.name, input.dtype, input.shape, input.why)
    }));
    next.push("`cargo test` converts the model and compares it with PyTorch".to_owned());
    Ok(Template {
        manifest: manifest(&source, &needed, &proposal),
        python,
        program: Some(named(&program(&proposal), name)),
        picture: None,
        features: &[],
        dependency: None,
        next,
    })
}

/// Returns a folder as a path from the crate, or a repository of the hub as it is.
fn transformers(root: &Path, repository: &str) -> Result<String, Failure> {
    if Path::new(repository).is_dir() {
        return within(root, Path::new(repository));
    }
    let parts: Vec<&str> = repository.split('/').collect();
    match parts[..] {
        [owner, name] if !owner.is_empty() && !name.is_empty() => Ok(repository.to_owned()),
        _ => Err(format!(
            "{repository}: there is no such folder, and a repository of the hub is OWNER/NAME"
        )
        .into()),
    }
}

/// Returns the name of the package that a requirement speaks of.
fn package(requirement: &str) -> &str {
    let end = requirement.find(|one: char| !one.is_ascii_alphanumeric() && !"-_.".contains(one));
    requirement.get(..end.unwrap_or(requirement.len())).unwrap_or(requirement)
}

/// Adds a requirement, unless the user has named the package.
fn need(needed: &mut Vec<String>, name: &str, requirement: &str) {
    if needed.iter().all(|other| package(other) != name) {
        needed.push(requirement.to_owned());
    }
}

/// Writes the version that was used into the requirements, unless the user has named one.
fn pin(needed: &mut Vec<String>, name: &str, version: &str) {
    let pinned = format!("{name}=={version}");
    match needed.iter_mut().find(|other| package(other) == name) {
        Some(other) if other.as_str() == name || other == "transformers>=5" => *other = pinned,
        Some(_) => {}
        None => needed.push(pinned),
    }
}

/// Returns a string of TOML.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Returns the manifest.
fn manifest(source: &str, needed: &[String], proposal: &Proposal) -> String {
    let mut text =
        format!("# {}: the inputs are what a real run of the module accepted.\n", proposal.module);
    if !needed.is_empty() {
        let needed: Vec<String> = needed.iter().map(|one| quoted(one)).collect();
        text += &format!("\n[python]\ndependencies = [{}]\n", needed.join(", "));
    }
    text += &format!("\n[model]\nsource = {source}\n");
    for input in &proposal.inputs {
        let sample =
            input.range.map(|[low, high]| format!(", sample = {{ range = [{low}, {high}] }}"));
        text += &format!(
            "\n# {}.\ninputs.{} = {{ shape = {:?}, dtype = {}{} }}\n",
            input.why,
            input.name,
            input.shape,
            quoted(&input.dtype),
            sample.unwrap_or_default()
        );
    }
    text += "\n# That run returned:\n";
    for output in &proposal.outputs {
        text += &format!("#   {}: {} {:?}\n", output.name, output.dtype, output.shape);
    }
    // Core ML has no such types: the manifest has to say that the nearest one will do.
    let foreign = |dtype: &str| !["float16", "float32", "int32"].contains(&dtype);
    if proposal.outputs.iter().any(|output| foreign(&output.dtype)) {
        for output in &proposal.outputs {
            let dtype = match output.dtype.as_str() {
                own if !foreign(own) => own,
                float if float.contains("float") => "float32",
                _ => "int32",
            };
            text += &format!("outputs.{} = {{ dtype = {} }}\n", output.name, quoted(dtype));
        }
    }
    text
}

/// Returns the program.
fn program(proposal: &Proposal) -> String {
    let tensors = proposal.inputs.iter().map(|input| {
        let field = rust_identifier(&input.name);
        format!("    let {field} = {};", tensor(input))
    });
    let fields = proposal.inputs.iter().map(|input| {
        let field = rust_identifier(&input.name);
        format!("{field}: {field}.view()")
    });
    let print = proposal.outputs.iter().map(|output| {
        let field = rust_identifier(&output.name);
        format!("    println!(\"{} {{:?}}\", output.{field}.dims());", output.name)
    });
    PROGRAM
        .replace("TENSORS", &tensors.collect::<Vec<_>>().join("\n"))
        .replace("FIELDS", &fields.collect::<Vec<_>>().join(", "))
        .replace("PRINT", &print.collect::<Vec<_>>().join("\n"))
}

/// Returns the code of a tensor to begin with: of zeros, or of the least value that is allowed.
fn tensor(input: &ProposedInput) -> String {
    match input.range {
        Some([low, _]) if low != 0 => {
            let count: u64 = input.shape.iter().product();
            format!("Tensor::from_vec(vec![{low}; {count}])?")
        }
        _ => "Tensor::zeros()".to_owned(),
    }
}
