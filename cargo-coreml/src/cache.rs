//! `cargo coreml cache`: lists, verifies, removes, uploads and downloads converted models.
//!
//! Owns: the tables. Must not: touch the cache itself (`coreml-build` does).
//! Flow: `main.rs` → here → `coreml_build::Context`.

use crate::failure::Failure;
use crate::selection::{self, Scope};
use crate::table::{self, Align, bytes};
use coreml_build::{Context, Limits, Moves, Whereabouts};
use std::io::{self, Write};
use std::time::SystemTime;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with the cache.
#[derive(clap::Subcommand)]
enum Command {
    /// List the converted models, the latest used first
    Ls,
    /// Read every file of the cache, and fail when one is damaged
    Verify,
    /// Remove models that were unused for long, and leftovers of killed builds
    Gc(Gc),
    /// Upload the models of manifests to the remote cache
    Push(Scope),
    /// Download the models of manifests from the remote cache
    Pull(Scope),
}

/// The arguments of `gc`.
#[derive(clap::Args)]
struct Gc {
    /// Keep models that were used in the last DAYS days [default: 90, or `max-age-days` of the
    /// config file]
    #[arg(long, value_name = "DAYS")]
    max_age: Option<u64>,
    /// Keep at most this many gigabytes of models [default: 50, or `max-size-gb` of the config
    /// file]
    #[arg(long, value_name = "GB")]
    max_size: Option<u64>,
}

/// Hexadecimal digits of a fingerprint that are shown.
const DIGITS: usize = 16;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// Runs the subcommand.
///
/// Errors: a damaged entry, a model that is not where it should be, or an invalid variable.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    match &arguments.command {
        Command::Ls => ls(&here()?, output),
        Command::Verify => verify(&here()?, output),
        Command::Gc(gc) => collect(gc, output),
        Command::Push(scope) => {
            let moves = each(scope, |context, names| Ok(context.push(names)?))?;
            report(moves, &[Whereabouts::Shared], output)
        }
        Command::Pull(scope) => {
            let moves = each(scope, |context, names| Ok(context.pull(names)?))?;
            report(moves, &[Whereabouts::Local, Whereabouts::Fetched], output)
        }
    }
}

/// Returns a context that belongs to no package.
fn here() -> Result<Context, Failure> {
    Ok(Context::new(selection::options(&std::env::current_dir()?)?))
}

/// Lists.
fn ls(context: &Context, output: &mut impl Write) -> Result<(), Failure> {
    let entries = context.entries();
    let now = SystemTime::now();
    let row = |entry: &coreml_build::Listed| {
        let days = now.duration_since(entry.used).unwrap_or_default().as_secs() / DAY;
        let used = if days == 0 { "today".to_owned() } else { format!("{days} days ago") };
        let fingerprint = entry.fingerprint.get(..DIGITS).unwrap_or(&entry.fingerprint);
        let name = if entry.model.is_empty() { "-" } else { &entry.model };
        vec![
            name.to_owned(),
            bytes(entry.bytes),
            format!("{:.1} s", entry.seconds),
            used,
            fingerprint.to_owned(),
        ]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    table::write(
        output,
        &[Align::Left, Align::Right, Align::Right, Align::Left, Align::Left],
        &rows,
    )?;
    let total = entries.iter().map(|entry| entry.bytes).sum();
    writeln!(output, "{} models, {}", entries.len(), bytes(total))?;
    Ok(())
}

/// Verifies.
fn verify(context: &Context, output: &mut impl Write) -> Result<(), Failure> {
    let damages = context.verify();
    if damages.is_empty() {
        writeln!(output, "{} models, all intact", context.entries().len())?;
        return Ok(());
    }
    let lines = damages.iter().map(|damage| format!("{}: {}", damage.fingerprint, damage.problem));
    let lines = lines.collect::<Vec<_>>().join("\n  ");
    Err(format!("these models are damaged and will be replaced at their next use:\n  {lines}")
        .into())
}

/// Collects.
fn collect(gc: &Gc, output: &mut impl Write) -> Result<(), Failure> {
    let mut options = selection::options(&std::env::current_dir()?)?;
    let limits = Limits::new(gc.max_age.unwrap_or(0), gc.max_size.unwrap_or(0));
    if gc.max_age.is_some() {
        options.limits.age = limits.age;
    }
    if gc.max_size.is_some() {
        options.limits.size = limits.size;
    }
    let collected = Context::new(options).collect(|| {
        // Nothing can be done when standard error is closed.
        let _ = writeln!(io::stderr(), "waiting for the builds that use the cache");
    })?;
    writeln!(
        output,
        "removed {} models with {}, {} Python environments, {} leftovers of killed builds",
        collected.entries,
        bytes(collected.bytes),
        collected.environments,
        collected.leftovers
    )?;
    writeln!(output, "kept {} models with {}", collected.kept, bytes(collected.kept_bytes))?;
    Ok(())
}

/// Does something with the manifests of each package.
pub(crate) fn each(
    scope: &Scope,
    act: impl Fn(&Context, &[&str]) -> Result<Moves, Failure>,
) -> Result<Moves, Failure> {
    let mut all = Moves::default();
    for (context, manifests) in selection::contexts(scope)? {
        let names: Vec<_> = manifests.iter().map(String::as_str).collect();
        let mut moves = act(&context, &names)?;
        all.models.append(&mut moves.models);
        all.warnings.append(&mut moves.warnings);
        all.errors.append(&mut moves.errors);
    }
    Ok(all)
}

/// Prints where models are.
///
/// Parameters: `wanted` — where they should be; when empty, anywhere is right.
pub(crate) fn report(
    moves: Moves,
    wanted: &[Whereabouts],
    output: &mut impl Write,
) -> Result<(), Failure> {
    selection::warn(&moves.warnings);
    let mut rows = Vec::new();
    let mut wrong = 0;
    for moved in &moves.models {
        let place = match moved.whereabouts {
            Whereabouts::Local => "in the local cache",
            Whereabouts::Fetched => "fetched from the remote cache",
            Whereabouts::Shared => "in the remote cache",
            Whereabouts::Ready => "a ready package",
            _ => "in no cache: a build converts it",
        };
        let right = wanted.is_empty()
            || moved.whereabouts == Whereabouts::Ready
            || wanted.contains(&moved.whereabouts);
        wrong += usize::from(!right);
        rows.push(vec![moved.manifest.clone(), moved.model.clone(), place.to_owned()]);
    }
    table::write(output, &[Align::Left; 3], &rows)?;
    if !moves.errors.is_empty() {
        return Err(selection::together(&moves.errors).into());
    }
    if wrong > 0 {
        Err(format!("{wrong} of {} models are not where they should be", rows.len()).into())
    } else {
        Ok(())
    }
}
