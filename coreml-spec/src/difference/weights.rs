//! Which weights of two packages differ.
//!
//! Owns: reading weights a piece at a time, so that gigabytes need no memory. Must not: map them:
//! what was looked at in a mapping stays in memory.
//! Flow: `difference.rs` → [`Weights`] → the packages' weight files.

use super::Change;
use crate::{Error, Package, Weight, WeightFile};
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

/// The weights of two packages.
pub(super) struct Weights {
    /// Of the package as it was.
    before: Elements,
    /// Of the package after the change.
    after: Elements,
}

impl Weights {
    /// Prepares reading the weights of two packages.
    pub(super) fn of(before: &Package, after: &Package) -> Self {
        Self { before: Elements::of(before), after: Elements::of(after) }
    }

    /// Returns which weights differ: those of the same name by their bytes; of the others, those
    /// that were only renamed.
    pub(super) fn changes(
        &self,
        before: &[Weight<'_>],
        after: &[Weight<'_>],
    ) -> Result<Vec<Change>, Error> {
        let by_name: HashMap<&str, &Weight<'_>> =
            after.iter().map(|weight| (weight.name.as_str(), weight)).collect();
        let old: HashSet<&str> = before.iter().map(|weight| weight.name.as_str()).collect();
        // Those that have come, by what a renamed one has in common with what it was.
        let mut new: HashMap<u64, Vec<&Weight<'_>>> = HashMap::new();
        for weight in after.iter().filter(|weight| !old.contains(weight.name.as_str())) {
            new.entry(self.after.digest(weight)?).or_default().push(weight);
        }
        let mut all = Vec::new();
        for was in before {
            let change = |after: Option<String>| Change {
                what: was.name.clone(),
                before: Some(notation(was)),
                after,
            };
            match by_name.get(was.name.as_str()) {
                Some(is) if self.same(was, is)? => {}
                Some(is) if notation(was) == notation(is) => {
                    all.push(change(Some(format!("{}, other numbers", notation(is)))));
                }
                Some(is) => all.push(change(Some(notation(is)))),
                None => {
                    let mut renamed = None;
                    let candidates = new.entry(self.before.digest(was)?).or_default();
                    for (index, is) in candidates.iter().enumerate() {
                        if self.same(was, is)? {
                            renamed = Some(index);
                            break;
                        }
                    }
                    let renamed = renamed.map(|index| candidates.swap_remove(index));
                    all.push(change(renamed.map(|is| format!("the same, called {}", is.name))));
                }
            }
        }
        let mut new: Vec<&Weight<'_>> = new.into_values().flatten().collect();
        new.sort_by_key(|weight| &weight.name);
        all.extend(new.into_iter().map(|is| Change {
            what: is.name.clone(),
            before: None,
            after: Some(notation(is)),
        }));
        Ok(all)
    }

    /// Returns whether two weights are the same tensor.
    fn same(&self, was: &Weight<'_>, is: &Weight<'_>) -> Result<bool, Error> {
        let (one, other) = (&was.constant, &is.constant);
        if one.data_type != other.data_type
            || one.dims != other.dims
            || one.bytes.len() != other.bytes.len()
        {
            return Ok(false);
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for start in (0..one.bytes.len()).step_by(PIECE) {
            let piece = start..one.bytes.len().min(start + PIECE);
            if self.before.read(was, piece.clone(), &mut ours)?
                != self.after.read(is, piece, &mut theirs)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Bytes of a weight that are in memory at a time.
const PIECE: usize = 1 << 20;

/// Bytes of a weight that tell it from most others.
const TELLING: usize = 4096;

/// Elements of a package's weights, read from their files: a mapping would keep in memory whatever
/// was looked at.
struct Elements {
    /// The package's weight files, each opened once it is needed.
    files: Vec<(Arc<WeightFile>, OnceCell<File>)>,
}

impl Elements {
    /// Prepares reading the weights of a package.
    fn of(package: &Package) -> Self {
        let files = package.weight_files().into_iter().map(|file| (file, OnceCell::new()));
        Self { files: files.collect() }
    }

    /// Returns a part of a weight's elements.
    ///
    /// Parameters: `buffer` — takes them where they are read from a file.
    /// Errors: [`Error::Io`].
    fn read<'b>(
        &self,
        weight: &'b Weight<'_>,
        part: Range<usize>,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], Error> {
        let bytes: &[u8] = &weight.constant.bytes;
        let in_memory = bytes.get(part.clone()).unwrap_or_default();
        let place = self
            .files
            .iter()
            .find_map(|(file, opened)| Some((file, opened, file.range_of(bytes)?)));
        let Some((file, opened, place)) = place.filter(|(file, ..)| file.is_on_disk()) else {
            return Ok(in_memory);
        };
        let io = |error| Error::io(file.path(), error);
        if opened.get().is_none() {
            // Only this thread sets it.
            let _ = opened.set(File::open(file.path()).map_err(io)?);
        }
        let Some(mut opened) = opened.get() else { return Ok(in_memory) };
        opened.seek(SeekFrom::Start((place.start + part.start) as u64)).map_err(io)?;
        if buffer.len() < in_memory.len() {
            *buffer = vec![0; in_memory.len()];
        }
        let buffer = buffer.get_mut(..in_memory.len()).unwrap_or_default();
        opened.read_exact(buffer).map_err(io)?;
        Ok(buffer)
    }

    /// Returns a number that equal tensors share, without reading all of a large one.
    fn digest(&self, weight: &Weight<'_>) -> Result<u64, Error> {
        let (constant, mut buffer) = (&weight.constant, Vec::new());
        let first = self.read(weight, 0..TELLING.min(constant.bytes.len()), &mut buffer)?;
        let mut hasher = DefaultHasher::new();
        (constant.data_type, &constant.dims, first).hash(&mut hasher);
        Ok(hasher.finish())
    }
}

/// Returns type and shape.
fn notation(weight: &Weight<'_>) -> String {
    format!("{} {:?}", weight.constant.data_type, weight.constant.dims)
}
