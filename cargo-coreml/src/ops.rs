//! `cargo coreml ops`: which MIL operations the portable backend runs.
//!
//! Owns: the text, JSON and Markdown forms of the table. Must not: know operations; the rows of
//! `coreml-portable` do.
//! Flow: `main.rs` → [`run`] → [`coreml_portable::operations`]. `docs/operations.md` is the
//! Markdown form.

use crate::failure::Failure;
use crate::table::{self, Align};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use coreml_portable::{EngineKind, Limit, Op, Opset, operations};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// What `--help` prints after the options.
const EXAMPLES: &str = "\
A version is the first opset in which an operation has a new meaning. CoreML5 is iOS 15, CoreML6
iOS 16, CoreML7 iOS 17, CoreML8 iOS 18, CoreML9 iOS 26.

Examples:
  cargo coreml ops
  cargo coreml ops --engine rten
  cargo coreml ops --json | jq '.operations[] | select(.name == \"conv\")'
  cargo coreml ops --markdown > docs/operations.md

Exit codes:
  0  done
  2  the arguments are wrong";

/// What the Markdown form begins with.
const MARKDOWN: &str = "\
# Operations of the portable backend

All operations that coremltools 9.0 can write, and `write_state`, which it writes for its
`coreml_update_state`. Each version of an operation is a row of a table in
`coreml-portable/src/ops/`. `cargo coreml ops --markdown` writes this page from these tables, and a
test fails when the page is out of date. Every supported row has a case with a reference from
PyTorch, coremltools or NumPy that runs on both engines; a program reaches every limit.

A limit is an error when the model is loaded, except for those in *italics*: for some numbers the
result is another one than the reference. A case shows each.

Two errors apply to every operation when the model is loaded: an argument that must be constant but
is computed, and a value that MIL does not define.
";

/// Arguments of the subcommand.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Show only one engine
    #[arg(long, value_name = "ENGINE", value_parser = engine())]
    engine: Option<EngineKind>,
    /// Print everything as JSON: {"engines", "operations"}
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the page docs/operations.md
    #[arg(long, conflicts_with = "engine")]
    markdown: bool,
}

/// Returns the parser of an engine's name.
fn engine() -> impl TypedValueParser<Value = EngineKind> {
    let names = EngineKind::ALL.map(EngineKind::name);
    PossibleValuesParser::new(names)
        .try_map(|name| EngineKind::parse(&name).ok_or("there is no such engine"))
}

/// Shows the table.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Failure> {
    let engines: Vec<EngineKind> = match arguments.engine {
        Some(engine) => vec![engine],
        None => EngineKind::ALL.to_vec(),
    };
    if arguments.json {
        serde_json::to_writer_pretty(&mut *output, &json(&engines))
            .map_err(std::io::Error::from)?;
        writeln!(output)?;
    } else if arguments.markdown {
        markdown(&engines, output)?;
    } else {
        text(&engines, output)?;
    }
    Ok(())
}

/// A version of an operation, and its row.
type Version = (Opset, &'static Op);

/// Returns every version of every row.
fn versions() -> impl Iterator<Item = Version> {
    operations().flat_map(|op| op.versions.iter().map(move |version| (*version, op)))
}

/// Returns the versions of each operation, by name, oldest first.
fn by_name() -> BTreeMap<&'static str, Vec<Version>> {
    let mut names: BTreeMap<_, Vec<_>> = BTreeMap::new();
    versions().for_each(|version| names.entry(version.1.name).or_default().push(version));
    names.values_mut().for_each(|versions| versions.sort_by_key(|(version, _)| *version));
    names
}

/// How much of something is supported.
#[derive(Clone, Copy, Debug, Serialize)]
struct Share {
    /// How many are.
    supported: usize,
    /// How many there are.
    total: usize,
}

impl Share {
    /// Counts.
    fn of<T>(all: impl IntoIterator<Item = T>, is_supported: impl Fn(T) -> bool) -> Self {
        let mut share = Self { supported: 0, total: 0 };
        for one in all {
            share.supported += usize::from(is_supported(one));
            share.total += 1;
        }
        share
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.supported, self.total)
    }
}

/// Counts the operations that an engine has in every version, and the versions that it has.
fn shares(engine: EngineKind) -> (Share, Share) {
    let has = |(_, op): &Version| op.refusal(Some(engine)).is_none();
    let names = Share::of(by_name().values(), |versions| versions.iter().all(has));
    (names, Share::of(versions(), |version| has(&version)))
}

/// Returns the engines that have a limit, as text.
fn who(limit: &Limit) -> String {
    limit.engine.map_or_else(|| "every engine".to_owned(), |engine| engine.to_string())
}

