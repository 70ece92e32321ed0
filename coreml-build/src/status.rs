//! What a build is doing, reported while it does it: to an observer, or in one line on the
//! terminal, since cargo hides what a build script prints.
//!
//! Owns: `/dev/tty`, and when it is written.   Must not: fail; a build without a terminal prints
//! nothing.
//! Flow: `build/`, `python/environment.rs` and `python/driver.rs` report what they are doing, and
//! call [`Status::tick`] while they wait.

use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time after which the line is written again: often enough to see that something moves.
const REFRESHED_EVERY: Duration = Duration::from_millis(100);

/// Widest line, in characters: a longer one would wrap on an ordinary terminal and could not be
/// overwritten.
const WIDTH: usize = 78;

/// Goes to the start of the line and clears it.
const CLEAR: &[u8] = b"\r\x1b[K";

/// Something that a build does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Something that may take long begins: installing Python packages, waiting for another build,
    /// …
    Began {
        /// What.
        what: String,
    },
    /// The conversion of a model goes on.
    Converting {
        /// Which model.
        model: String,
        /// What is being done: `import`, `load`, `trace`, `convert`, …
        stage: String,
        /// What exactly, such as the name of a pass; empty when there is nothing to add.
        detail: String,
        /// How many steps of the stage are done, and of how many, where that is known.
        steps: Option<(u64, u64)>,
    },
    /// The conversion of a model has ended.
    Ended {
        /// Which model.
        model: String,
        /// Whether it is converted.
        converted: bool,
    },
}

/// A function that is called with everything that a build does. It runs in the build's own thread,
/// and should return at once.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(&Progress) + Send + Sync>);

