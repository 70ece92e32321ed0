//! Color, only on a terminal.
//!
//! Owns: when there is color, and the few colors that have a meaning.
//! Flow: subcommands that print for people → here.

use std::io::IsTerminal;

/// A meaning that has a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Something is wrong: red.
    Error,
    /// Something may be wrong: yellow.
    Warn,
    /// Good to know: cyan.
    Info,
    /// Right: green.
    Good,
}

impl Style {
    /// Returns a text in the style; unchanged unless standard output is a terminal that shows
    /// color.
    ///
    /// Parameters: `text` — without control characters.
    pub(crate) fn paint(self, text: &str) -> String {
        let code = match self {
            Self::Error => 31,
            Self::Warn => 33,
            Self::Info => 36,
            Self::Good => 32,
        };
        if wanted() { format!("\u{1b}[1;{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Returns whether there is colour: standard output is a terminal, `NO_COLOR` is not set, `TERM` is
/// not `dumb`.
fn wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    std::io::stdout().is_terminal()
        && set("NO_COLOR").is_none()
        && set("TERM").is_some_and(|term| term != "dumb")
}
