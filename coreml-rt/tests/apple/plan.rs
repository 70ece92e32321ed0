//! The compute plan of the double.

use super::double::*;
use super::load;
use coreml_rt::{CoreMlError, Device, Error, LoadOptions};

#[test]
fn a_plan_tells_where_operations_run() {
    let double = Double::take();
    {
        let plan = load("encoder").compute_plan().unwrap();
        let operators: Vec<&str> =
            plan.operations.iter().map(|operation| &*operation.operator).collect();
        assert_eq!(
            operators,
            ["const", "ios17.conv", "ios17.gather", "ios17.cond", "ios17.mul", "ios17.linear"]
        );
        assert_eq!((plan.operations[0].preferred, plan.operations[0].cost), (None, None));
        let conv = &plan.operations[1];
        assert_eq!(
            (&*conv.function, &*conv.outputs[0], conv.cost),
            ("main", "ios17.conv_0", Some(0.5))
        );
        assert_eq!(conv.supported, [Device::Cpu, Device::Gpu, Device::NeuralEngine]);
        let expected = "\
device         operations   of all     cost
Neural Engine           2   40.0 %   75.0 %
CPU                     3   60.0 %   25.0 %

alternations between devices: 2, Neural Engine ↔ CPU: 2
  Neural Engine → CPU at ios17.gather ios17.gather_0
  CPU → Neural Engine at ios17.linear ios17.linear_0

not on the Neural Engine:
  CPU             12.5 %  cannot be  ios17.gather ios17.gather_0
  CPU              0.0 %  cannot be  ios17.cond ios17.cond_0
  CPU             12.5 %  cannot be  ios17.mul ios17.mul_0
";
        assert_eq!(plan.to_string(), expected);
        let package = super::fixture::data("encoder.mlpackage");
        assert_eq!(coreml_rt::plan::of_package(&package, None, &LoadOptions::new()).unwrap(), plan);

        double_old_system(1);
        let error = load("encoder").compute_plan().unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        assert!(
            matches!(
                cause(&error),
                CoreMlError::Unavailable { since: "macOS 14.4 or iOS 17.4", .. }
            ),
            "{error}"
        );
    }
    double.assert_nothing_leaks();
}
