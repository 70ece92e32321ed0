//! Samples that cannot tell a right model from a wrong one.
//!
//! Owns: when the references of two samples count as the same. Must not: run a model.
//! Flow: `parity.rs`, once for each function → [`indistinct`] → [`super::Report`].

use super::sample::Sample;
use super::step::Step;
use coreml_spec::{DataType, Feature, FeatureKind, Tolerance};

/// Returns the outputs whose references are the same for all samples, as far as the tolerance can
/// see: the result of any other input would pass, and so would a model that ignores its input.
///
/// Parameters: `samples` — of one function; steps of equal number and outputs of equal shape are
/// compared. An output that has no two of them is not returned.
pub(super) fn indistinct(
    outputs: &[Feature],
    samples: &[Sample],
    tolerance: Tolerance,
) -> Vec<String> {
    let data_type = |feature: &Feature| match feature.kind {
        FeatureKind::MultiArray { data_type, .. } => Some(data_type),
        FeatureKind::Image { .. } | FeatureKind::Probabilities => Some(DataType::Float32),
        FeatureKind::StringLabel | FeatureKind::Int64Label => None,
    };
    let same = |feature: &&Feature| {
        let Some(data_type) = data_type(feature) else { return false };
        let mut compared = false;
        for (index, one) in samples.iter().enumerate() {
            // A sample that is given twice says nothing.
            for other in samples.iter().skip(index + 1).filter(|other| !one.holds_what(other)) {
                for (one, other) in Step::all(one).zip(Step::all(other)) {
                    let (Some(one), Some(other)) =
                        (one.expected(&feature.name), other.expected(&feature.name))
                    else {
                        continue;
                    };
                    if one.dims != other.dims {
                        continue;
                    }
                    compared = true;
                    let (_, passes) =
                        super::figures(&one.values, &other.values, &one.dims, data_type, tolerance);
                    if !passes {
                        return false;
                    }
                }
            }
        }
        compared
    };
    outputs.iter().filter(same).map(|feature| feature.name.clone()).collect()
}

/// Returns the remark about such outputs.
pub(super) fn remark(outputs: &[String]) -> String {
    format!(
        "this proves little: in PyTorch the samples hardly differ in {}, so that the result of \
         another input would pass too; give the inputs a `sample` like real ones, or the model its \
         trained weights",
        outputs.join(" and ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use coreml_spec::Shape;

    /// Returns a sample with the output `y`.
    fn sample(values: &[f32]) -> Sample {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensor = safetensors::tensor::TensorView::new(
            safetensors::Dtype::F32,
            vec![values.len()],
            &bytes,
        )
        .unwrap();
        let file = safetensors::serialize([("out/y", tensor)], None).unwrap();
        Sample::from_bytes("0.safetensors", &file).unwrap()
    }

    #[test]
    fn what_any_input_gives_is_found() {
        let kind =
            FeatureKind::MultiArray { data_type: DataType::Float16, shape: Shape::fixed([2]) };
        let outputs =
            [Feature { name: "y".to_owned(), kind, description: String::new(), default: None }];
        let found = |samples: &[&[f32]], tolerance| {
            let samples: Vec<Sample> = samples.iter().map(|values| sample(values)).collect();
            indistinct(&outputs, &samples, tolerance)
        };
        let (psnr, none) = (Tolerance::Psnr(35.0), Vec::<String>::new());
        assert_eq!(found(&[&[0.1, 0.1], &[0.1003, 0.0997]], psnr), ["y"]);
        assert_eq!(found(&[&[0.1, 0.1], &[0.12, 0.08]], psnr), none);
        // One that differs is enough.
        assert_eq!(found(&[&[0.1, 0.1], &[0.1, 0.1], &[0.9, 0.1]], psnr), none);
        // A single sample says nothing, nor does the same one twice, nor do shapes that differ.
        assert_eq!(found(&[&[0.1, 0.1], &[0.1, 0.1]], psnr), none);
        assert_eq!(found(&[&[0.1, 0.1]], psnr), none);
        assert_eq!(found(&[&[0.1, 0.1], &[0.1]], psnr), none);
        let exact = Tolerance::Absolute { atol: 1e-5, rtol: 0.0 };
        assert_eq!(found(&[&[0.1, 0.1], &[0.1003, 0.0997]], exact), none);
    }
}
