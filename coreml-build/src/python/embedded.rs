//! The Python driver, inside this crate.
//!
//! Owns: the list of the driver's files, and unpacking them.   Must not: know what they say.
//! Flow: their bytes are part of every primary key; `driver.rs` unpacks them before it starts
//! Python.

use crate::digest::{self, Hasher};
use std::io;
use std::path::Path;
use std::sync::OnceLock;

/// Names of the driver's files, with their content.
macro_rules! driver_files {
    ($($name:literal),* $(,)?) => {
        /// The files of the package `coreml_driver`: path relative to the folder that goes on
        /// `sys.path`, content.
        pub(crate) const DRIVER: &[(&str, &str)] = &[
            $((
                concat!("coreml_driver/", $name),
                include_str!(concat!("../../python/coreml_driver/", $name)),
            )),*
        ];
    };
}

driver_files!(
    "__init__.py",
    "__main__.py",
    "aliases.py",
    "ane.py",
    "assertions.py",
    "attributes.py",
    "buckets.py",
    "canonical.py",
    "capture.py",
    "checks.py",
    "compression.py",
    "conversion.py",
    "convert.py",
    "cures.py",
    "diagnosis.py",
    "distinct.py",
    "failures.py",
    "features.py",
    "functional.py",
    "functions.py",
    "guesses.py",
    "hub.py",
    "images.py",
    "imports.py",
    "inputs.py",
    "interface.py",
    "ladder.py",
    "layers.py",
    "lines.py",
    "mil.py",
    "observation.py",
    "old_values.py",
    "operations.py",
    "operators.py",
    "origins.py",
    "outside.py",
    "padding.py",
    "parity.py",
    "passes/__init__.py",
    "passes/carriers.py",
    "passes/division.py",
    "passes/flow.py",
    "passes/half.py",
    "passes/masks.py",
    "passes/narrowing.py",
    "passes/patterns.py",
    "passes/rank_axes.py",
    "passes/rank_rules.py",
    "passes/ranks.py",
    "passes/reasons.py",
    "passes/registry.py",
    "passes/small.py",
    "poison.py",
    "prepare.py",
    "pretrained.py",
    "program.py",
    "progress.py",
    "proof/__init__.py",
    "proof/blame.py",
    "proof/blobs.py",
    "proof/budget.py",
    "proof/captured.py",
    "proof/checkpoints.py",
    "proof/compare.py",
    "proof/compressed.py",
    "proof/edges.py",
    "proof/execute.py",
    "proof/half.py",
    "proof/kernels/__init__.py",
    "proof/kernels/activation.py",
    "proof/kernels/attention.py",
    "proof/kernels/classification.py",
    "proof/kernels/constexpr.py",
    "proof/kernels/control_flow.py",
    "proof/kernels/convolution.py",
    "proof/kernels/detection.py",
    "proof/kernels/elementwise.py",
    "proof/kernels/linear.py",
    "proof/kernels/lists.py",
    "proof/kernels/normalization.py",
    "proof/kernels/ordering.py",
    "proof/kernels/pooling.py",
    "proof/kernels/quantization.py",
    "proof/kernels/random.py",
    "proof/kernels/rearranging.py",
    "proof/kernels/recurrent.py",
    "proof/kernels/reduction.py",
    "proof/kernels/registry.py",
    "proof/kernels/resizing.py",
    "proof/kernels/sampling.py",
    "proof/kernels/scatter_gather.py",
    "proof/kernels/slicing.py",
    "proof/kernels/states.py",
    "proof/kernels/tensors.py",
    "proof/noise.py",
    "proof/originals.py",
    "proof/prove.py",
    "proof/reading.py",
    "proof/replay.py",
    "proof/subject.py",
    "proof/values.py",
    "proposal.py",
    "protocol.py",
    "ranges.py",
    "regions.py",
    "report.py",
    "request.py",
    "reread.py",
    "sample_files.py",
    "samples.py",
    "saved.py",
    "shapes.py",
    "source.py",
    "states.py",
    "symbols.py",
    "translations/__init__.py",
    "translations/approximation.py",
    "translations/arguments.py",
    "translations/arithmetic.py",
    "translations/attention.py",
    "translations/bags.py",
    "translations/bessel.py",
    "translations/completion.py",
    "translations/complex_arithmetic.py",
    "translations/complex_numbers.py",
    "translations/composition.py",
    "translations/consumption.py",
    "translations/creation.py",
    "translations/decomposition.py",
    "translations/distances.py",
    "translations/eigenvalues.py",
    "translations/elementary.py",
    "translations/fallback.py",
    "translations/fourier.py",
    "translations/histograms.py",
    "translations/indexing.py",
    "translations/layers.py",
    "translations/linear_algebra.py",
    "translations/logic.py",
    "translations/normalization.py",
    "translations/numeric.py",
    "translations/orthogonal.py",
    "translations/overwriting.py",
    "translations/polynomials.py",
    "translations/pooling.py",
    "translations/promotion.py",
    "translations/ranks.py",
    "translations/recurrent.py",
    "translations/reductions.py",
    "translations/refusals.py",
    "translations/registry.py",
    "translations/resizing.py",
    "translations/rounding.py",
    "translations/segments.py",
    "translations/selection.py",
    "translations/shaping.py",
    "translations/sizes.py",
    "translations/special.py",
    "translations/splicing.py",
    "translations/statistics.py",
    "translations/transcendental.py",
    "translations/views.py",
    "translations/vision.py",
    "translations/writing.py",
    "versions.py",
    "weights.py",
    "witness.py",
    "workers.py",
);

/// The packages that the driver is tested with, one a line.
pub(crate) const REQUIREMENTS: &str = include_str!("../../python/requirements.in");

/// Versions and hashes of the default requirements and of all that they need, for every system.
pub(crate) const REQUIREMENTS_LOCK: &str = include_str!("../../python/requirements.lock");

/// Returns the digest of the driver's files; computed once per process, because it is part of every
/// primary key.
pub(crate) fn driver_digest() -> &'static str {
    static DIGEST: OnceLock<String> = OnceLock::new();
    DIGEST.get_or_init(|| {
        let mut hasher = Hasher::default();
        DRIVER.iter().for_each(|(path, content)| hasher.field(path, content.as_bytes()));
        hasher.finish()
    })
}

/// Returns the digest of [`REQUIREMENTS_LOCK`], likewise.
pub(crate) fn lock_digest() -> &'static str {
    static DIGEST: OnceLock<String> = OnceLock::new();
    DIGEST.get_or_init(|| digest::of_bytes(REQUIREMENTS_LOCK.as_bytes()))
}

/// Writes the driver's files below `folder`, which is new each time: no other files can stand
/// there.
pub(crate) fn unpack(folder: &Path) -> io::Result<()> {
    for (path, content) in DRIVER {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Links, walk};
    use std::collections::BTreeSet;

    #[test]
    fn the_list_is_the_folder() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
        let files = walk(&root.join("coreml_driver"), Links::Listed, |_| true).map(Result::unwrap);
        let found: BTreeSet<_> = files
            .map(|file| file.name_below(&root).unwrap())
            .filter(|name| name.ends_with(".py"))
            .collect();
        let listed: BTreeSet<_> = DRIVER.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(
            listed, found,
            "src/python/embedded.rs must list exactly the files of python/coreml_driver"
        );
    }

    #[test]
    fn unpacks_what_it_lists() {
        let folder = tempfile::tempdir().unwrap();
        unpack(folder.path()).unwrap();
        for (path, content) in DRIVER {
            assert_eq!(&std::fs::read_to_string(folder.path().join(path)).unwrap(), content);
        }
    }
}
