//! `cargo coreml doctor`: whether this machine can convert models.
//!
//! Owns: the text and the JSON form of the answer. Must not: examine the machine;
//! `coreml_build::doctor` does.
//! Flow: `main.rs` → [`run`] → [`coreml_build::doctor::examine`].

use crate::failure::Failure;
use crate::style::Style;
use crate::table;
use coreml_build::doctor::{Health, examine};
use std::io::Write;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
Nothing is installed, changed or downloaded.

Examples:
  cargo coreml doctor
  cargo coreml doctor --json | jq '.[] | select(.health == \"bad\")'

Exit codes:
  0  models can be converted on this machine
  1  something is missing; its line says what to do
  2  the arguments are wrong";

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Print everything as JSON: [{"subject", "health", "found", "cures"}]
    #[arg(long)]
    json: bool,
}

/// Examines this machine.
///
/// Errors: something is missing, after everything was printed.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let all = examine(&std::env::current_dir()?);
    if arguments.json {
        serde_json::to_writer_pretty(&mut *output, &all).map_err(std::io::Error::from)?;
        writeln!(output)?;
    } else {
        for diagnosis in &all {
            let mark = match diagnosis.health {
                Health::Good => Style::Good.paint("ok  "),
                Health::Note => Style::Info.paint("note"),
                Health::Warn => Style::Warn.paint("warn"),
                Health::Bad => Style::Error.paint("bad "),
            };
            writeln!(
                output,
                "{mark}  {:<9}  {}",
                diagnosis.subject,
                table::printable(&diagnosis.found)
            )?;
            for cure in &diagnosis.cures {
                writeln!(output, "      {:<9}  → {}", "", table::printable(cure))?;
            }
        }
    }
    match all.iter().filter(|diagnosis| diagnosis.health == Health::Bad).count() {
        0 => Ok(()),
        count => Err(format!("{count} of {} checks failed", all.len()).into()),
    }
}
