//! `cargo coreml precision`: which operations half precision breaks.
//!
//! Owns: the search. Must not: convert or compare; the conversion and `coreml_rt::parity` do.
//! Flow: `main.rs` → here → `variant.rs`. Only the engine ONNX Runtime can round results to half
//! precision as devices do.

use crate::failure::Failure;
use crate::table::{Align, write};
use crate::variant::{BaseModel, Change, Variant, decibels, psnr};
use coreml_rt::parity::Tolerance;
use coreml_rt::{Engine, LoadOptions};
use coreml_spec::Package;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

/// Operations without arithmetic: their precision changes nothing.
const WITHOUT_ARITHMETIC: [&str; 12] = [
    "cast",
    "classify",
    "const",
    "expand_dims",
    "gather",
    "identity",
    "read_state",
    "reshape",
    "slice_by_index",
    "squeeze",
    "transpose",
    "write_state",
];

/// How much better, in decibels, a variant must be to count: less is the noise of rounding.
const GAIN: f64 = 0.5;

/// Variants that are converted at once: a start of Python costs more than a small conversion, a
/// large one more than a start.
const AT_ONCE: usize = 4;

/// The manifest's key.
const KEY: &str = "compute-precision";
/// The key that refuses what half precision spoils, which is measured here.
const PROOF: &str = "proof";

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
Converts the model in half precision, in single precision, and once for each kind of operation in
the model with only that kind in single precision. Compares each conversion with PyTorch, rounding
every result to half precision as devices do. Then adds the kinds that help most until the target
is met, and drops those that turn out to be unnecessary. Prints the line to add; the manifest is
not changed.

Rounding needs the engine ONNX Runtime: build cargo-coreml with the feature `onnxruntime`, and set
ORT_DYLIB_PATH or activate a Python environment with the package onnxruntime.

Examples:
  cargo coreml precision digits.toml
  cargo coreml precision whisper.toml --model encoder --psnr 50

Exit codes:
  0  half precision meets the target, or the kinds that must stay in single precision were found
  1  even single precision misses the target, or a model cannot be converted
  2  the arguments are wrong";

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The manifest
    manifest: PathBuf,
    /// The model, if the manifest has several
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The target: the PSNR that every output must reach; default: the manifest's `parity`
    #[arg(long, value_name = "DECIBELS")]
    psnr: Option<f64>,
}

/// The search for one model.
struct Search {
    /// The model.
    model: BaseModel,
    /// How variants run.
    options: LoadOptions,
}

/// Searches for the kinds of operations that must stay in single precision.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    if cfg!(target_vendor = "apple") {
        return Err("this command emulates the rounding of a device; on Apple's systems use the \
            device itself: run `cargo test`, and try `compute-precision = { float32-ops = […] }`"
            .into());
    }
    let model = BaseModel::of(&arguments.manifest, arguments.model.as_deref())?;
    let options = LoadOptions::new().engine(Engine::OnnxRuntime).round_to_half(true);
    let search = Search { model, options };
    let [half, single] = search.both()?;
    let target = arguments.psnr.unwrap_or(match half.0.tolerance {
        Tolerance::Psnr(decibels) => decibels,
        Tolerance::Absolute { .. } => Tolerance::HALF_PRECISION_PSNR,
    });
    writeln!(output, "{}: target {}\n", search.model.name(), decibels(target))?;
    let mut rows =
        vec![row("half precision", half.1, target), row("single precision", single.1, target)];
    if half.1 >= target {
        write(output, &[Align::Left, Align::Right, Align::Left], &rows)?;
        writeln!(
            output,
            "\nHalf precision meets the target: nothing has to stay in single precision."
        )?;
        return Ok(());
    }
    if single.1 < target {
        write(output, &[Align::Left, Align::Right, Align::Left], &rows)?;
        return Err(
            "even single precision misses the target, so precision is not the cause: compare the \
             parts of the module, or lower the target"
                .into(),
        );
    }
    let kinds = kinds(&half.0)?;
    let alone =
        search.measure(&kinds.iter().map(|kind| vec![kind.as_str()]).collect::<Vec<_>>())?;
    let mut ranked: Vec<(&str, f64)> = kinds.iter().map(String::as_str).zip(alone).collect();
    ranked.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    rows.extend(
        ranked
            .iter()
            .filter(|(_, psnr)| *psnr > half.1 + GAIN)
            .map(|(kind, psnr)| row(&format!("{kind} in single precision"), *psnr, target)),
    );
    let found = search.smallest(&ranked, target)?;
    write(output, &[Align::Left, Align::Right, Align::Left], &rows)?;
    let Some((kinds, psnr)) = found else {
        return Err(
            "all kinds of operations together do not meet the target: keep the whole model in \
             single precision, `compute-precision = \"float32\"`"
                .into(),
        );
    };
    writeln!(
        output,
        "\nThese operations are enough: {} ({}); add to the model:\n  {}",
        kinds.join(", "),
        decibels(psnr),
        line(&kinds)
    )?;
    Ok(())
}

