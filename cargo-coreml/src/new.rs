//! `cargo coreml new`: adds a model to the current crate.
//!
//! Owns: writing the files of a first model, and never overwriting a file. Must not: convert; hold
//! the texts of the files.
//! Flow: `main.rs` → [`run`] → a template of `new/` → files and one line of code; `cargo add`
//! writes the dependencies.

mod image;
mod model;
mod template;
mod text;

use crate::failure::Failure;
use crate::{models, table};
use coreml_spec::rust_identifier;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use template::{Dependency, Template};

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
Creates NAME.toml (the manifest), python/NAME.py (a function that returns the module) and build.rs.
Adds the module NAME to src/main.rs or src/lib.rs, and the dependencies to Cargo.toml. Existing
files are not overwritten; the command prints what you have to add to them.

--image makes a classifier of pictures that needs no training, a program that decodes a picture and
prints its label, and picture.png to try it. --transformers reads the files of a text model of the
library transformers: its task, its vocabulary and its lengths go into the manifest, and the program
tokenizes a text. The program takes the place of the src/main.rs of `cargo new`; beside another one
it is examples/NAME.rs.

--model looks at a model that exists: an architecture of timm, a repository of transformers, or a
function of a Python file of the crate that returns a module. It starts Python, as a build does,
tries inputs in real runs, and proposes what the module accepted, with the reason. A repository of
the hub is pinned to the commit of today; no code of a repository is run.

Examples:
  cargo coreml new
  cargo coreml new whisper
  cargo coreml new --image
  cargo coreml new --transformers models/sentiment
  cargo coreml new --model timm/resnet18
  cargo coreml new --model transformers/google-bert/bert-base-uncased
  cargo coreml new --model transformers/models/sentiment
  cargo coreml new --model python/net.py:make --dependency einops
  cargo coreml new --model python/net.py:make --dry-run

Exit codes:
  0  done
  1  there is no crate here, a file of the model exists already, a file cannot be written, or the
     module of --model accepted nothing that was tried
  2  the arguments are wrong";

/// Where this repository was when the command was built: the crates come from there.
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Name of the model and of its Rust module; default: the package's name
    #[arg(value_parser = identifier)]
    name: Option<String>,
    /// Make a classifier of pictures
    #[arg(long, conflicts_with = "transformers")]
    image: bool,
    /// Make a text model of these files of the library transformers: config.json, tokenizer.json,
    /// *.safetensors; the folder must be in the crate
    #[arg(long, value_name = "FOLDER")]
    transformers: Option<PathBuf>,
    /// Look at this model and propose its inputs: timm/NAME, transformers/OWNER/NAME,
    /// transformers/FOLDER or FILE.py:FUNCTION
    #[arg(long, conflicts_with_all = ["image", "transformers"])]
    model: Option<model::Model>,
    /// A Python package that the model needs; it stands in the manifest
    #[arg(long, value_name = "PACKAGE", requires = "model")]
    dependency: Vec<String>,
    /// Print the manifest, and write nothing
    #[arg(long, requires = "model")]
    dry_run: bool,
    /// Use coreml-rt and coreml-build from this checkout; default: the checkout that this command
    /// was built from, if it still exists, otherwise the registry
    #[arg(long, value_name = "FOLDER")]
    path: Option<PathBuf>,
}

/// Takes a name that can be a module.
fn identifier(name: &str) -> Result<String, String> {
    let identifier = rust_identifier(name);
    if identifier == name {
        Ok(identifier)
    } else {
        Err(format!("it must be a valid module name, such as {identifier}"))
    }
}

/// What `cargo new` writes; nobody has to keep it.
const HELLO: &str = "fn main() {\n    println!(\"Hello, world!\");\n}\n";

/// The picture to try a program with.
const PICTURE: &str = "picture.png";

