//! What is wrong with a program, all of it in one error.
//!
//! Owns: the comparison of operations with the table, and the order in which findings are told:
//! first what is not supported, then what is damaged.
//! Flow: `translate.rs` checks before anything is emitted, and adds what rows find.

use crate::engine_kind::EngineKind;
use crate::error::{Error, OpError, Problem, Unsupported};
use crate::op::Opset;
use crate::ops::find;
use crate::program::{Block, Operation};

/// What was found wrong, each thing once.
pub(crate) struct Findings {
    /// Opset of the program.
    opset: Opset,
    /// What is not supported.
    problems: Vec<Problem>,
    /// What breaks MIL's rules.
    faults: Vec<String>,
}

impl Findings {
    /// Returns findings without a finding.
    ///
    /// Parameters: `opset` — of the program.
    pub(crate) fn new(opset: Opset) -> Self {
        Self { opset, problems: Vec::new(), faults: Vec::new() }
    }

    /// Compares all operations of a block, and of those inside, with the table.
    ///
    /// Parameters: `engine` — the one that will run the program; `None` for one with all of ONNX.
    pub(crate) fn check(&mut self, block: &Block<'_>, engine: Option<EngineKind>) {
        for operation in &block.operations {
            for inner in &operation.blocks {
                self.check(inner, engine);
            }
            let Some(row) = find(operation.kind, self.opset) else {
                self.add(operation, OpError::unsupported("the operation is not known"));
                continue;
            };
            if let Some(reason) = row.refusal(engine) {
                self.add(operation, OpError::unsupported(reason));
                continue;
            }
            for name in operation.arguments.keys() {
                if !row.params.iter().any(|param| param.name == *name) {
                    self.add(
                        operation,
                        OpError::unsupported(format!("its argument `{name}` is not known")),
                    );
                }
            }
            for param in row.params.iter().filter(|param| param.required) {
                if !operation.arguments.contains_key(param.name) {
                    self.add(
                        operation,
                        OpError::invalid(format!("argument `{}` is missing", param.name)),
                    );
                }
            }
        }
    }

    /// Adds what is wrong with an operation.
    pub(crate) fn add(&mut self, operation: &Operation<'_>, error: OpError) {
        let output = operation.outputs.first().map_or("", |port| port.name);
        match error {
            OpError::Unsupported(reason) => {
                let same = |problem: &&mut Problem| {
                    problem.operation == operation.kind && problem.reason == reason
                };
                match self.problems.iter_mut().find(same) {
                    Some(problem) => problem.count += 1,
                    None => self.problems.push(problem(
                        operation.kind,
                        self.opset.name(),
                        output,
                        reason,
                    )),
                }
            }
            OpError::Invalid(reason) => {
                self.faults.push(format!("{} at `{output}`: {reason}", operation.kind))
            }
        }
    }

    /// Returns an error when anything was found.
    pub(crate) fn result(&self) -> Result<(), Error> {
        if !self.problems.is_empty() {
            return Err(Error::Unsupported(Unsupported { problems: self.problems.clone() }));
        }
        if !self.faults.is_empty() {
            let faults = self.faults.join("\n  ");
            return Err(Error::invalid(format!(
                "the program is damaged; convert the model again:\n  {faults}"
            )));
        }
        Ok(())
    }
}

/// Returns a problem that occurs once.
pub(crate) fn problem(operation: &str, opset: &str, output: &str, reason: String) -> Problem {
    let (operation, opset, output) = (operation.into(), opset.into(), output.into());
    Problem { operation, opset, output, count: 1, reason, alternative: None }
}
