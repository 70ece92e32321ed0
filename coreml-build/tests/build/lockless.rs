//! Caches on file systems whose locks do not work: they fail, as on some network file systems, or
//! they do nothing, as between machines that do not tell the server. Both are made by a library
//! that takes the place of the system's call.
//!
//! Many processes build, fetch and collect over one cache; a model may then be converted twice, but
//! every build is right.

use crate::package::{Package, build, cached, entries_of};
use crate::remote::content;
use crate::stand_in::{CONVERT_ALL, StandIn};
use coreml_build::{Context, Limits, Options, Remote};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the folder of the package, and the number of the process, for [`builder`].
const VARIABLES: [&str; 2] = ["COREML_TEST_LOCKLESS", "COREML_TEST_LOCKLESS_NUMBER"];

/// Processes, and crates that they build.
const COUNTS: [usize; 2] = [16, 8];

/// Returns a manifest with a model that all crates have, and one of its own.
fn manifest(number: usize) -> String {
    format!(
        "[defaults]\ninputs.x = {{ shape = [1, 3] }}\n\n[models.common]\nsource = {{ file = \
        \"net.py\", entry = \"net\" }}\n\n\
         [models.own]\nsource = {{ file = \"net.py\", entry = \"net\", args = {{ n = {number} }} \
         }}\n"
    )
}

/// Returns the options of a process.
fn options(folder: &Path, number: usize) -> Options {
    let mut options = Options::new(
        folder.join("package"),
        folder.join(format!("out-{number}")),
        folder.join("cache"),
    );
    options.python.interpreter = Some(folder.join("stand-in/python"));
    let mut remote = Remote::parse(folder.join("remote").to_str().unwrap()).unwrap();
    remote.write = true;
    options.remote = Some(remote);
    options.limits = Limits::new(0, 0);
    options
}

/// The process that builds.
#[test]
#[ignore = "started by the tests below"]
fn builder() {
    let [folder, number] = VARIABLES.map(|name| std::env::var_os(name).expect(name));
    let number: usize = number.to_str().unwrap().parse().unwrap();
    let options = options(Path::new(&folder), number);
    let built = build(options.clone(), &format!("m{}.toml", number % COUNTS[1]));
    let converted = cached(&built).iter().filter(|cached| !**cached).count();
    assert_eq!(built.warnings, [] as [String; 0]);
    if number.is_multiple_of(4) {
        // Beside the others' builds.
        Context::new(options).collect(|| {}).unwrap();
    }
    println!("converted: {converted}");
}

/// Makes a library in which `flock` does `what`.
fn library(folder: &Path, what: &str) -> PathBuf {
    let (source, library) = (folder.join("flock.c"), folder.join("flock.so"));
    std::fs::write(
        &source,
        format!("#include <errno.h>\nint flock(int file, int operation) {{ {what} }}\n"),
    )
    .unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    let made = compiler.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    library
}

/// Runs all processes at once with that library; asserts that everything is right.
fn sixteen_builds(what: &str) {
    let package = Package::new(&[]);
    let library = library(&package.path(""), what);
    let python = StandIn::new(&format!("sleep 0.3\n{CONVERT_ALL}"));
    (0..COUNTS[1]).for_each(|number| package.write(&format!("m{number}.toml"), &manifest(number)));
    std::os::unix::fs::symlink(python.file(""), package.path("stand-in")).unwrap();
    let running: Vec<_> = (0..COUNTS[0])
        .map(|number| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "lockless::builder", "--nocapture"])
                .env("LD_PRELOAD", &library)
                .env(VARIABLES[0], package.path(""))
                .env(VARIABLES[1], number.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut converted = 0;
    for process in running {
        let output = process.wait_with_output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let count = text.split_once("converted: ").unwrap().1.lines().next().unwrap().to_owned();
        converted += count.parse::<usize>().unwrap();
    }
    assert!(converted > COUNTS[1], "{converted}");
    println!("{} processes converted {} models {converted} times", COUNTS[0], 1 + COUNTS[1]);
    let good = content(&build(options(&package.path(""), 0), "m0.toml"));
    for number in 0..COUNTS[0] {
        let again =
            build(options(&package.path(""), number), &format!("m{}.toml", number % COUNTS[1]));
        assert_eq!(
            (cached(&again), again.warnings.as_slice()),
            (vec![true, true], &[] as &[String])
        );
        let of_models = |files: &[(PathBuf, Vec<u8>)]| -> Vec<_> {
            files.iter().filter(|file| !file.0.ends_with("index.json")).cloned().collect()
        };
        assert_eq!(of_models(&content(&again)), of_models(&good));
    }
    assert_eq!(Context::new(options(&package.path(""), 0)).verify(), []);
    assert_eq!(
        entries_of(&package.path("cache/v1/entries")).len(),
        1 + COUNTS[1],
        "what was just used stays"
    );
    assert_eq!(entries_of(&package.path("cache/v1/tmp")), [] as [PathBuf; 0]);
}

#[test]
fn sixteen_builds_where_locks_fail() {
    sixteen_builds("errno = ENOLCK; return -1;");
}

#[test]
fn sixteen_builds_where_locks_do_nothing() {
    sixteen_builds("return 0;");
}
