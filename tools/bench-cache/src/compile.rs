//! The cost of depending on coreml-build: crates, and CPU seconds of a `cargo build` from nothing.
//!
//! Owns: throw-away crates whose build script does nothing else. Must not: depend on earlier
//! compilations.

use crate::machine;
use bench_table::Row;
use std::path::Path;
use std::process::Command;

/// Clock ticks a second, as Linux counts the time of processes.
const TICKS: f64 = 100.0;

/// Measures each feature.
pub(crate) fn rows() -> Vec<Row> {
    let folder = machine::folder();
    ["", "http", "s3"].map(|feature| row(folder.path(), feature)).into()
}

/// Measures one feature.
fn row(folder: &Path, feature: &str) -> Row {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let package = folder.join(format!("with-{feature}"));
    std::fs::create_dir_all(package.join("src")).unwrap();
    let features = if feature.is_empty() { String::new() } else { format!("{feature:?}") };
    let manifest = format!(
        "[package]\n\
         name = \"user\"\n\
         version = \"0.0.0\"\n\
         edition = \"2024\"\n\
         \n\
         [build-dependencies]\n\
         coreml-build = {{ path = {:?}, features = [{features}] }}\n\
         \n\
         [workspace]\n",
        root.join("coreml-build")
    );
    std::fs::write(package.join("Cargo.toml"), manifest).unwrap();
    // The same versions as here.
    std::fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    let script = "fn main() {\n    \
        if std::env::var_os(\"NEVER\").is_some() {\n        \
        coreml_build::compile(\"m.toml\");\n    \
        }\n\
        }\n";
    std::fs::write(package.join("build.rs"), script).unwrap();
    std::fs::write(package.join("src/lib.rs"), "").unwrap();
    let before = children();
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg("build").current_dir(&package).env("CARGO_TARGET_DIR", package.join("target"));
    for name in ["CARGO_PROFILE_DEV_DEBUG", "CARGO_INCREMENTAL", "RUSTFLAGS"] {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let seconds = (children() - before) / TICKS;
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    // All but the crate itself.
    let crates =
        text.lines().filter(|line| line.trim_start().starts_with("Compiling ")).count() - 1;
    std::fs::remove_dir_all(package.join("target")).unwrap();
    let name = if feature.is_empty() {
        "no feature".to_owned()
    } else {
        format!("the feature `{feature}`")
    };
    Row::stated(
        format!("compiling coreml-build with {name}, from nothing"),
        format!("{crates} crates, {seconds:.0} CPU s"),
    )
}

/// Returns the ticks that ended children took, theirs included.
fn children() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name, which is in brackets and may have blanks.
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // `cutime` and `cstime` are the 16th and 17th field of all, the name being the second.
    fields[13].parse::<f64>().unwrap() + fields[14].parse::<f64>().unwrap()
}
