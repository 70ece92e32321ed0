//! Lines have at most 100 columns.
//!
//! Owns: the limit, and what it leaves out.
//! Must not: judge how a line reads.
//! Flow: `main.rs` → here → `sources.rs`.

use crate::sources::sources;

/// Columns of a line.
const WIDTH: usize = 100;

/// Returns whether a line of code is too wide. A line with a URL or a one-line raw string, which
/// cannot be broken, is not; nor does a mark for a linter count.
fn is_wide_code(line: &str) -> bool {
    let unbroken = line.contains("://") || line.contains("r#\"") || line.contains("r\"");
    let line = line.split("  # noqa: ").next().unwrap_or(line);
    line.chars().count() > WIDTH && !unbroken
}

/// Returns a line of prose without what cannot be broken: targets of links, and code.
fn breakable(line: &str) -> String {
    let (mut kept, mut rest) = (String::new(), line);
    while let Some(start) = rest.find(['`', '(']) {
        let (before, opened) = rest.split_at(start);
        let end = match opened.as_bytes()[0] {
            b'`' => opened[1..].find('`').map(|end| end + 2),
            _ if before.ends_with(']') => opened.find(')').map(|end| end + 1),
            _ => Some(1),
        };
        let Some(end) = end else { break };
        kept.push_str(before);
        if end == 1 {
            kept.push('(');
        }
        rest = &opened[end..];
    }
    kept + rest
}

/// Returns the numbers of the lines of prose that are too wide: outside tables and code.
fn wide_prose(text: &str) -> Vec<usize> {
    let (mut code, mut wide) = (false, Vec::new());
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            code = !code;
        } else if !code
            && !line.trim_start().starts_with('|')
            && !line.contains("://")
            && breakable(line).chars().count() > WIDTH
        {
            wide.push(index + 1);
        }
    }
    wide
}

#[test]
fn lines_are_not_wide() {
    let mut wrong = Vec::new();
    for (path, text) in sources(&["rs", "py"]) {
        // What rustc says, and what the macro generates, have a width of their own.
        if path.contains("/ui/") || path.contains("/snapshots/") {
            continue;
        }
        let wide = text.lines().enumerate().filter(|(_, line)| is_wide_code(line));
        wrong.extend(wide.map(|(index, line)| format!("{path}:{}: {}", index + 1, line.trim())));
    }
    for (path, text) in sources(&["md"]) {
        wrong.extend(wide_prose(&text).iter().map(|line| format!("{path}:{line}")));
    }
    assert!(
        wrong.is_empty(),
        "{} lines have more than {WIDTH} columns:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_wide_line_is_found() {
    let long = "word ".repeat(25);
    assert!(is_wide_code(&long) && is_wide_code(&format!("    // {long}")));
    assert!(!is_wide_code(&"é".repeat(100)) && is_wide_code(&"é".repeat(101)));
    assert!(!is_wide_code(&format!("let json = r#\"{long}\"#;")));
    assert!(!is_wide_code(&format!("{}  # noqa: E731, {long}", "x".repeat(90))));
    assert_eq!(wide_prose(&format!("{long}\n```\n{long}\n```\n| {long} |\n{long}")), [1, 6]);
    assert!(wide_prose(&format!("See [this]({long}) and `{long}` (well).")).is_empty());
    assert_eq!(wide_prose(&format!("See (this {long}).")), [1]);
}
