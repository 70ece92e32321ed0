//! An entry as it travels: one tar archive in an LZ4 frame.
//!
//! Owns: packing, and unpacking an archive from an untrusted place. Only regular files that the
//! entry's description lists are written, each with exactly the size and the digest given there;
//! anything else refuses the whole archive.
//! Must not: trust a path, a size or a kind from the archive; know where it comes from.
//! Flow: `build/share.rs` packs a published entry; `build/fetch.rs` unpacks into a temporary folder
//! that `admit.rs` then publishes.

use super::description::Description;
use super::draft::Draft;
use super::entry::Entry;
use super::layout::DESCRIPTION;
use crate::digest::{self, Hashing};
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use tar::{Archive, Builder, EntryType, Header};

/// Most bytes of an entry: no Core ML model is as large.
pub(crate) const LARGEST_ENTRY: u64 = 16 << 30;

/// Most bytes of a description: a file takes about 150 of them.
const LARGEST_DESCRIPTION: u64 = 4 << 20;

/// What tar adds to each file at most: a header and the padding to whole blocks.
const TAR_OVERHEAD: u64 = 1024;

/// What tar adds at the end, rounded up to its record size.
const TAR_END: u64 = 10 << 10;

/// Mode of the files in an archive.
const MODE: u32 = 0o644;

/// Bytes copied at once.
const BUFFER_SIZE: usize = 1 << 18;

/// What is known of an archive before it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected<'a> {
    /// The fingerprint.
    pub(crate) fingerprint: &'a str,
    /// Content digest of the package.
    pub(crate) digest: &'a str,
    /// Digest of the description.
    pub(crate) description: &'a str,
    /// Bytes of the archive.
    pub(crate) size: u64,
    /// Bytes of all files.
    pub(crate) unpacked: u64,
}

/// What packing an entry gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// Digest of the archive.
    pub(crate) archive: String,
    /// Digest of the description.
    pub(crate) description: String,
    /// Bytes of the archive.
    pub(crate) size: u64,
    /// Bytes of all files.
    pub(crate) unpacked: u64,
}

/// Writes `entry` as an archive to `file`. The log stays: it names paths of this machine.
pub(crate) fn pack(entry: &Entry, file: &File) -> io::Result<Packed> {
    let description = std::fs::read(entry.folder().join(DESCRIPTION))?;
    let hashing = Hashing::new(BufWriter::with_capacity(BUFFER_SIZE, file));
    let mut tar = Builder::new(FrameEncoder::new(hashing));
    append(&mut tar, DESCRIPTION, description.len() as u64, description.as_slice())?;
    let mut unpacked = 0;
    for (path, size) in entry.sizes() {
        append(&mut tar, path, size, File::open(entry.folder().join(path))?.take(size))?;
        unpacked += size;
    }
    let hashing = tar.into_inner()?.finish().map_err(io::Error::other)?;
    let (mut writer, archive, size) = hashing.finish();
    writer.flush()?;
    Ok(Packed { archive, description: digest::of_bytes(&description), size, unpacked })
}

/// Adds one file to an archive.
fn append(
    tar: &mut Builder<impl Write>,
    path: &str,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_size(size);
    header.set_mode(MODE);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    tar.append(&header, content)
}

