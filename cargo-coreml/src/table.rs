//! Text in columns for a terminal.
//!
//! Owns: alignment, units, and escaping control characters in text from files.
//! Flow: every subcommand that prints for people → here.

use std::io::{self, Write};

/// How a column is aligned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Writes rows in columns, each line indented by two blanks.
///
/// Parameters: `columns` — alignment of each; a row may be shorter.
pub(crate) fn write(
    output: &mut impl Write,
    columns: &[Align],
    rows: &[Vec<String>],
) -> io::Result<()> {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    for row in &rows {
        let mut line = String::new();
        for ((cell, width), align) in row.iter().zip(&widths).zip(columns) {
            line.push_str("  ");
            match align {
                Align::Left => line.push_str(&format!("{cell:<width$}")),
                Align::Right => line.push_str(&format!("{cell:>width$}")),
            }
        }
        writeln!(output, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Returns text that comes from a file with its control characters made visible, so that it cannot
/// move the cursor or change the title of a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::new();
    for char in text.chars() {
        // Direction marks reorder what follows them.
        if char.is_control() || matches!(char, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}') {
            printable.extend(char.escape_default());
        } else {
            printable.push(char);
        }
    }
    printable
}

/// Returns text of several lines as [`printable`] does, line by line.
pub(crate) fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Returns a time with three digits in the unit that keeps it below a thousand: `7.25 ms`.
pub(crate) fn seconds(seconds: f64) -> String {
    let (value, unit) = match seconds {
        ..1e-3 => (seconds * 1e6, "µs"),
        ..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let digits = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// Returns a number of bytes in the decimal unit that keeps it below a thousand: `1.5 MB`.
pub(crate) fn bytes(count: u64) -> String {
    /// Units, each a thousand of the one before.
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut size = count as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would be shown as 1000.0.
    while size >= 999.95 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        assert_eq!(
            [1.5e-6, 0.00725, 0.0321, 0.4, 12.34].map(seconds),
            ["1.50 µs", "7.25 ms", "32.1 ms", "400 ms", "12.3 s"]
        );
    }

    #[test]
    fn columns_are_aligned() {
        let row = |cells: &[&str]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut output = Vec::new();
        let rows = [row(&["größe", "7", "x"]), row(&["a\tb", "100"])];
        write(&mut output, &[Align::Left, Align::Right, Align::Left], &rows).unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), "  größe    7  x\n  a\\tb   100\n");
    }

    #[test]
    fn foreign_text_cannot_control_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n\u{202e}c ä"), "a\\u{1b}[2Jb\\n\\u{202e}c ä");
    }

    #[test]
    fn sizes_have_units() {
        for (count, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (1_500_000, "1.5 MB"),
            (2_000_000_000, "2.0 GB"),
            (u64::MAX, "18446744.1 TB"),
        ] {
            assert_eq!(bytes(count), expected);
        }
    }
}
