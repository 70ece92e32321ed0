//! Where a model's operations run, as Core ML plans it.
//!
//! Owns: [`ComputePlan`], its sums and its table. Must not: measure; a plan holds Core ML's
//! estimates from before a run.
//! Flow: the Core ML backend fills it; `Model::compute_plan` and `cargo coreml profile` show it.

use std::fmt;

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Device {
    /// The processor.
    Cpu,
    /// The graphics processor.
    Gpu,
    /// The Neural Engine.
    NeuralEngine,
    /// One that Core ML has and this crate does not know.
    Other,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cpu => "CPU",
            Self::Gpu => "GPU",
            Self::NeuralEngine => "Neural Engine",
            Self::Other => "other",
        })
    }
}

/// One operation of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedOperation {
    /// The function that contains it.
    pub function: String,
    /// MIL's name: `ios17.conv`.
    pub operator: String,
    /// Names of its outputs.
    pub outputs: Vec<String>,
    /// Where Core ML would run it; `None` for a constant, which runs nowhere.
    pub preferred: Option<Device>,
    /// Where it could run.
    pub supported: Vec<Device>,
    /// Its part of the estimated work of the function, 0 to 1; `None` when Core ML has no estimate.
    pub cost: Option<f64>,
}

/// Where the operations of a model would run, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct ComputePlan {
    /// The operations in order; those of an inner block follow the operation that contains the
    /// block.
    pub operations: Vec<PlannedOperation>,
}

/// What one device does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The device.
    pub device: Device,
    /// Operations that it would run.
    pub operations: usize,
    /// Sum of their costs, 0 to 1.
    pub cost: f64,
}

impl ComputePlan {
    /// Returns what each device does that does anything, most expensive first.
    pub fn shares(&self) -> Vec<Share> {
        let mut shares: Vec<Share> = Vec::new();
        for operation in &self.operations {
            let Some(device) = operation.preferred else { continue };
            let cost = operation.cost.unwrap_or_default();
            match shares.iter_mut().find(|share| share.device == device) {
                Some(share) => {
                    share.operations += 1;
                    share.cost += cost;
                }
                None => shares.push(Share { device, operations: 1, cost }),
            }
        }
        shares.sort_by(|left, right| {
            right.cost.total_cmp(&left.cost).then(left.device.cmp(&right.device))
        });
        shares
    }

    /// Returns each place where the work goes from one device to another: the operations before and
    /// after it. Each costs a transfer and a wait, so a model that alternates can be slower than
    /// one that stays on the CPU.
    pub fn alternations(&self) -> Vec<(&PlannedOperation, &PlannedOperation)> {
        let placed: Vec<&PlannedOperation> =
            self.operations.iter().filter(|operation| operation.preferred.is_some()).collect();
        let pairs = placed.windows(2).filter_map(|pair| match pair {
            [before, after]
                if before.function == after.function && before.preferred != after.preferred =>
            {
                Some((*before, *after))
            }
            _ => None,
        });
        pairs.collect()
    }
}

/// A table: the share per device, the alternations, and every operation that does not run on the
/// preferred device of most work.
impl fmt::Display for ComputePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shares = self.shares();
        let placed: usize = shares.iter().map(|share| share.operations).sum();
        writeln!(f, "{:<14} {:>10} {:>8} {:>8}", "device", "operations", "of all", "cost")?;
        for share in &shares {
            let part = 100.0 * share.operations as f64 / placed as f64;
            writeln!(
                f,
                "{:<14} {:>10} {:>6.1} % {:>6.1} %",
                share.device,
                share.operations,
                part,
                100.0 * share.cost
            )?;
        }
        let alternations = self.alternations();
        let between = |(before, after): &&(&PlannedOperation, &PlannedOperation)| {
            let pair = [before.preferred, after.preferred];
            pair.contains(&Some(Device::NeuralEngine)) && pair.contains(&Some(Device::Cpu))
        };
        let engine_and_cpu = alternations.iter().filter(between).count();
        writeln!(
            f,
            "\nalternations between devices: {}, Neural Engine ↔ CPU: {engine_and_cpu}",
            alternations.len()
        )?;
        for (before, after) in &alternations {
            let device = |operation: &PlannedOperation| {
                operation.preferred.map_or_else(String::new, |device| device.to_string())
            };
            let (from, to) = (device(before), device(after));
            writeln!(f, "  {from} → {to} at {} {}", after.operator, after.outputs.join(", "))?;
        }
        let Some(main) = shares.first().map(|share| share.device) else { return Ok(()) };
        let elsewhere: Vec<_> = self
            .operations
            .iter()
            .filter(|operation| operation.preferred.is_some_and(|device| device != main))
            .collect();
        if elsewhere.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nnot on the {main}:")?;
        for operation in elsewhere {
            let device = operation.preferred.map_or_else(String::new, |device| device.to_string());
            let why = if operation.supported.contains(&main) { "could be" } else { "cannot be" };
            let cost = operation
                .cost
                .map_or_else(|| "-".to_owned(), |cost| format!("{:.1} %", 100.0 * cost));
            writeln!(
                f,
                "  {device:<14} {cost:>7}  {why:<9}  {} {}",
                operation.operator,
                operation.outputs.join(", ")
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An operation of `main`.
    fn operation(
        operator: &str,
        preferred: Option<Device>,
        supported: &[Device],
        cost: f64,
    ) -> PlannedOperation {
        PlannedOperation {
            function: "main".to_owned(),
            operator: operator.to_owned(),
            outputs: vec![format!("{operator}_out")],
            preferred,
            supported: supported.to_vec(),
            cost: preferred.map(|_| cost),
        }
    }

    #[test]
    fn shares_and_alternations_are_told() {
        use Device::{Cpu, NeuralEngine};
        let plan = ComputePlan {
            operations: vec![
                operation("const", None, &[], 0.0),
                operation("conv", Some(NeuralEngine), &[Cpu, NeuralEngine], 0.75),
                operation("const", None, &[], 0.0),
                operation("gather", Some(Cpu), &[Cpu], 0.05),
                operation("relu", Some(Cpu), &[Cpu, NeuralEngine], 0.05),
                operation("linear", Some(NeuralEngine), &[Cpu, NeuralEngine], 0.15),
            ],
        };
        assert_eq!(plan.alternations().len(), 2);
        let expected = "\
device         operations   of all     cost
Neural Engine           2   50.0 %   90.0 %
CPU                     2   50.0 %   10.0 %

alternations between devices: 2, Neural Engine ↔ CPU: 2
  Neural Engine → CPU at gather gather_out
  CPU → Neural Engine at linear linear_out

not on the Neural Engine:
  CPU              5.0 %  cannot be  gather gather_out
  CPU              5.0 %  could be   relu relu_out
";
        assert_eq!(plan.to_string(), expected);
    }
}
