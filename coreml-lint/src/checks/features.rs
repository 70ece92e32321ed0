//! Rules about what goes in and out: ANE001, ANE004, ANE010, ANE011.
//!
//! Flow: `report.rs` → [`interface`], once per function.

use crate::Options;
use crate::findings::Findings;
use crate::rules::{ANE001, ANE004, ANE010, ANE011, Severity};
use crate::scope::Scope;
use coreml_spec::{ComputeUnits, DataType, Feature, FeatureKind, Flexibility, Function};

/// What the last axis of a state must be a multiple of, in elements.
const STATE_ALIGNMENT: usize = 32;

/// What to do about single precision that goes in or out.
const BORDER: &str = "dtype = \"float16\" saves a conversion, where the program has such numbers";

/// Applies the rules about inputs, outputs and states.
pub(crate) fn interface(
    scope: &Scope<'_>,
    function: &Function,
    options: &Options,
    findings: &mut Findings,
) {
    for (role, features) in [("input", &function.inputs), ("output", &function.outputs)] {
        for feature in features {
            if is_flexible(feature) {
                findings.of_feature(
                    ANE001,
                    scope.name,
                    &feature.name,
                    format!("the {role} is {}", feature.kind),
                );
            }
            if let FeatureKind::MultiArray {
                data_type: data_type @ (DataType::Float32 | DataType::Float64),
                ..
            } = feature.kind
            {
                // A conversion at the border is all that it costs.
                findings
                    .of_feature(
                        ANE004,
                        scope.name,
                        &feature.name,
                        format!("the {role} is {data_type}"),
                    )
                    .advising(BORDER)
                    .only(Severity::Info);
            }
        }
    }
    for state in &function.states {
        let FeatureKind::MultiArray { shape, .. } = &state.kind else { continue };
        if let Some(last) =
            shape.default.last().filter(|last| !last.is_multiple_of(STATE_ALIGNMENT))
        {
            let padded = last.next_multiple_of(STATE_ALIGNMENT);
            let detail = format!("the state is {}: {last} could become {padded}", state.kind);
            findings.of_feature(ANE010, scope.name, &state.name, detail);
        }
    }
    let may_be_cpu_and_ne =
        options.compute_units.is_none_or(|units| matches!(units, ComputeUnits::CpuAndNeuralEngine));
    if may_be_cpu_and_ne && !function.states.is_empty() {
        let names: Vec<&str> = function.states.iter().map(|state| state.name.as_str()).collect();
        findings.of_feature(
            ANE011,
            scope.name,
            "",
            format!("the function has the states {}", names.join(", ")),
        );
    }
}

/// Returns whether the shape of a feature is not fixed.
fn is_flexible(feature: &Feature) -> bool {
    match &feature.kind {
        FeatureKind::MultiArray { shape, .. } => shape.flexibility != Flexibility::Fixed,
        FeatureKind::Image { size, .. } => size.ranges.is_some() || !size.enumerated.is_empty(),
        FeatureKind::StringLabel | FeatureKind::Int64Label | FeatureKind::Probabilities => false,
    }
}
