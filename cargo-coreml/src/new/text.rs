//! `cargo coreml new --transformers FOLDER`: a model of the library transformers, and a program
//! that tokenizes a text for it.
//!
//! Owns: reading what the manifest says of the repository's own files: task, vocabulary, lengths.
//! Must not: write files; ask the hub.
//! Flow: `new.rs` → [`text`].

use super::template::{Dependency, Template, named};
use crate::failure::Failure;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a repository that are read here.
const CONFIG: &str = "config.json";
/// The vocabulary in the form of the crate `tokenizers`.
const TOKENIZER: &str = "tokenizer.json";

/// The longest text that is proposed, in tokens: longer ones need much memory for attention.
const MOST_TOKENS: u64 = 512;

/// The lengths below the longest one that are converted, in tokens.
const SIZES: [u64; 2] = [32, 128];

/// What the last word of an architecture's name means, with an output.
const TASKS: [(&str, &str, &str); 4] = [
    ("ForSequenceClassification", "text-classification", ""),
    ("ForTokenClassification", "token-classification", "logits"),
    ("ForMaskedLM", "fill-mask", "logits"),
    ("Model", "feature-extraction", "last_hidden_state"),
];

/// The crate that makes tokens of texts.
pub(super) const TOKENIZERS: Dependency =
    Dependency { name: "tokenizers", version: "0.22", features: &["fancy-regex"] };

/// The program, up to what is printed.
const PROGRAM: &str = r#"//! WHAT: `cargo run -- TEXT`.

use coreml_rt::{TensorView, coreml_model};
use std::error::Error;
use tokenizers::{Tokenizer, TruncationParams};

#[coreml_model("NAME.toml")]
pub mod NAME {}

/// The vocabulary and its rules, as the model was trained with them: a part of the program.
const TOKENIZER: &[u8] = include_bytes!("../FOLDER/tokenizer.json");

/// Most tokens that the model takes, as in NAME.toml; what is behind them is cut off.
const MOST_TOKENS: usize = MOST;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let text = std::env::args().nth(1).ok_or("usage: cargo run -- TEXT")?;
    let mut tokenizer = Tokenizer::from_bytes(TOKENIZER)?;
    let longest = TruncationParams { max_length: MOST_TOKENS, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(longest))?.with_padding(None);
    let tokens = tokenizer.encode(text, true)?;
    let ids = tokens.get_ids().iter().map(|id| i32::try_from(*id)).collect::<Result<Vec<_>, _>>()?;
    let model = NAME::Model::load()?;
    let input_ids = TensorView::from_slice_with_dims(&ids, [1, ids.len()])?;
    let output = model.predict(&NAME::Input { input_ids })?;
PRINT
    Ok(())
}
"#;

/// What a classifier prints.
const LABEL: &str = r#"    let label = output.class_label;
    println!("{label} {:.0} %", 100.0 * output.class_label_probs.get(label));"#;

/// What another model prints.
const DIMENSIONS: &str = r#"    println!("OUTPUT {:?}: {:.3?} …", output.OUTPUT.dims(), &output.OUTPUT.as_slice()[..3]);"#;

/// What the buckets of a classifier are told besides.
const SEPARATE: &str = "\
# Classifiers cannot share weights: each length holds all. Fewer lengths make a smaller program.
share-weights = false
";

/// What the repository says of its model.
struct Repository {
    /// The folder, from the crate's.
    folder: String,
    /// The task, by the hub's name.
    task: &'static str,
    /// The output that the program shows; empty for a classifier.
    output: &'static str,
    /// How many tokens there are.
    vocabulary: u64,
    /// The token behind the end of a text.
    padding: u64,
    /// The longest text, in tokens.
    longest: u64,
}

/// Returns the model of a repository.
///
/// Parameters: `root` — the crate; `folder` — as the user named it.
/// Errors: the folder is not below the crate, lacks a file, or is a model of something else.
pub(super) fn text(name: &str, root: &Path, folder: &Path) -> Result<Template, Failure> {
    let repository = read(root, folder)?;
    let what = match repository.output {
        "" => "Says what kind of text it is",
        _ => "Shows what the model makes of a text",
    };
    let print = match repository.output {
        "" => LABEL.to_owned(),
        output => DIMENSIONS.replace("OUTPUT", output),
    };
    let program = PROGRAM
        .replace("WHAT", what)
        .replace("PRINT", &print)
        .replace("MOST;", &format!("{};", repository.longest))
        .replace("FOLDER", &repository.folder);
    Ok(Template {
        manifest: manifest(&repository),
        python: None,
        program: Some(named(&program, name)),
        picture: None,
        features: &[],
        dependency: Some(TOKENIZERS),
        next: vec!["the first build installs the library transformers, too".to_owned()],
    })
}

