//! Our package on the engine ONNX Runtime against ONNX Runtime with PyTorch's own export.

use crate::engines::{Ours, exported, package};
use crate::rival::{Rival, timed};
use crate::sample::Sample;
use crate::table::{Row, alternate};
use crate::{MODELS, THREADS};
use coreml_portable::EngineKind;
use std::path::Path;

/// Measures each model with each number of threads.
pub(crate) fn rows(folder: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for (model, threads) in
        MODELS.into_iter().flat_map(|model| THREADS.map(|threads| (model, threads)))
    {
        let path = package(folder, model, "fp32");
        let sample = Sample::read(&path, 0);
        let mut ours = Ours::load(&path, EngineKind::OnnxRuntime, threads);
        let mut plain = Rival::onnxruntime(&path, &exported(folder, model), threads);
        let sides = alternate(|| timed(|| ours.run(&sample)), || plain.run());
        rows.push(Row::times(
            format!("{model}, {threads} threads: ONNX Runtime, ours / PyTorch's export"),
            sides,
            Some(1.0),
        ));
    }
    rows
}
