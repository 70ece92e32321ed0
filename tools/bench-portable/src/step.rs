//! What this project adds to a step of a decoder with states, besides the engine: our session against the engine itself with
//! the same graph, which hands the states on by itself.

use crate::engines::{Ours, package};
use crate::rival::{Rival, timed};
use crate::sample::Sample;
use crate::table::{Row, alternate};
use coreml_portable::{EngineKind, to_onnx};
use coreml_spec::Package;
use std::path::Path;

/// The models with states.
const MODELS: [&str; 2] = ["whisper_step", "llama_step"];

/// Measures each model.
pub(crate) fn rows(folder: &Path) -> Vec<Row> {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let mut rows = Vec::new();
    for model in MODELS {
        let path = package(folder, model, "fp32");
        let file = temporary.path().join(format!("{model}.onnx"));
        let opened = Package::open(&path).expect("the package is sound");
        to_onnx(&opened, None).expect("all is supported").write(&file).expect("the file is written");
        let sample = Sample::read(&path, 0);
        let mut ours = Ours::load(&path, EngineKind::OnnxRuntime, 1);
        let mut plain = Rival::onnxruntime(&path, &file, 1);
        let sides = alternate(|| timed(|| ours.run(&sample)), || plain.run());
        rows.push(Row::times(
            format!("{model}: a step with states, ours / ONNX Runtime with the same graph"),
            sides,
            Some(1.05),
        ));
    }
    rows
}
