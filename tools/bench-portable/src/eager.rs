//! Our package on the default engine against PyTorch eager.

use crate::engines::{Ours, package};
use crate::rival::{Rival, timed};
use crate::sample::Sample;
use crate::table::{Row, alternate};
use crate::{MODELS, THREADS};
use coreml_portable::EngineKind;
use std::path::Path;

/// Models for which rten should be faster than PyTorch; for the others the ratio is only reported.
const FASTER: [&str; 4] = ["resnet18", "bert", "whisper_encoder", "whisper_step"];

/// Measures each model with each number of threads.
pub(crate) fn rows(folder: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for (model, threads) in
        MODELS.into_iter().flat_map(|model| THREADS.map(|threads| (model, threads)))
    {
        let path = package(folder, model, "fp32");
        let sample = Sample::read(&path, 0);
        let mut ours = Ours::load(&path, EngineKind::Rten, threads);
        let mut eager = Rival::eager(model, threads);
        let sides = alternate(|| timed(|| ours.run(&sample)), || eager.run());
        let target = FASTER.contains(&model).then_some(1.0);
        rows.push(Row::times(
            format!("{model}, {threads} threads: rten, ours / PyTorch eager"),
            sides,
            target,
        ));
    }
    rows
}
