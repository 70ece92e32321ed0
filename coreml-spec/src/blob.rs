//! Weight files: tensors in format 2 of Core ML's blob storage.
//!
//! Owns: the binary layout, mapping a file, checking every offset before it is used. Must not:
//! interpret elements.
//! Flow: listed by [`crate::Package::open`], mapped and read by `constant.rs` through
//! [`WeightFile::blob`]; an engine gets the file itself from [`crate::Package::weight_files`], so
//! that constants need not be copied.
//!
//! A file begins with a header of 64 bytes: number of blobs (`u32`), version (`u32`), zeros. A
//! reference points to a blob's metadata of 64 bytes: sentinel (`u32`), type (`u32`), size in bytes
//! (`u64`), offset of the data from the start of the file (`u64`), unused bits at the end of the
//! data (`u64`), zeros. Everything is little endian.

use crate::{DataType, Error};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Size of the file header and of each blob's metadata, in bytes.
const HEADER_SIZE: usize = 64;

/// The version that has typed metadata; every converter that writes ML Programs writes it.
const VERSION: u32 = 2;

/// First field of each blob's metadata.
const SENTINEL: u32 = 0xDEAD_BEEF;

/// The bytes of a file on disk.
#[cfg(feature = "mapped-weights")]
type Bytes = memmap2::Mmap;

/// The bytes of a file on disk.
#[cfg(not(feature = "mapped-weights"))]
type Bytes = Vec<u8>;

/// A file with the weights of a package.
#[derive(Debug)]
pub struct WeightFile {
    /// Where it is, or would be when in memory.
    path: PathBuf,
    /// Its bytes.
    content: Content,
}

/// Bytes of a weight file.
#[derive(Debug)]
enum Content {
    /// On disk; mapped, or read, on first use.
    OnDisk(OnceLock<Mapped>),
    /// In memory: part of the executable, or given by the caller.
    InMemory(Cow<'static, [u8]>),
}

/// A file on disk.
#[derive(Debug)]
struct Mapped {
    /// Its bytes.
    bytes: Bytes,
    /// The file itself, to read a few bytes of it.
    file: File,
}

/// One tensor in a weight file.
#[derive(Debug)]
pub(crate) struct Blob<'a> {
    /// Element type.
    pub(crate) data_type: DataType,
    /// Elements, little endian, packed for types under 8 bits.
    pub(crate) bytes: &'a [u8],
}

impl WeightFile {
    /// Names a file on disk without touching it.
    pub(crate) fn on_disk(path: PathBuf) -> Self {
        Self { path, content: Content::OnDisk(OnceLock::new()) }
    }

    /// Wraps a file that is in memory.
    pub(crate) fn in_memory(path: PathBuf, bytes: Cow<'static, [u8]>) -> Self {
        Self { path, content: Content::InMemory(bytes) }
    }

    /// Returns where the file is, or would be when it is in memory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the file is on disk, not in memory only.
    pub fn is_on_disk(&self) -> bool {
        matches!(self.content, Content::OnDisk(_))
    }

    /// Returns the place of `part` in the file, or `None` when it is no part of it.
    ///
    /// Parameters: `part` — such as the bytes of a [`crate::Constant`]; its address tells, not its
    /// content.
    pub fn range_of(&self, part: &[u8]) -> Option<Range<usize>> {
        let file = match &self.content {
            Content::InMemory(bytes) => bytes.as_ptr_range(),
            // What has not been mapped has no parts.
            Content::OnDisk(mapping) => mapping.get()?.bytes.as_ptr_range(),
        };
        let part = part.as_ptr_range();
        let inside = file.start <= part.start && part.end <= file.end;
        inside.then(|| part.start.addr() - file.start.addr()..part.end.addr() - file.start.addr())
    }

    /// Returns the size of the file in bytes, without mapping it.
    pub(crate) fn size(&self) -> Result<u64, Error> {
        match &self.content {
            Content::InMemory(bytes) => Ok(bytes.len() as u64),
            Content::OnDisk(_) => {
                let metadata =
                    fs::metadata(&self.path).map_err(|error| Error::io(&self.path, error))?;
                Ok(metadata.len())
            }
        }
    }

