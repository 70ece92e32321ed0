//! Bringing cache entries into `OUT_DIR`, where the macro, the tests and the program look for them.
//!
//! Owns: the files in the folder of a manifest. Afterwards they are exactly those of its models:
//! what is right is not touched, what an interrupted run left behind is repaired, what is stale is
//! removed.
//! Must not: change a cache entry; its files are linked, read-only and with pinned times.
//! Flow: `build/deliver.rs` → [`models`], then [`index`] last, so that a new index never names
//! files that are not there yet.

use crate::cache::layout::PINNED_TIME;
use crate::cache::{Digests, Entry};
use crate::files::{Existing, UNFINISHED, write_whole, write_with};
use coreml_spec::{ABSENT_ENDING, COMPILED_EXTENSION, INDEX_FILE, Index};
use std::collections::BTreeSet;
use std::fs::{File, FileTimes, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The file beside the index that says what was cached: for people and examples, no part of the
/// build.
pub(crate) const BUILD_FILE: &str = "build.json";

/// Folder beside the index for what is linked into the program.
pub(crate) const EMBEDDED_FOLDER: &str = "embedded";

/// Names of a model's files in the folder of its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputNames {
    /// Folder of the package: `encoder.mlpackage`.
    pub(crate) package: String,
    /// Files with samples: `encoder.samples.0.safetensors`.
    pub(crate) samples: Vec<String>,
    /// File with the report: `encoder.report.json`.
    report: String,
}

impl OutputNames {
    /// Returns the names for the model `name` whose entry is `entry`.
    pub(crate) fn new(name: &str, entry: &Entry) -> Self {
        Self {
            package: format!("{name}.mlpackage"),
            samples: entry
                .samples()
                .iter()
                .map(|sample| format!("{name}.samples.{}", sample.path))
                .collect(),
            report: format!("{name}.report.json"),
        }
    }
}

/// Makes the files in `folder` those of `models`.
///
/// Parameters: `copies` — files of the user's that are copied, because they can change: where each
/// lies, its place in `folder`, and its digest.
/// Errors: with the path; `folder` may then be half done, and the next run repairs it.
pub(crate) fn models(
    folder: &Path,
    models: &[(&OutputNames, &Entry)],
    copies: &[(&Path, &Path, &str)],
    digests: &Digests,
) -> io::Result<()> {
    let mut files = Vec::new();
    for (names, entry) in models {
        let package = folder.join(&names.package);
        files.extend(
            entry.package_files().into_iter().map(|content| (package.join(content.path), content)),
        );
        let samples = entry.samples().into_iter().zip(&names.samples);
        files.extend(samples.map(|(content, name)| (folder.join(name), content)));
        files.extend(entry.report().map(|content| (folder.join(&names.report), content)));
    }
    let mut expected = BTreeSet::from([folder.join(INDEX_FILE), folder.join(BUILD_FILE)]);
    expected.extend(files.iter().map(|(path, _)| path.clone()));
    expected.extend(copies.iter().map(|(_, path, _)| folder.join(path)));
    remove_others(folder, &expected)?;
    for (source, path, sha256) in copies {
        let path = folder.join(path);
        copy(source, &path, sha256, digests).map_err(|error| named(&path, &error))?;
    }
    for (path, content) in files {
        if !is_right(&path, &content.source, content.size, content.sha256, digests) {
            place(&content.source, &path).map_err(|error| named(&path, &error))?;
            digests.remember(&path, content.sha256);
        }
    }
    Ok(())
}

/// Leaves nothing in `folder` but, for each package, a file that says why it is not there.
///
/// Parameters: `packages` — folder name and reason of each.
pub(crate) fn absent(folder: &Path, packages: &[(String, String)]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let absent: Vec<_> = packages
        .iter()
        .map(|(package, reason)| (folder.join(format!("{package}{ABSENT_ENDING}")), reason))
        .collect();
    let mut expected = BTreeSet::from([folder.join(INDEX_FILE)]);
    expected.extend(absent.iter().map(|(path, _)| path.clone()));
    remove_others(folder, &expected)?;
    for (path, reason) in absent {
        write_whole(&path, reason.as_bytes()).map_err(|error| named(&path, &error))?;
    }
    Ok(())
}

