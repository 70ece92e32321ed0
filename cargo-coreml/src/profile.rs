//! `cargo coreml profile`: on which device Core ML would run each operation.
//!
//! Owns: the arguments and the JSON form. Must not: hold a sum or a table; `coreml_rt::plan` does.
//! Flow: `main.rs` → [`run`] → `models.rs` → [`coreml_rt::plan::of_package`].

use crate::failure::Failure;
use crate::models::Choice;
use crate::table::{printable, printable_lines};
use clap::ValueEnum;
use coreml_rt::plan::{ComputePlan, of_package};
use coreml_rt::{ComputeUnits, Device, LoadOptions};
use serde::Serialize;
use std::io::Write;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
Core ML makes the plan, so this needs a Mac with macOS 14.4 or later. A plan is an estimate from
before the model runs; docs/profiling.md describes how to measure.

Examples:
  cargo coreml profile Whisper.mlpackage
  cargo coreml profile whisper.toml --compute-units cpu-and-ne
  cargo coreml profile Whisper.mlpackage --json |
    jq '.[].operations[] | select(.preferred == \"CPU\")'";

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The models.
    #[command(flatten)]
    choice: Choice,
    /// The function of a multifunction package; default: the package's default
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// The compute units that Core ML may use; default: the manifest's, or all
    #[arg(long, value_name = "UNITS")]
    compute_units: Option<Units>,
    /// Print everything as JSON: [{"model", "shares", "alternations", "operations"}]
    #[arg(long)]
    json: bool,
}

/// What `--compute-units` takes: the values of the manifest's key.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Units {
    /// Whatever Core ML likes.
    All,
    /// The CPU.
    CpuOnly,
    /// The CPU and the GPU.
    CpuAndGpu,
    /// The CPU and the Neural Engine.
    #[value(name = "cpu-and-ne")]
    CpuAndNeuralEngine,
}

impl From<Units> for ComputeUnits {
    fn from(units: Units) -> Self {
        match units {
            Units::All => Self::All,
            Units::CpuOnly => Self::CpuOnly,
            Units::CpuAndGpu => Self::CpuAndGpu,
            Units::CpuAndNeuralEngine => Self::CpuAndNeuralEngine,
        }
    }
}

/// The JSON form of one model.
#[derive(Serialize)]
struct Json {
    /// What the model is called.
    model: String,
    /// What each device does.
    shares: Vec<Share>,
    /// How often the work goes from one device to another.
    alternations: usize,
    /// The operations, in their order.
    operations: Vec<Operation>,
}

/// What one device does.
#[derive(Serialize)]
struct Share {
    /// `CPU`, `GPU` or `Neural Engine`.
    device: String,
    /// Operations that it would run.
    operations: usize,
    /// Sum of their costs, 0 to 1.
    cost: f64,
}

/// One operation.
#[derive(Serialize)]
struct Operation {
    /// The function that contains it.
    function: String,
    /// MIL's name.
    operator: String,
    /// Names of its outputs.
    outputs: Vec<String>,
    /// The device that would run it.
    preferred: Option<String>,
    /// Those that could.
    supported: Vec<String>,
    /// Its part of the estimated work.
    cost: Option<f64>,
}

/// Shows the plans.
///
/// Errors: this is not a Mac, or a model cannot be loaded.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    if cfg!(not(target_vendor = "apple")) {
        let model = printable(&arguments.choice.model.display().to_string());
        return Err(format!(
            "only Core ML knows where operations run, so this needs a Mac with macOS 14.4 or \
             later\n\
             help: `cargo coreml lint {model}` lists what may keep operations off the Neural \
             Engine"
        )
        .into());
    }
    let found = arguments.choice.all()?;
    let mut plans = Vec::new();
    for model in &found.models {
        let units = arguments.compute_units.map(ComputeUnits::from);
        let units = units
            .or(model.indexed.as_ref().map(|indexed| indexed.compute_units))
            .unwrap_or_default();
        let options = LoadOptions::new().compute_units(units);
        plans.push((
            model.title.clone(),
            of_package(&model.package, arguments.function.as_deref(), &options)?,
        ));
    }
    if arguments.json {
        let json: Vec<Json> = plans.into_iter().map(|(model, plan)| json(model, plan)).collect();
        serde_json::to_writer_pretty(&mut *output, &json).map_err(std::io::Error::from)?;
        writeln!(output)?;
        return Ok(());
    }
    for (model, plan) in &plans {
        writeln!(output, "{}\n\n{}", printable(model), printable_lines(&plan.to_string()))?;
    }
    Ok(())
}

/// Makes the JSON form.
fn json(model: String, plan: ComputePlan) -> Json {
    let name = |device: &Device| device.to_string();
    let shares = plan.shares().into_iter().map(|share| Share {
        device: name(&share.device),
        operations: share.operations,
        cost: share.cost,
    });
    let (shares, alternations) = (shares.collect(), plan.alternations().len());
    let operations = plan.operations.into_iter().map(|operation| Operation {
        preferred: operation.preferred.as_ref().map(name),
        supported: operation.supported.iter().map(name).collect(),
        function: operation.function,
        operator: operation.operator,
        outputs: operation.outputs,
        cost: operation.cost,
    });
    Json { model, shares, alternations, operations: operations.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coreml_rt::PlannedOperation;

    #[test]
    fn the_json_has_every_operation() {
        let operation = |operator: &str, preferred| PlannedOperation {
            function: "main".to_owned(),
            operator: operator.to_owned(),
            outputs: vec!["x".to_owned()],
            preferred,
            supported: vec![Device::Cpu, Device::NeuralEngine],
            cost: Some(0.5),
        };
        let operations = vec![
            operation("conv", Some(Device::NeuralEngine)),
            operation("gather", Some(Device::Cpu)),
        ];
        let json = serde_json::to_value(json("net".to_owned(), ComputePlan { operations }))
            .unwrap_or_default();
        assert_eq!(json["alternations"], 1);
        assert_eq!(json["shares"][1]["device"], "Neural Engine");
        assert_eq!(json["operations"][1]["preferred"], "CPU");
        assert_eq!(json["operations"][1]["supported"][1], "Neural Engine");
    }
}
