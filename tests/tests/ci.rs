//! The recipes of docs/ci.md: each command is run as written, in a crate with a model.
//!
//! Owns: the promise that the page is true. Must not: hold a copy of its text; only the address of
//! a server, which an example must leave open, is filled in. `coreml-build` tests the blocks about
//! nginx and bazel-remote.

#![expect(clippy::expect_used, reason = "this file is tests")]

use coreml_test_needs::needs;
use coreml_tests::{Run, UserCrate, run, target, workspace};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The interpreter that has an S3 server; as for the tests of `coreml-build`.
const S3_PYTHON: &str = "COREML_TEST_S3_PYTHON";

/// Bucket, keys and token of the S3 server.
const S3: [&str; 4] = ["models", "AKIDTEST", "s3cret/+key=", "t0ken"];

/// Returns the code blocks under a heading of the page: the info string of the fence, and the
/// lines.
fn blocks(heading: &str) -> Vec<(String, String)> {
    let page = std::fs::read_to_string(workspace().join("docs/ci.md")).expect("there is a page");
    let start = page
        .find(&format!("# {heading}\n"))
        .unwrap_or_else(|| unreachable!("there is a part {heading}"));
    let part = &page[start..];
    // A comment of a block has one mark.
    let part = &part[..part.find("\n##").unwrap_or(part.len())];
    let fenced = part.split("```").skip(1).step_by(2);
    let blocks = fenced.filter_map(|block| block.split_once('\n'));
    blocks.map(|(kind, text)| (kind.to_owned(), text.to_owned())).collect()
}

/// Returns the block of a kind under a heading.
fn block(heading: &str, kind: &str) -> String {
    let found = blocks(heading).into_iter().find(|block| block.0 == kind);
    found.unwrap_or_else(|| unreachable!("{heading} has a block of the kind {kind}")).1
}

/// Returns the commands of a workflow, without those that install.
fn workflow(heading: &str) -> String {
    let text = block(heading, "yaml");
    let commands = text.lines().filter_map(|line| line.trim().strip_prefix("- run: "));
    commands
        .filter(|command| !command.starts_with("cargo install"))
        .map(|command| format!("{command}\n"))
        .collect()
}

/// Returns a crate with a small model and an empty cache.
fn small(name: &str) -> UserCrate {
    let user = UserCrate::new(name, &["net.toml"]).with_empty_cache();
    user.write(
        "net.toml",
        "[model]\nsource = { file = \"python/net.py\", entry = \"net\" }\ninputs.x = { shape = [1, \
        4], dtype = \"float32\" }\n\
         outputs.y = { dtype = \"float32\" }\n",
    );
    user.write(
        "python/net.py",
        "import torch\n\n\ndef net():\n    torch.manual_seed(0)\n    return torch.nn.Linear(4, \
        3)\n",
    );
    user.write(
        "src/lib.rs",
        "//! A library with a model.\n\n/// The \
        model.\n#[coreml_rt::coreml_model(\"net.toml\")]\npub mod net {}\n",
    );
    let mut build = Command::new(env!("CARGO"));
    build
        .args(["build", "--quiet", "-p", "cargo-coreml"])
        .current_dir(workspace())
        .env("CARGO_TARGET_DIR", target());
    run(&mut build).succeeds();
    user
}

/// Runs commands in a crate's folder, with the crate's variables and these.
fn shell(user: &UserCrate, commands: &str, variables: &[(&str, &str)]) -> Run {
    // The crate's variables are those of its cargo.
    let cargo = user.command(&[]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = target().join("debug");
    let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path)))
        .expect("PATH is a path");
    let mut command = Command::new("sh");
    command.args(["-e", "-x", "-c", commands]).current_dir(user.path("")).env("PATH", path);
    for (name, value) in cargo.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env_remove("CARGO").envs(variables.iter().copied());
    run(&mut command)
}

/// Forgets what was converted or fetched, and what was built of it.
fn forget(user: &UserCrate, name: &str) {
    std::fs::remove_dir_all(user.cache().join("v1/entries")).expect("there were entries");
    user.cargo(&["clean", "-p", name]).succeeds();
}

