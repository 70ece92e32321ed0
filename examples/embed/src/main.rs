//! Searches sentences by meaning, and measures how well and how fast that works.
//!
//! Owns: the output. Must not: know Python, Core ML, an engine or tokens.
//! Flow: `lib.rs` computes the vectors; this program compares those of the sentences with that of
//! each query.

use coreml_rt::LoadOptions;
use embed::{Embedder, nearest};
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

/// The sentences that are searched by default, each after its topic and a tab.
const SENTENCES: &str = include_str!("../data/sentences.txt");

/// The default queries, in the same form.
const QUERIES: &str = include_str!("../data/queries.txt");

/// How many sentences are shown for a query.
const SHOWN: usize = 5;

/// How `--help` explains the program.
const HELP: &str = "\
Finds the sentences whose meaning is nearest to a query.

usage: embed [--file FILE] [QUERY]...

  QUERY        what to look for; without one, a query of each topic is run and the hits are counted
  --file FILE  search the lines of this file instead of the 200 sentences of the example

examples:
  cargo run --release -p embed -- \"a goalkeeper\"
  cargo run --release -p embed -- --file notes.txt \"what did the plumber say?\"
";

/// What the user asked for.
#[derive(Default)]
struct Arguments {
    /// A file whose lines are searched.
    file: Option<PathBuf>,
    /// What is searched for.
    queries: Vec<String>,
    /// Whether only the explanation is wanted.
    help: bool,
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments = arguments()?;
    if arguments.help {
        print!("{HELP}");
        return Ok(());
    }
    let own = match &arguments.file {
        Some(file) => Some(
            std::fs::read_to_string(file)
                .map_err(|error| format!("{}: {error}", file.display()))?,
        ),
        None => None,
    };
    let sentences: Vec<&str> = match &own {
        Some(text) => text.lines().filter(|line| !line.trim().is_empty()).collect(),
        None => pairs(SENTENCES).map(|(_, sentence)| sentence).collect(),
    };
    let embedder = Embedder::load(&LoadOptions::new())?;
    let start = Instant::now();
    let vectors =
        sentences.iter().map(|sentence| embedder.embed(sentence)).collect::<Result<Vec<_>, _>>()?;
    let each = 1e3 * start.elapsed().as_secs_f64() / sentences.len().max(1) as f64;
    println!("{} sentences, {each:.1} ms each\n", sentences.len());

    for query in &arguments.queries {
        println!("{query}");
        for (at, cosine) in nearest(&embedder.embed(query)?, &vectors, SHOWN) {
            println!("  {cosine:5.3}  {}", sentences[at]);
        }
        println!();
    }
    if arguments.queries.is_empty() && arguments.file.is_none() {
        measure(&embedder, &vectors)?;
    }
    Ok(())
}

/// Runs the query of each topic, and counts how many of its nearest sentences are of that topic.
fn measure(embedder: &Embedder, vectors: &[Vec<f32>]) -> Result<(), Box<dyn Error + Send + Sync>> {
    let topics: Vec<&str> = pairs(SENTENCES).map(|(topic, _)| topic).collect();
    let (mut first, mut right, mut all, mut queries) = (0, 0, 0, 0);
    for (topic, query) in pairs(QUERIES) {
        let found = nearest(&embedder.embed(query)?, vectors, SHOWN);
        let hits: Vec<bool> = found.iter().map(|&(at, _)| topics[at] == topic).collect();
        println!(
            "{query:34} {} of {} of the topic \"{topic}\"",
            hits.iter().filter(|hit| **hit).count(),
            hits.len()
        );
        first += usize::from(hits.first() == Some(&true));
        right += hits.iter().filter(|hit| **hit).count();
        (all, queries) = (all + hits.len(), queries + 1);
    }
    println!("\nnearest sentence of the topic    {first} of {queries}");
    println!("nearest {SHOWN} of the topic          {:.1} %", 100.0 * right as f64 / all as f64);
    Ok(())
}

/// Splits each line at its tab.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once('\t'))
}

/// Reads the command line.
///
/// Errors: an unknown option, or `--file` without a name.
fn arguments() -> Result<Arguments, Box<dyn Error + Send + Sync>> {
    let mut arguments = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => arguments.help = true,
            "--file" => {
                arguments.file = Some(words.next().ok_or("--file needs the name of a file")?.into())
            }
            option if option.starts_with("--") => {
                return Err(format!("unknown option {option}; see --help").into());
            }
            _ => arguments.queries.push(word),
        }
    }
    Ok(arguments)
}
