//! A manifest's text, and where in it a byte lies.
//!
//! Owns: byte offset → line and column. Must not: know TOML's grammar beyond what a dotted key
//! looks like.
//! Flow: made by `manifest.rs`, asked by `section.rs` for the place of every key and value.

use crate::error::Place;

/// The text of a manifest with its name.
#[derive(Debug)]
pub(super) struct Text {
    /// The manifest as the user wrote it in `build.rs`.
    pub(super) manifest: String,
    /// The whole file.
    pub(super) content: String,
}

impl Text {
    /// Returns the place of the byte at `offset`, counted in characters from 1.
    pub(super) fn place(&self, offset: usize) -> Place {
        let before = self.content.get(..offset).unwrap_or(&self.content);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            manifest: self.manifest.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// Returns the place where the dotted key starts whose last part lies at `offset`: for `mel` in
    /// `inputs.mel = …` the place of `inputs`, as a person would point at it.
    pub(super) fn key_place(&self, offset: usize) -> Place {
        let mut start = offset;
        while let Some(before) = self.content.get(..start) {
            let Some(prefix) = before.trim_end_matches([' ', '\t']).strip_suffix('.') else {
                break;
            };
            let prefix = prefix.trim_end_matches([' ', '\t']);
            let part = prefix
                .trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            if part.len() == prefix.len() {
                break;
            }
            start = part.len();
        }
        self.place(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_characters_and_goes_back_to_the_start_of_a_dotted_key() {
        let text = Text {
            manifest: "a.toml".into(),
            content: "é = 1\n  inputs . mel = 2\n[models.x]\n".into(),
        };
        let at = |what: &str| text.content.find(what).unwrap();
        assert_eq!(text.place(at("= 1")).to_string(), "a.toml:1:3");
        assert_eq!(text.place(at("mel")).to_string(), "a.toml:2:12");
        assert_eq!(text.key_place(at("mel")).to_string(), "a.toml:2:3");
        assert_eq!(text.key_place(at("x]")).to_string(), "a.toml:3:2");
        assert_eq!(text.key_place(10_000).line, 4);
    }
}