/// Creates the model.
///
/// Errors: there is no crate, or a file of the model exists already; then nothing was written.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let here = std::env::current_dir()?;
    // `crate_of` begins above a file.
    let root = models::crate_of(&here.join("Cargo.toml")).map_err(|_| {
        format!("{}: there is no Cargo.toml here or above: run `cargo init` first", here.display())
    })?;
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml"))?.parse()?;
    let package = manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(|name| name.as_str());
    let package = package.ok_or_else(|| {
        format!(
            "{}: it has no [package] with a name: run this in the folder of a crate",
            root.join("Cargo.toml").display()
        )
    })?;
    let name = arguments.name.clone().unwrap_or_else(|| rust_identifier(package));
    let template = match (&arguments.transformers, &arguments.model) {
        (Some(folder), _) => text::text(&name, &root, folder)?,
        (None, Some(model)) => {
            // Before Python is started.
            if !arguments.dry_run {
                refuse(&root, &[&format!("{name}.toml")])?;
            }
            model::model(&name, &root, model, &arguments.dependency)?
        }
        (None, None) if arguments.image => image::image(&name),
        (None, None) => template::plain(&name),
    };
    if arguments.dry_run {
        return Ok(write!(output, "{}", table::printable_lines(&template.manifest))?);
    }
    let sources = ["src/main.rs", "src/lib.rs"].map(|source| root.join(source));
    let source = sources.into_iter().find(|source| source.is_file());
    let source = source.ok_or_else(|| {
        format!("{}: there is neither src/main.rs nor src/lib.rs", root.display())
    })?;
    let replaced = source.ends_with("main.rs")
        && template.program.is_some()
        && fs::read_to_string(&source)?.replace('\r', "") == HELLO;
    let example = format!("examples/{name}.rs");
    let mut own = vec![(format!("{name}.toml"), template.manifest.as_str())];
    own.extend(template.python.as_deref().map(|text| (format!("python/{name}.py"), text)));
    own.extend(
        template.program.as_deref().filter(|_| !replaced).map(|text| (example.clone(), text)),
    );
    refuse(&root, &own.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>())?;
    for (path, content) in &own {
        write_new(&root.join(path), content.as_bytes())?;
        said(output, "made", path)?;
    }
    if let Some(picture) = template.picture.filter(|_| !root.join(PICTURE).exists()) {
        write_new(&root.join(PICTURE), picture)?;
        said(output, "made", PICTURE)?;
    }
    build_script(&root, &name, output)?;
    match template.program.as_deref().filter(|_| replaced) {
        Some(program) => {
            fs::write(&source, program)?;
            said(output, "changed", "src/main.rs: a program that calls the model")?;
        }
        None => module(&root, &source, &name, output)?,
    }
    dependencies(&root, &manifest, &template, arguments.path.as_deref(), output)?;
    if template.program.is_some() {
        let what = match (&arguments.model, template.picture) {
            (Some(_), _) => "",
            (None, Some(_)) => " -- picture.png",
            (None, None) => " -- \"a text\"",
        };
        let program = if replaced { String::new() } else { format!(" --example {name}") };
        writeln!(output, "next: `cargo run{program}{what}`")?;
    }
    for (index, line) in template.next.iter().enumerate() {
        let first = index == 0 && template.program.is_none();
        writeln!(output, "{} {line}", if first { "next:" } else { "     " })?;
    }
    Ok(())
}

/// Refuses to overwrite files.
///
/// Errors: one of `paths` is in the crate already.
fn refuse(root: &Path, paths: &[&str]) -> Result<(), Failure> {
    let there: Vec<&str> = paths.iter().filter(|path| root.join(path).exists()).copied().collect();
    if there.is_empty() {
        return Ok(());
    }
    let there = there.join(" and ");
    Err(format!("{}: already there: {there}; choose another NAME", root.display()).into())
}

