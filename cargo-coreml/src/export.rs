//! `cargo coreml export`: a model package as an ONNX file.
//!
//! Owns: the text and the JSON form of the answer. Must not: translate; `coreml-portable` does.
//! Flow: `main.rs` → [`run`] → `models.rs` → [`coreml_portable::to_onnx`] →
//! [`coreml_portable::Onnx::write`].

use crate::failure::Failure;
use crate::models::Choice;
use crate::table::{self, Align};
use coreml_portable::to_onnx;
use coreml_spec::Package;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
Inputs and outputs keep the names of the features. A state becomes an input of its name and an
output NAME/after, a label becomes its position among the labels, and half precision becomes single
precision. Weights of more than 1 GiB go into a second file, MODEL.onnx.data.

Examples:
  cargo coreml export Whisper.mlpackage whisper.onnx
  cargo coreml export Whisper.mlpackage decoder.onnx --function decoder
  cargo coreml export whisper.toml encoder.onnx --model encoder
  cargo coreml export Whisper.mlpackage whisper.onnx --json | jq .opset

Exit codes:
  0  done
  1  the package cannot be read or expressed, or the file cannot be written; an old file stays
  2  the arguments are wrong";

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The model.
    #[command(flatten)]
    choice: Choice,
    /// The file to write; an existing file is replaced when the new one is complete
    #[arg(value_name = "MODEL.onnx")]
    file: PathBuf,
    /// Print everything as JSON: {"path", "opset", "files", "inputs", "outputs"}
    #[arg(long)]
    json: bool,
    /// Write this function of a multifunction package instead of its default
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
}

/// The JSON form.
#[derive(Serialize)]
struct Report {
    /// The package or the manifest as the user named it.
    path: PathBuf,
    /// Version of ONNX's operator set.
    opset: i64,
    /// The written files, the model first.
    files: Vec<WrittenFile>,
    /// Names of the inputs, states among them.
    inputs: Vec<String>,
    /// Names of the outputs, states among them.
    outputs: Vec<String>,
}

/// A file that was written.
#[derive(Serialize)]
struct WrittenFile {
    /// Where it is.
    path: PathBuf,
    /// Its size.
    bytes: u64,
}

/// Exports a package.
///
/// Errors: there are several models, the package cannot be read, ONNX cannot express it, or a file
/// cannot be written.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let found = arguments.choice.one()?;
    let model = found.models.first().ok_or("there is no model")?;
    let onnx = to_onnx(&Package::open(&model.package)?, arguments.function.as_deref())?;
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let (opset, inputs, outputs) = (onnx.opset(), owned(onnx.inputs()), owned(onnx.outputs()));
    let written = onnx.write(&arguments.file)?;
    let files = written.into_iter().map(|(path, bytes)| WrittenFile { path, bytes }).collect();
    let report = Report { path: model.source.clone(), opset, files, inputs, outputs };
    if arguments.json {
        serde_json::to_writer_pretty(&mut *output, &report).map_err(std::io::Error::from)?;
        writeln!(output)?;
        return Ok(());
    }
    let mut rows = vec![vec!["ONNX opset".to_owned(), opset.to_string()]];
    rows.push(vec!["inputs".to_owned(), report.inputs.join(", ")]);
    rows.push(vec!["outputs".to_owned(), report.outputs.join(", ")]);
    for file in &report.files {
        let (path, size) = (file.path.display(), table::bytes(file.bytes));
        writeln!(output, "{}: {size}", table::printable(&path.to_string()))?;
    }
    table::write(output, &[Align::Left; 2], &rows)?;
    Ok(())
}
