//! Packages inside the program: `embed = true`.
//!
//! Owns: the assembler text that includes a package's files, their symbols, and the library made of
//! it.
//! Must not: send the bytes through rustc; `.incbin` costs no memory and hardly any time.
//! Flow: `build/deliver.rs` → [`assemble`], after the packages are in `OUT_DIR`; `cargo.rs` tells
//! cargo to link the library; generated code declares the symbols.

use crate::error::{Error, ErrorKind};
use coreml_spec::EmbeddedFile;
use std::path::{Path, PathBuf};

/// Alignment of every file, in bytes: that of weight blobs, and of a cache line.
const ALIGNMENT: usize = 64;

/// Hexadecimal digits of the package's digest in its symbols.
const DIGEST_DIGITS: usize = 16;

/// Largest sum of embedded files, in bytes: code reaches data at most 2 GiB away.
const SIZE_LIMIT: u64 = (2 << 30) - (64 << 20);

/// For which system the program is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Target triple (`TARGET`).
    pub target: String,
    /// Host triple (`HOST`).
    pub host: String,
}

impl Target {
    /// Returns whether the program is for a system of Apple's.
    pub(crate) fn is_apple(&self) -> bool {
        self.target.contains("-apple-")
    }
}

/// A static library that the program must be linked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// The name, without `lib` and ending.
    pub name: String,
    /// The folder that it lies in.
    pub folder: PathBuf,
}

/// A package to embed.
#[derive(Debug)]
pub(crate) struct Embedding<'a> {
    /// Its content digest.
    pub(crate) digest: &'a str,
    /// Its files: path inside the package, absolute path, size in bytes.
    pub(crate) files: Vec<(String, PathBuf, u64)>,
}

/// Returns the symbols of a package's files.
pub(crate) fn symbols(package: &Embedding<'_>) -> Vec<EmbeddedFile> {
    let prefix = package.digest.get(..DIGEST_DIGITS).unwrap_or(package.digest);
    let files = package.files.iter().enumerate();
    files
        .map(|(n, (path, ..))| EmbeddedFile {
            path: path.clone(),
            symbol: format!("coreml_{prefix}_{n}"),
        })
        .collect()
}

/// Assembles `packages` into a static library in `folder`, unless it is there already.
pub(crate) fn assemble(
    packages: &[Embedding<'_>],
    target: &Target,
    folder: &Path,
) -> Result<Library, Error> {
    let size: u64 = packages.iter().flat_map(|package| &package.files).map(|(.., size)| size).sum();
    if size > SIZE_LIMIT {
        return Err(Error::new(
            ErrorKind::Embedding,
            format!(
                "`embed = true`: the packages have {size} bytes, but at most {SIZE_LIMIT} fit \
                into a program"
            ),
        )
        .advise("leave `embed` out and ship the package beside the program"));
    }
    let text = assembly(packages, &target.target)?;
    let name =
        format!("coreml_embedded_{}", &crate::digest::of_bytes(text.as_bytes())[..DIGEST_DIGITS]);
    let library = Library { name, folder: folder.to_owned() };
    let done = folder.join("assembled");
    if std::fs::read_to_string(&done).is_ok_and(|name| name == library.name) {
        return Ok(library);
    }
    let storage =
        |error: std::io::Error| Error::output("write the embedded packages", folder, error);
    std::fs::create_dir_all(folder).map_err(storage)?;
    let source = folder.join("embedded.S");
    std::fs::write(&source, text).map_err(storage)?;
    cc::Build::new()
        .file(&source)
        .target(&target.target)
        .host(&target.host)
        .opt_level(0)
        .debug(false)
        .out_dir(folder)
        .cargo_output(false)
        .cargo_metadata(false)
        .cargo_warnings(false)
        .emit_rerun_if_env_changed(false)
        .try_compile(&library.name)
        .map_err(|error| {
            Error::new(
                ErrorKind::Embedding,
                format!("`embed = true`: the packages cannot be assembled: {error}"),
            )
            .advise(
                "install a C compiler for the target: on Debian and Ubuntu gcc, on a Mac the \
                command line tools; or set CC",
            )
            .caused_by(error)
        })?;
    std::fs::write(&done, &library.name).map_err(storage)?;
    Ok(library)
}

/// What differs between object formats.
#[derive(Debug)]
struct Format {
    /// Begins the section of constants.
    section: &'static str,
    /// What the system's C compiler puts before every symbol.
    symbol_prefix: &'static str,
    /// Directive that keeps a symbol inside the program.
    hide: &'static str,
    /// What must stand at the end.
    end: &'static str,
}

impl Format {
    /// Returns the format of a target.
    fn of(target: &str) -> Result<Self, Error> {
        let unsupported = |what: &str| {
            Error::new(
                ErrorKind::Unsupported,
                format!("`embed = true` is not supported yet for {what} ({target})"),
            )
            .advise("leave `embed` out: the package is then found beside the program")
        };
        if target.contains("-apple-") {
            Ok(Self {
                section: ".section __TEXT,__const",
                symbol_prefix: "_",
                hide: ".private_extern",
                end: "",
            })
        } else if target.ends_with("-msvc") {
            Err(unsupported("Microsoft's assembler, which cannot include files"))
        } else if target.contains("-windows-") {
            let symbol_prefix = if target.starts_with("i686") { "_" } else { "" };
            Ok(Self { section: ".section .rdata,\"dr\"", symbol_prefix, hide: "", end: "" })
        } else if target.starts_with("wasm") {
            Err(unsupported("WebAssembly"))
        } else {
            Ok(Self {
                section: ".section .rodata.coreml,\"a\",%progbits",
                symbol_prefix: "",
                hide: ".hidden",
                end: ".section .note.GNU-stack,\"\",%progbits\n",
            })
        }
    }
}

/// Returns the assembler text that includes all files of `packages`.
fn assembly(packages: &[Embedding<'_>], target: &str) -> Result<String, Error> {
    let format = Format::of(target)?;
    let mut text = format!("{}\n", format.section);
    for package in packages {
        for (file, (_, path, _)) in symbols(package).iter().zip(&package.files) {
            let (begin, path) = (format!("{}{}", format.symbol_prefix, file.symbol), quoted(path)?);
            for symbol in [&begin, &format!("{begin}_end")] {
                text.push_str(&format!(".globl {symbol}\n"));
                if !format.hide.is_empty() {
                    text.push_str(&format!("{} {symbol}\n", format.hide));
                }
            }
            text.push_str(&format!(
                ".balign {ALIGNMENT}\n{begin}:\n.incbin {path}\n{begin}_end:\n"
            ));
        }
    }
    Ok(text + format.end)
}

/// Returns a path as an assembler's string.
fn quoted(path: &Path) -> Result<String, Error> {
    let text =
        path.to_str().filter(|text| !text.chars().any(char::is_control)).ok_or_else(|| {
            Error::new(
                ErrorKind::Embedding,
                format!("`embed = true`: the assembler cannot read the path {}", path.display()),
            )
            .advise("build in a folder whose name is plain text (CARGO_TARGET_DIR)")
        })?;
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests;