/// Adds the crates that the code needs and that Cargo.toml lacks.
fn dependencies(
    root: &Path,
    manifest: &toml::Table,
    template: &Template,
    path: Option<&Path>,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let entry = |section: &str, name: &str| {
        manifest.get(section).and_then(|section| section.get(name)).cloned()
    };
    let has = |entry: &toml::Value, feature: &&&str| {
        let features = entry.get("features").and_then(toml::Value::as_array);
        features.is_some_and(|all| all.iter().any(|other| other.as_str() == Some(feature)))
    };
    for (section, dependency, wanted) in [
        ("dependencies", "coreml-rt", template.features),
        ("build-dependencies", "coreml-build", &[][..]),
    ] {
        let there = entry(section, dependency);
        let lacking: Vec<&str> = wanted
            .iter()
            .filter(|feature| !there.as_ref().is_some_and(|entry| has(entry, feature)))
            .copied()
            .collect();
        if there.is_some() && lacking.is_empty() {
            continue;
        }
        let mut arguments = Vec::new();
        if there.is_none() {
            arguments = origin(dependency, path)?;
        } else {
            arguments.push(dependency.into());
        }
        for feature in &lacking {
            arguments.extend(["--features".into(), feature.into()]);
        }
        add(root, section, dependency, &arguments)?;
        said(output, "changed", &format!("Cargo.toml: {dependency} in [{section}]"))?;
    }
    if let Some(Dependency { name, version, features }) = &template.dependency
        && entry("dependencies", name).is_none()
    {
        let mut arguments: Vec<OsString> =
            vec![format!("{name}@{version}").into(), "--no-default-features".into()];
        arguments.extend(["--features".into(), features.join(",").into()]);
        add(root, "dependencies", name, &arguments)?;
        said(output, "changed", &format!("Cargo.toml: {name} in [dependencies]"))?;
    }
    Ok(())
}

/// Says what was done.
fn said(output: &mut impl Write, verb: &str, what: &str) -> std::io::Result<()> {
    writeln!(output, "{verb:>8} {}", table::printable(what))
}

/// Writes a file that is not there yet, and its folder.
fn write_new(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = fs::File::options().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    Ok(())
}

/// Creates the build script, or prints what to add to an existing one.
fn build_script(root: &Path, name: &str, output: &mut impl Write) -> Result<(), Failure> {
    let (path, call) = (root.join("build.rs"), format!("coreml_build::compile(\"{name}.toml\");"));
    if !path.exists() {
        let content = format!(
            "//! Converts the models of {name}.toml, unless the cache has them.\n\
             \n\
             fn main() {{\n    \
             {call}\n\
             }}\n"
        );
        write_new(&path, content.as_bytes())?;
        return Ok(said(output, "made", "build.rs")?);
    }
    if !fs::read_to_string(&path)?.contains(&call) {
        said(output, "to do", &format!("build.rs exists already: add `{call}` to its main"))?;
    }
    Ok(())
}

/// Adds the module to the crate's root, unless it has one of that name.
fn module(root: &Path, source: &Path, name: &str, output: &mut impl Write) -> Result<(), Failure> {
    let shown = source.strip_prefix(root).unwrap_or(source).display().to_string();
    let text = fs::read_to_string(source)?;
    let code = format!("#[coreml_rt::coreml_model(\"{name}.toml\")]\npub mod {name} {{}}\n");
    if text.contains(&format!("mod {name} ")) || text.contains(&format!("mod {name};")) {
        return Ok(said(
            output,
            "to do",
            &format!("{shown} has a module {name} already: add `{}`", code.trim()),
        )?);
    }
    let gap = if text.is_empty() || text.ends_with("\n\n") { "" } else { "\n" };
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let mut file = fs::File::options().append(true).open(source)?;
    file.write_all(format!("{end}{gap}{code}").as_bytes())?;
    Ok(said(output, "changed", &format!("{shown}: mod {name}"))?)
}

/// Returns where one of this repository's crates comes from, as arguments of `cargo add`.
fn origin(dependency: &str, path: Option<&Path>) -> Result<Vec<OsString>, Failure> {
    let repository = path.unwrap_or(Path::new(REPOSITORY));
    match repository.join(dependency).canonicalize() {
        Ok(folder) => Ok(vec!["--path".into(), folder.into()]),
        Err(error) if path.is_some() => {
            Err(format!("{}: {error}", repository.join(dependency).display()).into())
        }
        Err(_) => Ok(vec![format!("{dependency}@{}", env!("CARGO_PKG_VERSION")).into()]),
    }
}

/// Adds a dependency by `cargo add`, which keeps the form of Cargo.toml.
fn add(
    root: &Path,
    section: &str,
    dependency: &str,
    arguments: &[OsString],
) -> Result<(), Failure> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["add", "--quiet"]).current_dir(root);
    if section == "build-dependencies" {
        command.arg("--build");
    }
    command.args(arguments);
    let result = command.output().map_err(|error| format!("cargo cannot be started: {error}"))?;
    if result.status.success() {
        return Ok(());
    }
    Err(format!("cargo add {dependency}: {}", String::from_utf8_lossy(&result.stderr).trim())
        .into())
}