impl Observer {
    /// Makes an observer of a function.
    pub fn new(observe: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

/// Reports what a build is doing.
#[derive(Debug)]
pub(crate) struct Status {
    /// The line on the terminal, when there is one.
    line: Mutex<Option<Line>>,
    /// The observer.
    observer: Option<Observer>,
}

/// A status line that is shown.
#[derive(Debug)]
struct Line {
    /// Where it is shown.
    terminal: Box<dyn Terminal>,
    /// What is going on.
    text: String,
    /// When that began: the line ends in the seconds since.
    since: Instant,
    /// When the line was last written.
    written: Option<Instant>,
    /// The line as it was written.
    shown: String,
}

/// Something that a line can be written to.
trait Terminal: Write + Send + std::fmt::Debug {}
impl<T: Write + Send + std::fmt::Debug> Terminal for T {}

impl Status {
    /// Opens the terminal; without one, or without `shown`, nothing is ever written.
    pub(crate) fn new(shown: bool, observer: Option<&Observer>) -> Self {
        let terminal = if shown { File::options().write(true).open("/dev/tty").ok() } else { None };
        let line = terminal.map(|terminal| Line::new(Box::new(terminal)));
        Self { line: Mutex::new(line), observer: observer.cloned() }
    }

    /// Reports that `what` begins; the time counts from here.
    pub(crate) fn begin(&self, what: &str) {
        self.observe(|| Progress::Began { what: what.to_owned() });
        self.with(|line| {
            line.since = Instant::now();
            line.say(what);
        });
    }

    /// Reports how far the conversion of a model is.
    ///
    /// Parameters: `count` — how many models are done, and of how many; `detail` — with `N/M` in it
    /// where the stage has steps.
    pub(crate) fn converting(&self, count: (usize, usize), model: &str, stage: &str, detail: &str) {
        self.observe(|| Progress::Converting {
            model: model.to_owned(),
            stage: stage.to_owned(),
            detail: detail.to_owned(),
            steps: steps(detail),
        });
        self.with(|line| {
            let (done, all) = count;
            let count = if all > 1 { format!("{done}/{all} ") } else { String::new() };
            let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
            line.say(&format!("{count}{model}: {stage}{detail}"));
        });
    }

    /// Reports that the conversion of a model has ended.
    pub(crate) fn ended(&self, model: &str, converted: bool) {
        self.observe(|| Progress::Ended { model: model.to_owned(), converted });
    }

    /// Brings the seconds up to date.
    pub(crate) fn tick(&self) {
        self.with(Line::write);
    }

    /// Calls the observer.
    fn observe(&self, progress: impl FnOnce() -> Progress) {
        if let Some(Observer(observe)) = &self.observer {
            observe(&progress());
        }
    }

    /// Calls `act` with the line, when it is shown.
    fn with(&self, act: impl FnOnce(&mut Line)) {
        if let Some(line) = &mut *self.line.lock().unwrap_or_else(PoisonError::into_inner) {
            act(line);
        }
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        self.with(|line| {
            if line.written.is_some() {
                let _ = line.terminal.write_all(CLEAR);
            }
        });
    }
}

impl Line {
    /// Makes an empty line.
    fn new(terminal: Box<dyn Terminal>) -> Self {
        Self {
            terminal,
            text: String::new(),
            since: Instant::now(),
            written: None,
            shown: String::new(),
        }
    }

    /// Changes the text.
    fn say(&mut self, what: &str) {
        what.clone_into(&mut self.text);
        self.write();
    }

    /// Writes the line, unless it says the same or was written just now. A terminal that is gone is
    /// not worth an error.
    fn write(&mut self) {
        if self.written.is_some_and(|written| written.elapsed() < REFRESHED_EVERY) {
            return;
        }
        let seconds = format!(" {}s", self.since.elapsed().as_secs());
        let line = fitted(&format!("coreml: {}", self.text), WIDTH - seconds.len()) + &seconds;
        if line != self.shown {
            self.written = Some(Instant::now());
            let _ = self.terminal.write_all(&[CLEAR, line.as_bytes()].concat());
            let _ = self.terminal.flush();
            self.shown = line;
        }
    }
}

/// Returns the first `N/M` of a text.
fn steps(text: &str) -> Option<(u64, u64)> {
    text.split([' ', ':']).find_map(|word| {
        let (done, all) = word.split_once('/')?;
        Some((done.parse().ok()?, all.parse().ok()?))
    })
}

/// Returns `text` in at most `room` characters, without any that would move the cursor.
fn fitted(text: &str, room: usize) -> String {
    let mut characters: Vec<char> = text.chars().filter(|c| !c.is_control()).collect();
    if characters.len() > room {
        characters.truncate(room - 1);
        characters.push('…');
    }
    characters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// A terminal that keeps what is written.
    #[derive(Clone, Debug, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn one_line_is_overwritten_and_cleared() {
        let paper = Paper::default();
        let line = Mutex::new(Some(Line::new(Box::new(paper.clone()))));
        let status = Status { line, observer: None };
        status.begin(&format!("encoder: \u{1b}[31m{}", "x".repeat(200)));
        status.converting((1, 2), "m", "too soon", "after the first to be written");
        std::thread::sleep(REFRESHED_EVERY);
        status.tick();
        std::thread::sleep(REFRESHED_EVERY);
        status.tick();
        drop(status);
        let written = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = written.split("\r\x1b[K").collect();
        assert_eq!(lines.len(), 4, "{written:?}");
        assert!(
            lines[1].starts_with("coreml: encoder: [31mxxx") && lines[1].ends_with("x… 0s"),
            "{written:?}"
        );
        assert_eq!(lines[1].chars().count(), WIDTH);
        assert_eq!(lines[2], "coreml: 1/2 m: too soon (after the first to be written) 0s");
        assert_eq!(lines[3], "");
    }

    #[test]
    fn steps_are_read_from_what_the_driver_says() {
        assert_eq!(steps("operation 12/345: aten::conv2d"), Some((12, 345)));
        assert_eq!(steps("default 1/92: noop_elimination"), Some((1, 92)));
        assert_eq!([steps(""), steps("python/net.py"), steps("12/x")], [None; 3]);
    }
}
