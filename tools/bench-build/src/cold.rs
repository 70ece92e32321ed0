//! A build that converts three models, against three Python scripts that do the same one after the
//! other.
//!
//! Owns: the measurement of a cold build. Must not: count work that is done once per machine: the
//! Python environment and the compilation of dependencies.
//! Flow: a throw-away crate with an empty conversion cache per round, and `python/plain.py` three
//! times.

use bench_table::{Row, median};
use coreml_tests::{UserCrate, python, run};
use std::process::Command;
use std::time::Duration;

/// The crate's name.
const NAME: &str = "bench-cold";

/// How often each side runs.
const ROUNDS: usize = 3;

/// Entry of `networks.py` and shape of its input, for each of the three models.
const MODELS: [(&str, &[usize]); 3] =
    [("convolutions", &[1, 3, 64, 64]), ("perceptron", &[1, 256]), ("attention", &[1, 32, 128])];

/// Measures both sides in turn.
pub(crate) fn rows() -> Vec<Row> {
    let [mut ours, mut by_hand] = [const { Vec::new() }; 2];
    for round in 0..=ROUNDS {
        let build = build();
        let scripts = scripts();
        // The first round compiles the dependencies and fills the disk's cache.
        if round > 0 {
            ours.push(build);
            by_hand.push(scripts);
        }
    }
    vec![Row::ratio(
        "cold `cargo build`, three models, against three Python scripts",
        median(ours),
        median(by_hand),
        0.5,
    )]
}

/// Builds a new crate with an empty cache, and returns how long cargo took.
fn build() -> Duration {
    let user = UserCrate::new(NAME, &["model.toml"]).with_empty_cache();
    user.write("python/networks.py", include_str!("../python/networks.py"));
    let tables = MODELS.map(|(entry, shape)| {
        format!(
            "[models.{entry}]\n\
             source = {{ file = \"python/networks.py\", entry = \"{entry}\" }}\n\
             inputs.x = {{ shape = {shape:?}, dtype = \"float32\" }}\n"
        )
    });
    user.write("model.toml", tables.join("\n"));
    user.write(
        "src/main.rs",
        "#[coreml_rt::coreml_model(\"model.toml\")]\nmod model {}\n\nfn main() {}\n",
    );
    let build = user.cargo(&["build"]).succeeds();
    assert_eq!(user.cached(NAME, "model.toml"), [false; MODELS.len()], "the cache was not empty");
    build.time
}

/// Runs the three scripts, and returns how long they took together.
fn scripts() -> Duration {
    let user = UserCrate::new("bench-scripts", &[]);
    user.write("networks.py", include_str!("../python/networks.py"));
    user.write("plain.py", include_str!("../python/plain.py"));
    let times = MODELS.map(|(entry, shape)| {
        let mut command = Command::new(python());
        command
            .args(["-B", "plain.py", entry, &format!("{entry}.mlpackage")])
            .current_dir(user.path(""));
        command.args(shape.iter().map(usize::to_string));
        run(&mut command).succeeds().time
    });
    times.iter().sum()
}
