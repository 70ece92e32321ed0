//! The table that a parity check prints.
//!
//! Owns: [`Report`] and its layout. Must not: judge; `parity.rs` does.
//! Flow: `parity.rs` fills it; generated tests and the command line show it.

use super::departure::Departure;
use super::errors::Errors;
use super::figures::Figures;
use super::metric::Measured;
use super::step::Stage;
use coreml_spec::Tolerance;

/// Every output of every sample, with its figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The model's name, and behind a slash the function when one was chosen.
    pub model: String,
    /// What ran it.
    pub backend: String,
    /// When an output passes.
    pub tolerance: Tolerance,
    /// One per output of each step of each sample, and one per state at the end.
    pub comparisons: Vec<Comparison>,
    /// Results of the commands that judge all samples together: one for each compared function that
    /// has a metric.
    pub metrics: Vec<Measured>,
    /// The first operation that differs where an output fails; `None` where no report of the
    /// conversion says what operations give for one of the samples, and for buckets.
    pub departure: Option<Departure>,
    /// Outputs whose references hardly differ between the samples: the result of another input
    /// would pass too. See [`Report::proves_something`].
    pub indistinct: Vec<String>,
    /// What was done to the samples so that the model could take them, and what else there is to
    /// know, each once.
    pub remarks: Vec<String>,
}

/// One output of one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The sample's file name.
    pub sample: String,
    /// When.
    pub stage: Stage,
    /// Name of the output or state.
    pub output: String,
    /// The figures.
    pub verdict: Verdict,
    /// How its differences are spread; `None` for a label.
    pub errors: Option<Errors>,
    /// Whether the output is close enough.
    pub passed: bool,
}

/// What is known about an output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// A tensor, or the probabilities of a classifier.
    Tensor(Figures),
    /// A label; it passes when it is the expected one, or when the reference is a tie within the
    /// accepted difference.
    Label {
        /// Position of PyTorch's class.
        expected: usize,
        /// Position of the predicted class.
        got: usize,
    },
}

