//! `cargo coreml man`: a manual page for the command and for each subcommand.
//!
//! Owns: the pages' file names. Must not: install them.
//! Flow: `main.rs` → [`run`] → `clap_mangen`.

use crate::failure::Failure;
use clap::Command;
use std::io::Write;
use std::path::PathBuf;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
Writes cargo-coreml.1 and cargo-coreml-SUBCOMMAND.1, for `man cargo-coreml-verify` and
`cargo help coreml`.

Examples:
  cargo coreml man ~/.local/share/man/man1

Exit codes:
  0  done
  1  a page cannot be written
  2  the arguments are wrong";

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where to write; the folder is created
    folder: PathBuf,
}

/// Writes the pages.
///
/// Parameters: `command` — the whole command line.
/// Errors: a page cannot be written.
pub(crate) fn run(
    arguments: &Arguments,
    command: Command,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let folder = &arguments.folder;
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(failed)?;
    // clap's own `help` needs no page.
    let mut command =
        command.name("cargo-coreml").bin_name("cargo-coreml").disable_help_subcommand(true);
    command.build();
    clap_mangen::generate_to(command.clone(), folder).map_err(failed)?;
    writeln!(output, "{}: cargo-coreml.1 and a page for each subcommand", folder.display())?;
    Ok(())
}
