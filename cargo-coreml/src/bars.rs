//! Progress on the terminal: a line for the build as a whole, and a bar for each model being
//! converted.
//!
//! Owns: what a running build shows on standard error; without a terminal, a line when a model
//! begins and ends.
//! Flow: `build.rs` makes it → `coreml-build` calls [`Bars::observer`] → `indicatif`.

use crate::table::printable;
use coreml_build::{Observer, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressFinish, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Time between two pictures of a spinner.
const TICK: Duration = Duration::from_millis(120);

/// The bars; they go when this is dropped.
pub(crate) struct Bars(Arc<Mutex<Shown>>);

/// What is shown.
struct Shown {
    /// Keeps the lines apart.
    lines: MultiProgress,
    /// What goes on as a whole, once something does.
    whole: Option<ProgressBar>,
    /// A bar for each model that is being converted.
    models: BTreeMap<String, ProgressBar>,
    /// Whether there is a terminal.
    terminal: bool,
}

impl Bars {
    /// Makes bars; nothing is shown before something goes on.
    pub(crate) fn new() -> Self {
        let (lines, models) = (MultiProgress::new(), BTreeMap::new());
        Self(Arc::new(Mutex::new(Shown {
            lines,
            whole: None,
            models,
            terminal: io::stderr().is_terminal(),
        })))
    }

    /// Returns what is to be told.
    pub(crate) fn observer(&self) -> Observer {
        let shown = Arc::clone(&self.0);
        Observer::new(move |progress| {
            shown.lock().unwrap_or_else(PoisonError::into_inner).show(progress)
        })
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.whole.take().iter().for_each(ProgressBar::finish_and_clear);
        // A failure to clear a terminal harms nothing.
        let _ = shown.lines.clear();
    }
}

impl Shown {
    /// Shows what goes on.
    fn show(&mut self, progress: &Progress) {
        match progress {
            Progress::Began { what } if self.terminal => {
                let line = self.whole.get_or_insert_with(|| {
                    let line = self.lines.add(
                        ProgressBar::new_spinner().with_style(style("{spinner} {msg} {elapsed}")),
                    );
                    line.enable_steady_tick(TICK);
                    line
                });
                line.set_message(printable(what));
                line.reset_elapsed();
            }
            Progress::Converting { model, stage, detail, steps } => {
                let begins = !self.models.contains_key(model);
                let bar = self.models.entry(model.clone()).or_insert_with(|| {
                    let bar = ProgressBar::new(1).with_finish(ProgressFinish::AndClear);
                    let bar = self
                        .lines
                        .add(bar.with_style(style("  {prefix} {bar:24} {wide_msg} {elapsed}")));
                    bar.set_prefix(printable(model));
                    bar
                });
                let (done, all) = steps.unwrap_or((0, 1));
                bar.set_length(all.max(1));
                bar.set_position(done);
                bar.set_message(printable(if detail.is_empty() { stage } else { detail }));
                if begins {
                    self.say(&format!("{model}: converting"));
                }
            }
            Progress::Ended { model, converted } => {
                if let Some(bar) = self.models.remove(model) {
                    bar.finish_and_clear();
                }
                self.say(&format!(
                    "{model}: {}",
                    if *converted { "converted" } else { "not converted" }
                ));
            }
            Progress::Began { what } => self.say(what),
            // Ignore kinds of progress that a later version adds.
            _ => {}
        }
    }

    /// Writes a line where there is no terminal.
    fn say(&self, line: &str) {
        if !self.terminal {
            // Nothing can be done when standard error is closed.
            let _ = writeln!(io::stderr(), "{}", printable(line));
        }
    }
}

/// Returns the style of a line; a template is right, or the tests fail.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_right() {
        for template in ["{spinner} {msg} {elapsed}", "  {prefix} {bar:24} {wide_msg} {elapsed}"] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