impl Search {
    /// Converts and compares the model in half and in single precision.
    fn both(&self) -> Result<[(Variant, f64); 2], Failure> {
        let change = |name: &str, line: &str| Change {
            name: name.to_owned(),
            without: vec![KEY, PROOF],
            line: measured(line),
        };
        let changes = [change("half", ""), change("single", r#"compute-precision = "float32""#)];
        let mut variants = self.model.convert(&changes)?.into_iter();
        let mut next = || -> Result<(Variant, f64), Failure> {
            let variant = variants.next().ok_or("a conversion is missing")??;
            let psnr = self.compare(&variant)?;
            Ok((variant, psnr))
        };
        Ok([next()?, next()?])
    }

    /// Returns the smallest signal-to-noise ratio of a variant.
    fn compare(&self, variant: &Variant) -> Result<f64, Failure> {
        // The tolerance judges; here only the figures are wanted.
        Ok(psnr(&variant.figures(&self.options)?))
    }

    /// Converts and compares variants in which some kinds of operations stay in single precision.
    fn measure(&self, sets: &[Vec<&str>]) -> Result<Vec<f64>, Failure> {
        let change = |(index, kinds): (usize, &Vec<&str>)| Change {
            name: format!("variant_{index}"),
            without: vec![KEY, PROOF],
            line: measured(&line(kinds)),
        };
        let changes: Vec<Change> = sets.iter().enumerate().map(change).collect();
        let variants = self.model.convert(&changes)?;
        variants.into_iter().map(|variant| self.compare(&variant?)).collect()
    }

    /// Returns the fewest kinds that meet the target, as far as a greedy search finds them, with
    /// what they reach.
    ///
    /// Parameters: `ranked` — all kinds with what each reaches alone, the best first.
    fn smallest<'a>(
        &self,
        ranked: &[(&'a str, f64)],
        target: f64,
    ) -> Result<Option<(Vec<&'a str>, f64)>, Failure> {
        let Some((mut chosen, mut reached)) = self.enough(ranked, target)? else { return Ok(None) };
        // What came early may be unneeded beside what came late.
        while chosen.len() > 1 {
            let without = |kind| chosen.iter().copied().filter(|other| *other != kind).collect();
            let fewer: Vec<Vec<&str>> = chosen.iter().map(|kind| without(*kind)).collect();
            let measured = self.measure(&fewer)?;
            let best = fewer
                .into_iter()
                .zip(measured)
                .max_by(|(_, left), (_, right)| left.total_cmp(right));
            match best {
                Some((kinds, psnr)) if psnr >= target => (chosen, reached) = (kinds, psnr),
                _ => break,
            }
        }
        Ok(Some((chosen, reached)))
    }

    /// Returns the first of the kinds, as many as meet the target together, with what they reach.
    fn enough<'a>(
        &self,
        ranked: &[(&'a str, f64)],
        target: f64,
    ) -> Result<Option<(Vec<&'a str>, f64)>, Failure> {
        let Some((first, alone)) = ranked.first() else { return Ok(None) };
        if *alone >= target {
            return Ok(Some((vec![first], *alone)));
        }
        let beginnings: Vec<Vec<&str>> = (2..=ranked.len())
            .map(|count| ranked[..count].iter().map(|(kind, _)| *kind).collect())
            .collect();
        for some in beginnings.chunks(AT_ONCE) {
            let measured = self.measure(some)?;
            if let Some(found) = some.iter().zip(measured).find(|(_, psnr)| *psnr >= target) {
                return Ok(Some((found.0.clone(), found.1)));
            }
        }
        Ok(None)
    }
}

/// Returns the kinds of operations that compute.
fn kinds(variant: &Variant) -> Result<BTreeSet<String>, Failure> {
    let summary = Package::open(&variant.package)?.summary()?;
    let all = summary.functions.values().flat_map(|function| function.operations.keys());
    let computing = all.filter(|kind| {
        !WITHOUT_ARITHMETIC.contains(&kind.as_str()) && !kind.starts_with("constexpr_")
    });
    Ok(computing.cloned().collect())
}

/// Returns the manifest line that keeps some kinds in single precision.
fn line(kinds: &[&str]) -> String {
    let kinds: Vec<String> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
    format!("{KEY} = {{ float32-ops = [{}] }}", kinds.join(", "))
}

/// Returns the keys of a variant that is converted however far off it is.
fn measured(line: &str) -> String {
    format!("{PROOF} = false\n{line}")
}

/// Returns a row of the table.
fn row(what: &str, psnr: f64, target: f64) -> Vec<String> {
    vec![what.to_owned(), decibels(psnr), if psnr >= target { "ok" } else { "" }.to_owned()]
}