    /// Returns the whole file, mapping it on first use.
    ///
    /// Errors: [`Error::Io`] when the file cannot be mapped.
    pub fn bytes(&self) -> Result<&[u8], Error> {
        match &self.content {
            Content::InMemory(bytes) => Ok(bytes),
            Content::OnDisk(mapping) => {
                if let Some(mapping) = mapping.get() {
                    return Ok(&mapping.bytes);
                }
                let new = map(&self.path).map_err(|error| Error::io(&self.path, error))?;
                Ok(&mapping.get_or_init(|| new).bytes)
            }
        }
    }

    /// Returns the blob whose metadata stands at `offset`.
    ///
    /// Errors: [`Error::Damaged`] when metadata or data lie outside the file or contradict each
    /// other.
    pub(crate) fn blob(&self, offset: u64) -> Result<Blob<'_>, Error> {
        let file = self.bytes()?;
        let damaged = |what: String| Error::damaged(&self.path, what);
        let version = read_u32(file, 4)
            .ok_or_else(|| damaged(format!("no header in {} bytes", file.len())))?;
        if version != VERSION {
            let what = format!("the weight file has version {version}");
            return Err(Error::unsupported(
                &self.path,
                what,
                "convert the model with coremltools 5 or later",
            ));
        }
        let metadata = slice(file, offset, HEADER_SIZE as u64).ok_or_else(|| {
            damaged(format!("no tensor at offset {offset} in {} bytes", file.len()))
        })?;
        let copy = self.copy_of(metadata, offset);
        let metadata = copy.as_ref().map_or(metadata, |copy| copy.as_slice());
        // The slice has 64 bytes, so none of these reads can fail.
        let (sentinel, code) =
            (read_u32(metadata, 0).unwrap_or(0), read_u32(metadata, 4).unwrap_or(0));
        let (size, start) =
            (read_u64(metadata, 8).unwrap_or(0), read_u64(metadata, 16).unwrap_or(0));
        if sentinel != SENTINEL {
            return Err(damaged(format!(
                "no tensor at offset {offset}: the sentinel is {sentinel:#x}"
            )));
        }
        let data_type = DataType::from_blob(code).ok_or_else(|| {
            damaged(format!("the tensor at offset {offset} has the unknown type {code}"))
        })?;
        let bytes = slice(file, start, size).ok_or_else(|| {
            damaged(format!(
                "the tensor at offset {offset} claims bytes {start} and {size} on, but the file \
                has {}",
                file.len()
            ))
        })?;
        Ok(Blob { data_type, bytes })
    }

    /// Returns a copy of metadata, read from the file: the system maps sixteen pages around each
    /// one that is looked at, which is hundreds of megabytes for thousands of tensors. `None` when
    /// the bytes of `metadata` themselves will have to do.
    #[cfg(unix)]
    fn copy_of(&self, metadata: &[u8], offset: u64) -> Option<[u8; HEADER_SIZE]> {
        use std::os::unix::fs::FileExt;
        let Content::OnDisk(mapping) = &self.content else { return None };
        let mut copy = [0; HEADER_SIZE];
        mapping.get()?.file.read_exact_at(copy.get_mut(..metadata.len())?, offset).ok()?;
        Some(copy)
    }

    /// Returns nothing: elsewhere there is no such reading without a seek that others could
    /// disturb.
    #[cfg(not(unix))]
    fn copy_of(&self, _: &[u8], _: u64) -> Option<[u8; HEADER_SIZE]> {
        None
    }
}

/// Opens a file.
fn map(path: &Path) -> io::Result<Mapped> {
    let file = File::open(path)?;
    Ok(Mapped { bytes: bytes_of(&file)?, file })
}

/// Maps a file.
#[cfg(feature = "mapped-weights")]
fn bytes_of(file: &File) -> io::Result<Bytes> {
    #[expect(unsafe_code, reason = "weights of gigabytes are mapped, not copied")]
    // SAFETY: the mapping is read-only and private to its owner. Soundness needs that nobody
    // changes the file while it is mapped; `Package::open` demands that of its caller, and packages
    // are published by renaming complete files, never by writing into them.
    unsafe {
        Bytes::map(file)
    }
}

/// Reads a file.
#[cfg(not(feature = "mapped-weights"))]
fn bytes_of(mut file: &File) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut file, &mut bytes)?;
    Ok(bytes)
}

/// Returns `size` bytes from `start` on, or `None` when they do not all exist.
fn slice(bytes: &[u8], start: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    bytes.get(start..end)
}

/// Returns the little-endian number at `at`.
fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Returns the little-endian number at `at`.
fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
