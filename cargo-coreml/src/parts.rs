//! The parts of a model that are compared with PyTorch: each package, or each function of it, with
//! its own samples.
//!
//! Owns: which samples belong to which part. Must not: judge; `coreml_rt::parity` does.
//! Flow: `report.rs`, `bench.rs`, `variant.rs` → [`of`] → [`compare`] → one report for the whole
//! model.

use crate::failure::Failure;
use coreml_rt::LoadOptions;
use coreml_rt::parity::{Metric, Report, Sample, Tolerance, verify_by};
use coreml_spec::IndexedModel;
use std::path::{Path, PathBuf};

/// Something that samples are run through.
pub(crate) struct Part {
    /// The package.
    package: PathBuf,
    /// The function; `None` for the only one, and for buckets, which are one model.
    pub(crate) function: Option<String>,
    /// Inputs with PyTorch's results.
    pub(crate) samples: Vec<Sample>,
}

/// Returns the parts of a package.
///
/// Parameters: `folder` — that the index names its files in.
/// Errors: a sample cannot be read.
pub(crate) fn of(model: &IndexedModel, folder: &Path) -> Result<Vec<Part>, Failure> {
    let read = |names: Vec<&str>| {
        let samples = names.into_iter().map(|name| Sample::read(&folder.join(name)));
        samples.collect::<Result<Vec<_>, _>>()
    };
    let package = folder.join(&model.package);
    let functions = &model.interface.functions;
    if functions.len() < 2 || model.interface.buckets.is_some() {
        let samples = read(model.samples.iter().map(String::as_str).collect())?;
        return Ok(vec![Part { package, function: None, samples }]);
    }
    let part = |name: &String| {
        let samples = read(model.samples_of(name).collect())?;
        Ok(Part { package: package.clone(), function: Some(name.clone()), samples })
    };
    functions.iter().map(|function| part(&function.name)).collect()
}

/// Compares the parts with PyTorch.
///
/// Parameters: `metric` — a command that judges each part besides the tolerance.
/// Returns: all comparisons as those of one model; `None` where there is no sample.
/// Errors: as [`verify_by`].
pub(crate) fn compare(
    parts: &[Part],
    options: &LoadOptions,
    tolerance: Tolerance,
    metric: Option<&Metric>,
) -> Result<Option<Report>, Failure> {
    let mut whole: Option<Report> = None;
    for Part { package, function, samples } in parts.iter().filter(|part| !part.samples.is_empty())
    {
        let mut report =
            verify_by(package, function.as_deref(), options, samples, Some(tolerance), metric)?;
        match &mut whole {
            None => whole = Some(report),
            Some(whole) => {
                whole.comparisons.append(&mut report.comparisons);
                whole.metrics.append(&mut report.metrics);
                whole.departure = whole.departure.take().or(report.departure);
                whole.indistinct.append(&mut report.indistinct);
                whole.remarks.append(&mut report.remarks);
            }
        }
    }
    Ok(whole)
}
