//! Builds that find everything in the cache: after `cargo clean` with 200 MB of packages, and when
//! nothing changed.
//!
//! Owns: the measurement of a warm build. Must not: count rustc's work, only the build script's.
//! Flow: a throw-away crate whose build script records its own time; the second build may not find
//! a Python.

use bench_table::{Row, median};
use coreml_tests::UserCrate;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// The crate's name.
const NAME: &str = "bench-warm";

/// Its manifest.
const MANIFEST: &str = "model.toml";

/// Builds that are measured.
const ROUNDS: usize = 5;

/// Two linear layers of 50 million weights, two bytes each.
const SIDE: usize = 7072;

/// A build script that notes how long it took.
const BUILD_SCRIPT: &str = r#"fn main() {
    let start = std::time::Instant::now();
    coreml_build::compile("model.toml");
    let out_dir = std::env::var_os("OUT_DIR").unwrap();
    let noted = std::path::Path::new(&out_dir).join("coreml/model.toml/nanoseconds");
    std::fs::write(noted, start.elapsed().as_nanos().to_string()).unwrap();
}
"#;

/// Measures builds after `cargo clean`, and builds without a change.
pub(crate) fn rows() -> Vec<Row> {
    let user = UserCrate::new(NAME, &[MANIFEST]).with_empty_cache();
    user.write("build.rs", BUILD_SCRIPT);
    user.write("python/networks.py", include_str!("../python/networks.py"));
    let tables = ["left", "right"].map(|name| {
        // Another seed for each, so that they are two packages.
        format!(
            "[models.{name}]\n\
             source = {{ file = \"python/networks.py\", entry = \"linear\", args = {{ inputs = \
             {SIDE}, outputs = {SIDE}, seed = {} }} }}\n\
             inputs.x = {{ shape = [1, {SIDE}], dtype = \"float32\" }}\n",
            name.len()
        )
    });
    user.write(MANIFEST, tables.join("\n"));
    user.write(
        "src/main.rs",
        "#[coreml_rt::coreml_model(\"model.toml\")]\nmod model {}\n\nfn main() {}\n",
    );
    user.cargo(&["build"]).succeeds();
    assert_eq!(user.cached(NAME, MANIFEST), [false, false]);

    let user = user.without_python();
    let mut scripts = Vec::new();
    for _ in 0..ROUNDS {
        user.cargo(&["clean", "-p", NAME]).succeeds();
        user.cargo(&["build"]).succeeds();
        assert_eq!(user.cached(NAME, MANIFEST), [true, true], "the second build converts nothing");
        let noted = std::fs::read_to_string(noted(&user)).unwrap_or_else(|error| panic!("{error}"));
        scripts.push(Duration::from_nanos(
            noted.parse().unwrap_or_else(|error| panic!("{noted}: {error}")),
        ));
    }
    let ran = modified(&user);
    let idle: Vec<Duration> = (0..ROUNDS).map(|_| user.cargo(&["build"]).succeeds().time).collect();
    let runs = u32::from(modified(&user) != ran);
    vec![
        Row::absolute(
            "build script after `cargo clean`, 200 MB of packages, no Python",
            median(scripts).as_secs_f64() * 1e3,
            100.0,
            " ms",
        ),
        Row::absolute(
            "`cargo build` without a change",
            median(idle).as_secs_f64() * 1e3,
            1000.0,
            " ms",
        ),
        Row::absolute("build scripts that it runs", f64::from(runs), 0.0, ""),
    ]
}

/// Returns the file in which the build script notes its time.
fn noted(user: &UserCrate) -> PathBuf {
    user.build_file("debug", NAME, MANIFEST, "nanoseconds")
}

/// Returns when the build script last ran.
fn modified(user: &UserCrate) -> SystemTime {
    noted(user)
        .metadata()
        .and_then(|file| file.modified())
        .unwrap_or_else(|error| panic!("{error}"))
}
