//! `cargo coreml new`: adds a model to the current crate.
//!
//! Owns: the files of a first model, and never overwriting a file. Must not: convert.
//! Flow: `main.rs` → [`run`] → files and one line of code; `cargo add` writes the dependencies.

use crate::failure::Failure;
use crate::{models, table};
use coreml_spec::rust_identifier;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
Creates NAME.toml (the manifest), python/NAME.py (a function that returns the module) and build.rs.
Adds the module NAME to src/main.rs or src/lib.rs, and the dependencies to Cargo.toml. Existing
files are not overwritten; the command prints what you have to add to them.

Examples:
  cargo coreml new
  cargo coreml new whisper

Exit codes:
  0  done
  1  there is no crate here, a file of the model exists already, or a file cannot be written
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

/// A file to make.
struct File {
    /// Path from the crate's folder.
    path: String,
    /// What it holds.
    content: String,
}

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
    let own = [
        File { path: format!("{name}.toml"), content: manifest_of(&name) },
        File { path: format!("python/{name}.py"), content: python_of(&name) },
    ];
    let there: Vec<&str> = own
        .iter()
        .filter(|file| root.join(&file.path).exists())
        .map(|file| file.path.as_str())
        .collect();
    if !there.is_empty() {
        let there = there.join(" and ");
        return Err(
            format!("{}: already there: {there}; choose another NAME", root.display()).into()
        );
    }
    let sources = ["src/main.rs", "src/lib.rs"].map(|source| root.join(source));
    let source = sources.into_iter().find(|source| source.is_file());
    let source = source.ok_or_else(|| {
        format!("{}: there is neither src/main.rs nor src/lib.rs", root.display())
    })?;
    for file in &own {
        write_new(&root.join(&file.path), &file.content)?;
        said(output, "made", &file.path)?;
    }
    build_script(&root, &name, output)?;
    module(&root, &source, &name, output)?;
    for (section, dependency) in
        [("dependencies", "coreml-rt"), ("build-dependencies", "coreml-build")]
    {
        let names = manifest.get(section).and_then(|section| section.as_table());
        if names.is_none_or(|names| !names.contains_key(dependency)) {
            add(&root, section, dependency, arguments.path.as_deref())?;
            said(output, "changed", &format!("Cargo.toml: {dependency} in [{section}]"))?;
        }
    }
    writeln!(
        output,
        "next: put your module into python/{name}.py, and its inputs and outputs into {name}.toml"
    )?;
    writeln!(output, "      `cargo test` converts it and compares it with PyTorch")?;
    Ok(())
}

/// Says what was done.
fn said(output: &mut impl Write, verb: &str, what: &str) -> std::io::Result<()> {
    writeln!(output, "{verb:>8} {}", table::printable(what))
}

/// Writes a file that is not there yet, and its folder.
fn write_new(path: &Path, content: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = fs::File::options().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(content.as_bytes()).map_err(failed)?;
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
        write_new(&path, &content)?;
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

/// Adds a dependency by `cargo add`, which keeps the form of Cargo.toml.
fn add(root: &Path, section: &str, dependency: &str, path: Option<&Path>) -> Result<(), Failure> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["add", "--quiet"]).current_dir(root);
    if section == "build-dependencies" {
        command.arg("--build");
    }
    let repository = path.unwrap_or(Path::new(REPOSITORY));
    match repository.join(dependency).canonicalize() {
        Ok(folder) => command.arg("--path").arg(folder),
        Err(error) if path.is_some() => {
            return Err(format!("{}: {error}", repository.join(dependency).display()).into());
        }
        Err(_) => command.arg(format!("{dependency}@{}", env!("CARGO_PKG_VERSION"))),
    };
    let result = command.output().map_err(|error| format!("cargo cannot be started: {error}"))?;
    if result.status.success() {
        return Ok(());
    }
    Err(format!("cargo add {dependency}: {}", String::from_utf8_lossy(&result.stderr).trim())
        .into())
}

/// Returns the manifest.
fn manifest_of(name: &str) -> String {
    format!(
        "# A model: its PyTorch source, inputs and outputs.\n\
         \n\
         [model]\n\
         source = {{ file = \"python/{name}.py\", entry = \"{name}\" }}\n\
         inputs.x = {{ shape = [3], dtype = \"float32\" }}\n\
         outputs.y = {{ dtype = \"float32\" }}\n"
    )
}

/// Returns the Python file.
fn python_of(name: &str) -> String {
    format!(
        "\"\"\"The model of {name}.toml.\"\"\"\n\
         \n\
         import torch\n\
         \n\
         \n\
         class Module(torch.nn.Module):\n    \
         \"\"\"Doubles its input; replace it with your module.\"\"\"\n\
         \n    \
         def forward(self, x):\n        \
         return 2 * x\n\
         \n\
         \n\
         def {name}():\n    \
         \"\"\"Returns the module that is converted, with its weights.\"\"\"\n    \
         return Module()\n"
    )
}