#[test]
fn lock_cache_folder_and_shared_folder() {
    let user = small("recipes");
    let remote = user.path("team").display().to_string();
    shell(&user, &block("The lock", "sh"), &[]).succeeds();
    shell(&user, &block("CI without Python", "sh"), &[("COREML_PYTHON", "/nonexistent")])
        .succeeds();
    assert!(workflow("Hosted CI with its cache action").lines().count() >= 3);
    let ran = shell(&user, &workflow("Hosted CI with its cache action"), &[]).succeeds();
    assert!(
        ran.stdout.contains("net.lock: up to date") && ran.stdout.contains("1 passed"),
        "{}",
        ran.stdout
    );

    let recipe = block("A remote cache", "sh").replace("https://cache.example.com/team", &remote);
    forget(&user, "recipes");
    shell(&user, &recipe, &[]).succeeds();
    forget(&user, "recipes");
    // The first line of the recipe's two builds has converted; the second needs only what a build
    // with conversions needs.
    shell(&user, "cargo build", &[("COREML_REMOTE", &remote), ("COREML_REMOTE_WRITE", "1")])
        .succeeds();
    assert_eq!(user.cached("recipes", "net.toml"), [false]);
    forget(&user, "recipes");
    let config = block("A remote cache", "toml").replace("https://cache.example.com/team", &remote);
    user.write("config/coreml/config.toml", config);
    let configured = [("XDG_CONFIG_HOME", user.path("config").display().to_string())];
    let configured = configured.each_ref().map(|(name, value)| (*name, value.as_str()));
    shell(&user, "cargo build", &[configured[0], ("COREML_PYTHON", "/nonexistent")]).succeeds();
    assert_eq!(user.cached("recipes", "net.toml"), [true], "by the config file");

    forget(&user, "recipes");
    let offline = [configured[0], ("COREML_PYTHON", "/nonexistent")];
    let ran = shell(&user, &block("Offline", "sh"), &offline).succeeds();
    assert!(ran.stdout.contains("fetched from the remote cache"), "{}", ran.stdout);
    let ran = shell(
        &user,
        &block("Maintaining the cache", "sh"),
        &[configured[0], ("COREML_REMOTE_WRITE", "1")],
    )
    .succeeds();
    assert!(ran.stdout.contains("in the remote cache"), "{}", ran.stdout);
}

/// An S3 server; stopped when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts the S3 server of the tests of `coreml-build`; returns it with its URL.
fn s3_server(python: &Path) -> (Server, String) {
    let script = workspace().join("coreml-build/tests/build/s3_server.py");
    let mut command = Command::new(python);
    let mut process =
        command.arg(script).args(S3).stdout(Stdio::piped()).spawn().expect("Python starts");
    let mut lines = BufReader::new(process.stdout.take().expect("it has an output")).lines();
    let server = Server(process);
    let port = lines.next().expect("it says its port").expect("in words");
    // Its messages about requests are not read here, and must not block it.
    std::thread::spawn(move || lines.for_each(drop));
    (server, format!("http://127.0.0.1:{port}"))
}

#[needs(s3)]
#[test]
fn shared_bucket() {
    let python = std::env::var_os(S3_PYTHON).expect(S3_PYTHON);
    let (_server, url) = s3_server(Path::new(&python));
    let user = small("bucket-recipe");
    let manifest = std::fs::read_to_string(user.path("Cargo.toml")).expect("there is one");
    let plain = format!("{}/coreml-build\"", workspace().display());
    user.write("Cargo.toml", manifest.replace(&plain, &format!("{plain}, features = [\"s3\"]")));
    shell(&user, "cargo coreml lock", &[]).succeeds();
    forget(&user, "bucket-recipe");
    let recipe = block("A shared bucket", "sh")
        .replace("AWS_ACCESS_KEY_ID=…", &format!("AWS_ACCESS_KEY_ID={}", S3[1]));
    let recipe =
        recipe.replace("AWS_SECRET_ACCESS_KEY=…", &format!("AWS_SECRET_ACCESS_KEY={}", S3[2]));
    let server = [("AWS_ENDPOINT_URL_S3", url.as_str()), ("AWS_SESSION_TOKEN", S3[3])];
    let gave = shell(&user, &recipe, &server).succeeds();
    assert_eq!(user.cached("bucket-recipe", "net.toml"), [false]);
    assert!(!gave.stderr.contains("warning"), "{}", gave.stderr);

    // Elsewhere, with what the action of a hosted CI leaves in the environment: no Python.
    forget(&user, "bucket-recipe");
    let keys = [
        ("AWS_ACCESS_KEY_ID", S3[1]),
        ("AWS_SECRET_ACCESS_KEY", S3[2]),
        ("AWS_REGION", "eu-central-1"),
    ];
    let remote = [("COREML_REMOTE", "s3://models/team"), ("COREML_PYTHON", "/nonexistent")];
    let ran = shell(&user, &workflow("A shared bucket"), &[&server[..], &keys, &remote].concat())
        .succeeds();
    assert_eq!(user.cached("bucket-recipe", "net.toml"), [true]);
    assert!(
        ran.stdout.contains("1 passed") && !ran.stderr.contains("warning"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
}