impl Report {
    /// Makes a report without comparisons.
    pub(super) fn new(model: &str, backend: &str, tolerance: Tolerance) -> Self {
        Self {
            model: model.to_owned(),
            backend: backend.to_owned(),
            tolerance,
            comparisons: Vec::new(),
            metrics: Vec::new(),
            departure: None,
            indistinct: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Adds a comparison.
    pub(super) fn add(
        &mut self,
        sample: &str,
        stage: Stage,
        output: &str,
        verdict: Verdict,
        errors: Option<Errors>,
        passed: bool,
    ) {
        let (sample, output) = (sample.to_owned(), output.to_owned());
        self.comparisons.push(Comparison { sample, stage, output, verdict, errors, passed });
    }

    /// Adds a remark, once.
    pub(super) fn remark(&mut self, remark: &str) {
        if !self.remarks.iter().any(|known| known == remark) {
            self.remarks.push(remark.to_owned());
        }
    }

    /// Returns whether the samples can tell a right model from one that ignores its input: an
    /// output differs between them by more than the tolerance, or nothing is known about that.
    pub fn proves_something(&self) -> bool {
        let mut tensors = self
            .comparisons
            .iter()
            .filter(|comparison| matches!(comparison.verdict, Verdict::Tensor(_)));
        self.indistinct.is_empty()
            || tensors.any(|comparison| {
                comparison.stage != Stage::Final && !self.indistinct.contains(&comparison.output)
            })
    }

    /// Returns whether every output passed, and there was one; and every metric.
    pub fn passed(&self) -> bool {
        let outputs = !self.comparisons.is_empty()
            && self.comparisons.iter().all(|comparison| comparison.passed);
        outputs && self.metrics.iter().all(Measured::passed)
    }
}

impl Comparison {
    /// Returns sample and stage as the table shows them.
    pub fn place(&self) -> String {
        self.stage.of(&self.sample)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "parity of `{}` with PyTorch on {}; an output passes ",
            self.model, self.backend
        )?;
        match self.tolerance {
            Tolerance::Psnr(decibels) => write!(f, "at a PSNR of {decibels} dB")?,
            Tolerance::Absolute { atol, rtol } => {
                write!(f, "within {atol} + {rtol} × |reference|")?
            }
        }
        if self.comparisons.is_empty() {
            f.write_str("\n  nothing was compared, because there is no sample: this fails")?;
        }
        let width = |text: fn(&Comparison) -> String, title: &str| {
            self.comparisons
                .iter()
                .map(|row| text(row).chars().count())
                .max()
                .unwrap_or(0)
                .max(title.len())
        };
        let (sample, output) =
            (width(Comparison::place, "sample"), width(|row| row.output.clone(), "output"));
        write!(
            f,
            "\n  {:sample$}  {:output$}  {:>9}  {:>9}  {:>8}  {:>9}",
            "sample", "output", "max |d|", "relative", "PSNR", "argmax"
        )?;
        for row in &self.comparisons {
            write!(f, "\n  {:sample$}  {:output$}  ", row.place(), row.output)?;
            match row.verdict {
                Verdict::Tensor(figures) => {
                    let Figures { max_abs, max_relative, psnr, rows, rows_agreeing, .. } = figures;
                    let agreement = format!("{rows_agreeing}/{rows}");
                    write!(
                        f,
                        "{max_abs:>9.2e}  {max_relative:>9.2e}  {psnr:>5.1} dB  {agreement:>9}"
                    )?;
                }
                Verdict::Label { expected, got } => {
                    let text = match got == expected {
                        true => format!("class {got}"),
                        false => format!("class {got}, PyTorch's is {expected}"),
                    };
                    write!(f, "{text:>41}")?;
                }
            }
            f.write_str(if row.passed { "  pass" } else { "  FAIL" })?;
            let Verdict::Tensor(Figures { elements, non_finite, outside, .. }) = row.verdict else {
                continue;
            };
            if non_finite > 0 {
                write!(f, "; NaN or infinite on one side only: {non_finite} of {elements}")?;
            }
            if outside > 0 {
                write!(f, "; outside: {outside} of {elements}")?;
            }
        }
        for metric in &self.metrics {
            write!(f, "\n  metric: {metric}")?;
        }
        if let Some(departure) = &self.departure {
            write!(f, "\n  first operation that differs: {departure}")?;
            f.write_str(
                "\n  `cargo coreml precision` tries which operations need float32; `cargo coreml \
                 report` shows the operation in the model",
            )?;
        }
        for remark in &self.remarks {
            write!(f, "\n  note: {remark}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_what_failed() {
        let tolerance = Tolerance::Absolute { atol: 0.1, rtol: 0.0 };
        let mut report = Report::new("digits", "portable (engine 1)", tolerance);
        assert!(!report.passed());
        let figures = Figures::of(&[1.0, 2.0, f64::NAN], &[1.0, 2.5, 0.0], 3, tolerance);
        report.add(
            "0.safetensors",
            Stage::Only,
            "probs",
            Verdict::Tensor(figures),
            None,
            figures.meets(tolerance),
        );
        report.add(
            "0.safetensors",
            Stage::Only,
            "label",
            Verdict::Label { expected: 3, got: 3 },
            None,
            true,
        );
        assert!(!report.passed());
        assert_eq!(
            report.to_string(),
            "parity of `digits` with PyTorch on portable (engine 1); an output passes within 0.1 + \
             0 × |reference|\n  \
             sample         output    max |d|   relative      PSNR     argmax\n  \
             0.safetensors  probs     5.00e-1    2.50e-1   15.1 dB        1/1  FAIL; NaN or \
             infinite on one side only: 1 of 3; outside: 1 of 3\n  \
             0.safetensors  label                                     class 3  pass"
        );
    }
}
