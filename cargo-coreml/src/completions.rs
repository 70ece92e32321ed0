//! `cargo coreml completions`: the script with which a shell completes the command's arguments.
//!
//! Owns: the paths of such scripts, for the help. Must not: install the script.
//! Flow: `main.rs` → [`run`] → `clap_complete`.

use crate::failure::Failure;
use clap::Command;
use clap_complete::Shell;
use std::io::Write;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
The script completes `cargo-coreml SUBCOMMAND …`. Shells complete `cargo coreml` with cargo's own
script, which does not know the arguments of subcommands.

Examples:
  cargo coreml completions bash > ~/.local/share/bash-completion/completions/cargo-coreml
  cargo coreml completions zsh > \"${fpath[1]}/_cargo-coreml\"
  cargo coreml completions fish > ~/.config/fish/completions/cargo-coreml.fish

Exit codes:
  0  done
  2  the arguments are wrong";

/// How the bash script names the command in the labels of its cases.
const BROKEN_LABEL: &str = "cargo__subcmd__coreml";

/// How it names the command everywhere else.
const LABEL: &str = "cargo__coreml";

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

/// Writes the script.
///
/// Parameters: `command` — the whole command line.
pub(crate) fn run(
    arguments: &Arguments,
    command: Command,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let mut command = command.bin_name("cargo-coreml");
    // clap_complete panics when it cannot write; memory always takes it.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "cargo-coreml", &mut script);
    let mut script = String::from_utf8(script)?;
    if arguments.shell == Shell::Bash {
        // clap_complete 4.6 spells the hyphen of the name in two ways, so that no label of its
        // script would ever match.
        script = script.replace(BROKEN_LABEL, LABEL);
    }
    output.write_all(script.as_bytes())?;
    Ok(())
}