/// Unpacks the archive that `source` gives into `folder`, which is empty, and checks all of it.
///
/// Errors: what is wrong, in words for a person; the caller then removes the folder.
pub(crate) fn unpack(
    source: impl Read,
    expected: &Expected<'_>,
    folder: &Path,
) -> Result<Draft, String> {
    let mut counted = Counted { source: source.take(expected.size.saturating_add(1)), count: 0 };
    let limit = expected
        .unpacked
        .saturating_add(LARGEST_DESCRIPTION)
        .saturating_add(TAR_END)
        // A description has at most one file in 100 bytes.
        .saturating_add(LARGEST_DESCRIPTION / 100 * TAR_OVERHEAD);
    let mut archive = Archive::new(FrameDecoder::new(&mut counted).take(limit));
    // Raw: extensions that give files other names, sizes or kinds are not interpreted, but refused
    // as what they are.
    let mut entries = archive.entries().map_err(|error| broken(&error))?.raw(true);
    let first = entries.next().ok_or("the archive is empty")?.map_err(|error| broken(&error))?;
    let (path, size) = regular(&first)?;
    if path != DESCRIPTION || size > LARGEST_DESCRIPTION {
        return Err(format!("the archive does not begin with {DESCRIPTION}"));
    }
    let mut content = Vec::new();
    first.take(LARGEST_DESCRIPTION).read_to_end(&mut content).map_err(|error| broken(&error))?;
    if digest::of_bytes(&content) != expected.description {
        return Err(format!("{DESCRIPTION} is not the announced one"));
    }
    let description = Description::received(&content, expected.fingerprint)?;
    if description.digest != expected.digest || description.size() != Some(expected.unpacked) {
        return Err(format!("{DESCRIPTION} has another digest or size than announced"));
    }
    let mut seen = BTreeSet::new();
    for entry in entries {
        let mut entry = entry.map_err(|error| broken(&error))?;
        let (path, size) = regular(&entry)?;
        let listed = description
            .files
            .get(&path)
            .ok_or_else(|| format!("{path:?} does not belong there"))?;
        if size != listed.size {
            return Err(format!("{path} has {size} bytes instead of {}", listed.size));
        }
        if !seen.insert(path.clone()) {
            return Err(format!("{path} is there twice"));
        }
        let sha256 = write(&mut entry, size, &folder.join(&path))
            .map_err(|error| format!("{path}: {error}"))?;
        if sha256 != listed.sha256 {
            return Err(format!("{path} was altered"));
        }
    }
    if let Some(path) = description.files.keys().find(|path| !seen.contains(*path)) {
        return Err(format!("{path} is missing"));
    }
    // What stands behind the end of a tar archive is padding, and at most this much.
    let padding = io::copy(&mut archive.into_inner().take(TAR_END + 1), &mut io::sink())
        .map_err(|error| broken(&error))?;
    let rest = io::copy(&mut counted, &mut io::sink()).map_err(|error| broken(&error))?;
    if padding > TAR_END || rest > 0 || counted.count != expected.size {
        return Err(format!(
            "the archive does not have the {} bytes that were announced",
            expected.size
        ));
    }
    Ok(Draft::verified(description, folder))
}

/// Returns path and size of a regular file in an archive.
fn regular<R: Read>(entry: &tar::Entry<'_, R>) -> Result<(String, u64), String> {
    let path = String::from_utf8(entry.path_bytes().into_owned())
        .map_err(|_| "a path is not UTF-8".to_owned())?;
    let kind = entry.header().entry_type();
    if kind != EntryType::Regular {
        return Err(format!("{path:?} is not a regular file, but {kind:?}"));
    }
    Ok((path, entry.header().size().map_err(|error| broken(&error))?))
}

/// Writes a new file of `size` bytes; returns its digest.
fn write(content: &mut impl Read, size: u64, path: &Path) -> io::Result<String> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut hashing = Hashing::new(File::create_new(path)?);
    let mut buffer = vec![0; BUFFER_SIZE.min(usize::try_from(size).unwrap_or(BUFFER_SIZE).max(1))];
    loop {
        let count = content.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hashing.write_all(&buffer[..count])?;
    }
    let (_, sha256, count) = hashing.finish();
    if count == size {
        Ok(sha256)
    } else {
        Err(io::Error::other(format!("it ends after {count} of {size} bytes")))
    }
}

/// Says that an archive cannot be read.
fn broken(error: &io::Error) -> String {
    format!("the archive cannot be read: {error}")
}

/// Counts what is read.
#[derive(Debug)]
struct Counted<R> {
    /// Where it comes from.
    source: R,
    /// Bytes so far.
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}
