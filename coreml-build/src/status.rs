//! One line on the terminal while something takes long: cargo hides what a build script prints.
//!
//! Owns: `/dev/tty`, and when it is written. Must not: fail; a build without a terminal says nothing.
//! Flow: `environment.rs` and `driver.rs` tell what they are doing, and call [`Status::tick`] while they wait.

use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time after which the line is written again: often enough to see that something moves.
const REFRESHED_EVERY: Duration = Duration::from_millis(100);

/// Widest line, in characters: a longer one would wrap on an ordinary terminal and could not be overwritten.
const WIDTH: usize = 78;

/// Goes to the start of the line and clears it.
const CLEAR: &[u8] = b"\r\x1b[K";

/// The status line.
#[derive(Debug)]
pub(crate) struct Status(Mutex<Option<Line>>);

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
    /// Opens the terminal; without one, and with `shown` false, nothing is ever written.
    ///
    /// Called by: `session.rs`, once per build.
    pub(crate) fn new(shown: bool) -> Self {
        let terminal = if shown { File::options().write(true).open("/dev/tty").ok() } else { None };
        Self(Mutex::new(terminal.map(|terminal| Line::new(Box::new(terminal)))))
    }

    /// Says that `what` begins; the time counts from here.
    pub(crate) fn begin(&self, what: &str) {
        self.with(|line| {
            line.since = Instant::now();
            line.say(what);
        });
    }

    /// Says what is going on now, within what has begun.
    pub(crate) fn say(&self, what: &str) {
        self.with(|line| line.say(what));
    }

    /// Brings the seconds up to date.
    pub(crate) fn tick(&self) {
        self.with(Line::write);
    }

    /// Calls `act` with the line, when it is shown.
    fn with(&self, act: impl FnOnce(&mut Line)) {
        if let Some(line) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
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
        Self { terminal, text: String::new(), since: Instant::now(), written: None, shown: String::new() }
    }

    /// Changes the text.
    fn say(&mut self, what: &str) {
        what.clone_into(&mut self.text);
        self.write();
    }

    /// Writes the line, unless it says the same or was written just now. A terminal that is gone is not worth an error.
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
        let status = Status(Mutex::new(Some(Line::new(Box::new(paper.clone())))));
        status.begin(&format!("encoder: \u{1b}[31m{}", "x".repeat(200)));
        status.say("too soon after the first to be written");
        std::thread::sleep(REFRESHED_EVERY);
        status.tick();
        std::thread::sleep(REFRESHED_EVERY);
        status.tick();
        drop(status);
        let written = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = written.split("\r\x1b[K").collect();
        assert_eq!(lines.len(), 4, "{written:?}");
        assert!(lines[1].starts_with("coreml: encoder: [31mxxx") && lines[1].ends_with("x… 0s"), "{written:?}");
        assert_eq!(lines[1].chars().count(), WIDTH);
        assert_eq!(lines[2], "coreml: too soon after the first to be written 0s");
        assert_eq!(lines[3], "");
    }
}