/// Reads what the files of the repository say.
fn read(root: &Path, named: &Path) -> Result<Repository, Failure> {
    let folder = within(root, named)?;
    let lacks = |file: &str, what: &str| {
        format!(
            "{}: it has no {file}: name the folder of a model of transformers, {what}",
            named.display()
        )
    };
    let path = root.join(&folder);
    let config = fs::read(path.join(CONFIG))
        .map_err(|_| lacks(CONFIG, "as `save_pretrained` or `hf download` writes it"))?;
    let config: Value = serde_json::from_slice(&config)
        .map_err(|error| format!("{}: {error}", named.join(CONFIG).display()))?;
    if !path.join(TOKENIZER).is_file() {
        return Err(lacks(
            TOKENIZER,
            "with the vocabulary that `AutoTokenizer.from_pretrained(…).save_pretrained(FOLDER)` \
             writes",
        )
        .into());
    }
    let architecture = config["architectures"][0].as_str().unwrap_or_default();
    let fitting = TASKS.iter().find(|(ending, ..)| architecture.ends_with(ending));
    let (Some((_, task, output)), Some(vocabulary), false) = (
        fitting,
        config["vocab_size"].as_u64().filter(|size| *size > 0),
        config["is_encoder_decoder"].as_bool().unwrap_or_default(),
    ) else {
        return Err(format!(
            "{}: its architecture is {architecture:?}, and not an encoder of texts \
             ({}): write the manifest by hand, as docs/manifest.md shows under \"Models of \
             transformers\"",
            named.join(CONFIG).display(),
            TASKS.map(|(ending, ..)| format!("…{ending}")).join(", "),
        )
        .into());
    };
    let padding = config["pad_token_id"].as_u64().unwrap_or_default();
    let longest = longest(&config, padding, &path);
    Ok(Repository { folder, task, output, vocabulary, padding, longest })
}

/// Returns a folder as a path from the crate, with `/`.
pub(super) fn within(root: &Path, named: &Path) -> Result<String, Failure> {
    let absolute: PathBuf = std::path::absolute(named)?.components().collect();
    let inside = absolute.strip_prefix(root).map_err(|_| {
        format!(
            "{}: it is not in the package {}: copy it there, for example to models/; a build reads \
             only files of its package",
            named.display(),
            root.display()
        )
    })?;
    Ok(inside.to_string_lossy().replace('\\', "/"))
}

/// Returns how many tokens a text may have, at most.
fn longest(config: &Value, padding: u64, folder: &Path) -> u64 {
    let positions = config["max_position_embeddings"].as_u64().unwrap_or(MOST_TOKENS);
    // These number positions from the one behind the padding's.
    let kind = config["model_type"].as_str().unwrap_or_default();
    let skips = ["roberta", "camembert", "mpnet"].iter().any(|name| kind.contains(name));
    let positions = if skips { positions.saturating_sub(padding + 1) } else { positions };
    let said = fs::read(folder.join("tokenizer_config.json"))
        .ok()
        .and_then(|text| serde_json::from_slice::<Value>(&text).ok())
        .and_then(|tokenizer| tokenizer["model_max_length"].as_u64());
    positions.min(said.unwrap_or(MOST_TOKENS)).clamp(1, MOST_TOKENS)
}

/// Returns the manifest.
fn manifest(repository: &Repository) -> String {
    let Repository { folder, task, output, vocabulary, padding, longest } = repository;
    let sizes: Vec<String> =
        SIZES.iter().filter(|size| *size < longest).chain([longest]).map(u64::to_string).collect();
    let (result, share) = match *output {
        "" => ("classifier = {}".to_owned(), SEPARATE),
        output => (format!("outputs.{output} = {{}}"), ""),
    };
    let last = vocabulary.saturating_sub(1);
    let length = format!("{{ min = 1, max = {longest}, symbol = \"length\" }}");
    let folder = toml::Value::from(folder.as_str());
    format!(
        r#"# A model of the library transformers: its files, its task, and the lengths of its texts.

[python]
dependencies = ["transformers>=5"]

[model]
source = {{ transformers = {folder}, task = "{task}" }}
{result}

# Token ids of the vocabulary; the program does not see the mask, which says where a text ends.
inputs.input_ids = {{ shape = [1, {length}], dtype = "int32", sample = {{ range = [0, {last}] }} }}
inputs.attention_mask = {{ shape = [1, {length}], dtype = "int32" }}

# Each of these lengths is converted; a text runs in the smallest that it fits into.
[model.buckets]
input = "input_ids"
axis = 1
sizes = [{}]
pad = {padding}
mask = "attention_mask"
{share}"#,
        sizes.join(", ")
    )
}
