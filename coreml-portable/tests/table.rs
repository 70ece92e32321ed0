//! What the table of operations says it can and cannot do, tried.
//!
//! Owns: the proof that `cargo coreml ops` and `docs/operations.md` tell the truth: each version
//! that counts as supported has a case, and `cases.rs` runs every case on every engine; a limit
//! that a row raises is met by a program. `cases.rs` shows the limits that give another result.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its tools too"
)]

#[allow(dead_code, reason = "not every test reads all of an archive")]
mod archive;

use coreml_portable::{
    EngineKind, Error, Op, Opset, Options, Problem, Session, operations, to_onnx,
};
use coreml_spec::Package;
use std::collections::BTreeSet;

/// Returns the version of an operation in a program of some opset.
fn version(name: &str, opset: Opset) -> (&'static str, Opset) {
    let rows = operations().filter(|op| op.name == name);
    rows.filter_map(|op| Some((op.name, op.version_in(opset)?)))
        .max_by_key(|(_, version)| *version)
        .unwrap_or_else(|| panic!("there is no row for {name} in {}", opset.name()))
}

/// Returns the versions of rows, as (name, opset).
fn versions<'a>(rows: impl Iterator<Item = &'a Op>) -> impl Iterator<Item = (&'static str, Opset)> {
    rows.flat_map(|op| op.versions.iter().map(|version| (op.name, *version)))
}

/// Returns the versions that a package's operations are of, as (name, opset).
fn versions_of(package: &Package) -> BTreeSet<(&'static str, Opset)> {
    let mut versions = BTreeSet::new();
    for function in package.summary().unwrap().functions.values() {
        let opset = Opset::parse(&function.opset).unwrap();
        versions.extend(function.operations.keys().map(|name| version(name, opset)));
    }
    versions
}

/// Loads a package on an engine and returns what is not supported; nothing when all is.
///
/// Translation comes before the engine, so that an engine that is not there makes no difference.
fn problems(package: &Package, engine: EngineKind) -> Vec<Problem> {
    let mut options = Options::default();
    options.engine = engine;
    match Session::load(package, &options) {
        Err(Error::Unsupported(unsupported)) => unsupported.problems,
        Err(Error::Invalid(message)) => panic!("{message}"),
        _ => Vec::new(),
    }
}

#[test]
fn every_version_that_counts_as_supported_has_a_case() {
    let mut tried = BTreeSet::new();
    // `distributions.rs` judges what no reference can.
    for family in archive::FAMILIES.into_iter().chain(["distributions"]) {
        for case in archive::read(family).values() {
            tried.extend(versions_of(&case.package()));
        }
    }
    let supported = versions(operations().filter(|op| op.refusal(None).is_none()));
    let untried: Vec<_> = supported.filter(|version| !tried.contains(version)).collect();
    assert!(untried.is_empty(), "{} versions have no case: {untried:?}", untried.len());
}

#[test]
fn every_limit_of_a_row_is_met_by_a_program() {
    let mut met = BTreeSet::new();
    for (name, case) in archive::read("limits") {
        let operation = name.split('-').next().unwrap();
        let package = case.package();
        for engine in EngineKind::ALL {
            for problem in problems(&package, engine) {
                // A constant is computed where it is needed, and a body belongs to the operation
                // around it.
                let blamed = match operation {
                    "constexpr_lut_to_dense" => "add",
                    "write_state" => "cond",
                    other => other,
                };
                assert_eq!(problem.operation, blamed, "{name}: {problem}");
                let rows = operations().filter(|op| op.name == operation);
                let mut limits = rows
                    .flat_map(|op| op.limits)
                    .filter(|limit| limit.concerns(engine) && !limit.differs);
                let limit = limits.find(|limit| problem.reason.ends_with(limit.reason));
                let limit = limit.unwrap_or_else(|| {
                    panic!("{name} on {engine} meets no limit of its row: {problem}")
                });
                met.insert(limit.reason);
                assert_eq!(
                    problem.alternative.is_some(),
                    limit.engine.is_some(),
                    "{name} on {engine}: {problem}"
                );
            }
        }
        let everywhere =
            EngineKind::ALL.iter().all(|engine| !problems(&package, *engine).is_empty());
        assert_eq!(to_onnx(&package, None).is_err(), everywhere, "{name}");
        assert!(!problems(&package, EngineKind::Rten).is_empty(), "{name} meets no limit at all");
    }
    let limits = operations()
        .flat_map(|op| op.limits)
        .filter(|limit| !limit.always && !limit.differs)
        .map(|limit| limit.reason);
    let unmet: BTreeSet<_> = limits.filter(|reason| !met.contains(reason)).collect();
    assert!(unmet.is_empty(), "no program meets {unmet:?}");
}

#[test]
fn an_error_names_the_engine_that_has_what_is_missing() {
    let case = archive::read("limits").remove("conv-1").unwrap();
    let message = Session::load(&case.package(), &Options::default()).unwrap_err().to_string();
    assert_eq!(
        message,
        "the portable backend lacks one thing that this program needs:\n  conv (CoreML5) at \
         `conv_0`: three spatial dimensions whose sizes vary; the engine ONNX Runtime supports \
         it\nLoad the model with the engine ONNX Runtime (`onnxruntime`), or run it with Core ML \
         on an Apple system, or rewrite these operations in the PyTorch model."
    );
}
