//! Time from nothing to the first prediction: our package on the engine ONNX Runtime against
//! PyTorch's export in it.

use crate::MODELS;
use crate::engines::{Ours, exported, package};
use crate::rival::{Rival, timed};
use crate::sample::Sample;
use crate::table::{Row, alternate};
use coreml_portable::EngineKind;
use std::path::Path;

/// Measures each model in single and half precision.
pub(crate) fn rows(folder: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for (model, variant) in
        MODELS.into_iter().flat_map(|model| ["fp32", "fp16"].map(|variant| (model, variant)))
    {
        let path = package(folder, model, variant);
        let (sample, file) = (Sample::read(&path, 0), exported(folder, model));
        let mut plain = Rival::onnxruntime(&path, &file, 1);
        let ours = || {
            let mut loaded = None;
            // What is loaded is dropped after the time is taken, as the other side does it.
            timed(|| loaded.insert(Ours::load(&path, EngineKind::OnnxRuntime, 1)).run(&sample))
        };
        let sides = alternate(ours, || plain.load());
        rows.push(Row::times(
            format!("{model}, {variant}: load and first prediction, ours / PyTorch's export"),
            sides,
            Some(1.0),
        ));
    }
    rows
}
