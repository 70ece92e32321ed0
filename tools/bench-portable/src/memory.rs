//! Peak memory of a process that loads and predicts once: our package against PyTorch's export,
//! both in ONNX Runtime.
//!
//! Flow: [`rows`] starts this program again for each side, and [`child`] does the work there.

use crate::MODELS;
use crate::engines::{Ours, exported, package};
use crate::plain::Plain;
use crate::sample::Sample;
use crate::table::Row;
use coreml_portable::EngineKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// First argument of a process that is measured.
pub(crate) const CHILD: &str = "memory-of";

/// Measures each model in single and half precision.
pub(crate) fn rows(folder: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for (model, variant) in
        MODELS.into_iter().flat_map(|model| ["fp32", "fp16"].map(|variant| (model, variant)))
    {
        let path = package(folder, model, variant);
        let sides = [peak(&path, &path), peak(&path, &exported(folder, model))];
        rows.push(Row::sizes(
            format!("{model}, {variant}: peak memory, ours / PyTorch's export"),
            sides,
            Some(1.2),
        ));
    }
    rows
}

/// Returns the peak memory of a process that loads `model`, in bytes; the sample is that of
/// `package`.
fn peak(package: &Path, model: &Path) -> u64 {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program)
        .arg(CHILD)
        .args([package, model])
        .output()
        .expect("this program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("the child prints a number")
}

/// Loads a model, predicts once and prints the peak memory.
pub(crate) fn child(arguments: &[String]) {
    let [package, model] = arguments else { panic!("a package and a model") };
    let (package, model) = (PathBuf::from(package), PathBuf::from(model));
    let sample = Sample::read(&package, 0);
    if model.extension().is_some_and(|extension| extension == "onnx") {
        Plain::load(&model, 1, &sample).run(&sample);
    } else {
        Ours::load(&model, EngineKind::OnnxRuntime, 1).run(&sample);
    }
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak is told");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    println!("{}", kilobytes * 1024);
}