/// Writes the text form.
fn text(engines: &[EngineKind], output: &mut impl Write) -> std::io::Result<()> {
    let mut rows = vec![["engine", "operations", "versions", ""].map(str::to_owned).to_vec()];
    for engine in engines {
        let (names, versions) = shares(*engine);
        let built =
            if engine.is_built() { "" } else { "not in this build (feature `onnxruntime`)" };
        rows.push(vec![
            engine.name().to_owned(),
            names.to_string(),
            versions.to_string(),
            built.to_owned(),
        ]);
    }
    table::write(output, &[Align::Left, Align::Right, Align::Right, Align::Left], &rows)?;
    for (kind, heading) in [
        ((true, false), "Not supported"),
        ((false, false), "Supported except for some arguments"),
        ((false, true), "Other results than PyTorch's for some numbers"),
    ] {
        // Versions of an operation with the same limit share a line.
        let mut lines: Vec<(&str, &Limit, Vec<&str>)> = Vec::new();
        for (version, op) in by_name().into_values().flatten() {
            let concerns = |limit: &&Limit| engines.iter().any(|engine| limit.concerns(*engine));
            let is_kind = |limit: &&Limit| (limit.always, limit.differs) == kind;
            for limit in op.limits.iter().filter(is_kind).filter(concerns) {
                match lines.iter_mut().find(|(name, known, _)| *name == op.name && *known == limit)
                {
                    Some((_, _, versions)) => versions.push(version.name()),
                    None => lines.push((op.name, limit, vec![version.name()])),
                }
            }
        }
        if !lines.is_empty() {
            writeln!(output, "\n{heading}")?;
        }
        let rows = lines.into_iter().map(|(name, limit, versions)| {
            vec![name.to_owned(), versions.join(", "), who(limit), limit.reason.to_owned()]
        });
        table::write(output, &[Align::Left; 4], &rows.collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Writes the Markdown form.
fn markdown(engines: &[EngineKind], output: &mut impl Write) -> std::io::Result<()> {
    writeln!(output, "{MARKDOWN}\n| engine | operations | versions |\n|---|---|---|")?;
    for engine in engines {
        let (names, versions) = shares(*engine);
        writeln!(output, "| {engine} | {names} | {versions} |")?;
    }
    let names: String = engines.iter().map(|engine| format!(" {engine} |")).collect();
    let rules = "---|".repeat(engines.len());
    writeln!(
        output,
        "\n| operation | versions |{names} what it cannot express |\n|---|---|{rules}---|"
    )?;
    for (name, versions) in by_name() {
        let names: Vec<&str> = versions.iter().map(|(version, _)| version.name()).collect();
        write!(output, "| `{name}` | {} |", names.join(", "))?;
        for engine in engines {
            let has = Share::of(&versions, |(_, op)| op.refusal(Some(*engine)).is_none());
            let cell = if has.supported == has.total {
                "yes".to_owned()
            } else if has.supported == 0 {
                "no".to_owned()
            } else {
                has.to_string()
            };
            write!(output, " {cell} |")?;
        }
        let mut limits: Vec<String> = Vec::new();
        for limit in versions.iter().flat_map(|(_, op)| op.limits) {
            let text = limit.engine.map_or_else(String::new, |engine| format!("{engine}: "));
            let mark = if limit.differs { "*" } else { "" };
            let text = format!("{mark}{text}{}{mark}", limit.reason);
            if !limits.contains(&text) {
                limits.push(text);
            }
        }
        writeln!(output, " {} |", limits.join("; "))?;
    }
    Ok(())
}

/// The JSON form.
#[derive(Serialize)]
struct Json {
    /// The engines by name.
    engines: BTreeMap<&'static str, EngineJson>,
    /// The rows, by name and version.
    operations: Vec<RowJson>,
}

/// An engine.
#[derive(Serialize)]
struct EngineJson {
    /// Whether this program was built with it.
    built: bool,
    /// Operations that it has in every version.
    operations: Share,
    /// Versions that it has.
    versions: Share,
}

/// A row.
#[derive(Serialize)]
struct RowJson {
    /// The operation.
    name: &'static str,
    /// First opset of this version.
    since: &'static str,
    /// Parameters by name, and whether each is required.
    parameters: BTreeMap<&'static str, bool>,
    /// Whether each engine supports it.
    engines: BTreeMap<&'static str, bool>,
    /// What it cannot express.
    limits: Vec<LimitJson>,
}

/// A limit.
#[derive(Serialize)]
struct LimitJson {
    /// The engine; `null` for every engine.
    engine: Option<&'static str>,
    /// Whether the operation is never expressed, rather than with some arguments.
    always: bool,
    /// Whether the result is another one for some numbers, rather than an error.
    differs: bool,
    /// What is missing, or what is computed.
    reason: &'static str,
}

/// Returns the JSON form.
fn json(engines: &[EngineKind]) -> Json {
    let engine = |engine: &EngineKind| {
        let (operations, versions) = shares(*engine);
        (engine.name(), EngineJson { built: engine.is_built(), operations, versions })
    };
    let row = |(version, op): Version| {
        let limits =
            op.limits.iter().filter(|limit| engines.iter().any(|engine| limit.concerns(*engine)));
        let limits = limits.map(|limit| LimitJson {
            engine: limit.engine.map(EngineKind::name),
            always: limit.always,
            differs: limit.differs,
            reason: limit.reason,
        });
        RowJson {
            name: op.name,
            since: version.name(),
            parameters: op.params.iter().map(|param| (param.name, param.required)).collect(),
            engines: engines
                .iter()
                .map(|engine| (engine.name(), op.refusal(Some(*engine)).is_none()))
                .collect(),
            limits: limits.collect(),
        }
    };
    Json {
        engines: engines.iter().map(engine).collect(),
        operations: by_name().into_values().flatten().map(row).collect(),
    }
}
