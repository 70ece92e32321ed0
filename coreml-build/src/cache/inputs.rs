//! Which files earlier conversions of a primary key read: what a depfile is to a compiler.
//!
//! Owns: the file with these lists.   Must not: know digests; a list says which files to look at,
//! not what was in them.
//! Flow: `local.rs` reads it at every look-up; `admit.rs` adds to it, under the key's lock.

use crate::files::write_whole;
use std::io;
use std::path::Path;

/// Lists kept per key. A list is another one only when the code imports other files than before;
/// beyond this many the oldest is forgotten, and its next use converts again.
const LISTS_KEPT: usize = 16;

/// Returns the lists in the file at `path`, the latest first; none when it does not exist or is
/// damaged.
pub(super) fn read(path: &Path) -> Vec<Vec<String>> {
    std::fs::read(path)
        .ok()
        .and_then(|content| serde_json::from_slice(&content).ok())
        .unwrap_or_default()
}

/// Adds a list to the file at `path`, or moves it to the front.
pub(super) fn add(path: &Path, mut list: Vec<String>) -> io::Result<()> {
    list.sort();
    list.dedup();
    let before = read(path);
    let mut lists = vec![list.clone()];
    lists.extend(before.iter().filter(|other| **other != list).take(LISTS_KEPT - 1).cloned());
    if lists == before { Ok(()) } else { write_whole(path, &serde_json::to_vec(&lists)?) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_latest_lists_without_repetition() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inputs/key.json");
        assert!(read(&path).is_empty());
        for number in 0..20 {
            add(&path, vec!["b".into(), number.to_string()]).unwrap();
        }
        add(&path, vec!["18".into(), "b".into(), "b".into()]).unwrap();
        let lists = read(&path);
        assert_eq!(lists.len(), LISTS_KEPT);
        assert_eq!(lists[..3], [["18", "b"], ["19", "b"], ["17", "b"]]);
        std::fs::write(&path, "[[tru").unwrap();
        assert!(read(&path).is_empty());
    }
}