/// Writes the index, unless it says the same already: the macro's crate is compiled again when it
/// is written.
///
/// Returns: its bytes.
pub(crate) fn index(folder: &Path, index: &Index) -> io::Result<Vec<u8>> {
    let path = folder.join(INDEX_FILE);
    let content = serde_json::to_vec_pretty(index)?;
    if !std::fs::read(&path).is_ok_and(|before| before == content) {
        write_whole(&path, &content).map_err(|error| named(&path, &error))?;
    }
    Ok(content)
}

/// Returns `error` with the path that it is about.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Returns whether the file at `path` is the entry's file or an undamaged copy of it.
fn is_right(path: &Path, source: &Path, size: u64, sha256: &str, digests: &Digests) -> bool {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return false };
    if std::fs::metadata(source).is_ok_and(|source| is_same_file(&source, &metadata)) {
        return true;
    }
    let pinned = metadata.modified().is_ok_and(|time| time == UNIX_EPOCH + PINNED_TIME);
    metadata.is_file()
        && pinned
        && metadata.len() == size
        && digests.of_file(path).is_ok_and(|digest| digest == sha256)
}

/// Returns whether two files are one.
#[cfg(unix)]
fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Returns false: there is no stable way to know.
#[cfg(not(unix))]
fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
    false
}

/// Copies a file of the user's, unless the copy is there.
fn copy(source: &Path, path: &Path, sha256: &str, digests: &Digests) -> io::Result<()> {
    let is_right = || digests.of_file(path).is_ok_and(|digest| digest == sha256);
    if is_right() {
        return Ok(());
    }
    write_with(path, Existing::Replaced, |copy| {
        io::copy(&mut File::open(source)?, copy).map(drop)
    })?;
    if is_right() {
        return Ok(());
    }
    Err(io::Error::other(format!("{} was changed while it was copied", source.display())))
}

/// Links `source` to `path`, or copies it where links do not work; whatever stood there before is
/// replaced at once.
fn place(source: &Path, path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let link = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .make_in(folder, |link| std::fs::hard_link(source, link));
    match link {
        Ok(link) => Ok(link.into_temp_path().persist(path)?),
        Err(_) => write_with(path, Existing::Replaced, |copy| fill(source, copy)),
    }
}

/// Copies `source` into `copy`, read-only and with the pinned time.
fn fill(source: &Path, copy: &mut File) -> io::Result<()> {
    io::copy(&mut File::open(source)?, copy)?;
    copy.set_times(FileTimes::new().set_modified(UNIX_EPOCH + PINNED_TIME))?;
    let mut permissions = std::fs::metadata(source)?.permissions();
    permissions.set_readonly(true);
    copy.set_permissions(permissions)
}

/// Removes everything in `folder` that is not among the files `expected`, apart from the embedded
/// objects and the compiled models, which `compiler.rs` removes.
fn remove_others(folder: &Path, expected: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|error| named(folder, &error))? {
        let entry = entry?;
        let (path, is_folder) = (entry.path(), entry.file_type()?.is_dir());
        let next = expected.range(path.clone()..).next();
        let is_compiled = path.extension().is_some_and(|extension| extension == COMPILED_EXTENSION);
        if entry.file_name() == EMBEDDED_FOLDER
            || is_compiled
            || (!is_folder && next == Some(&path))
        {
            continue;
        }
        if is_folder && next.is_some_and(|next| *next != path && next.starts_with(&path)) {
            remove_others(&path, expected)?;
        } else {
            remove(&path).map_err(|error| named(&path, &error))?;
        }
    }
    Ok(())
}

/// Removes a file or a whole folder; one that is not there is no error.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
