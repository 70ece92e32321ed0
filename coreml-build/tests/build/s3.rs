//! The remote cache in a bucket of a real S3 server: moto, which `COREML_TEST_S3_PYTHON` can
//! import.
//!
//! `s3_server.py` lets nobody in whose signature is not the one that AWS's own client library
//! makes.

use crate::package::{ONE, Package, TWO, build, cached, entries_of};
use crate::remote::{NOWHERE, content, machine};
use crate::server::{Answer, Server};
use crate::stand_in::StandIn;
use coreml_build::{Build, Context, Options, Remote, Whereabouts};
use coreml_test_needs::needs;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Names an interpreter that has moto.
const PYTHON: &str = "COREML_TEST_S3_PYTHON";

/// The keys of the server.
const ID: &str = "AKIDTEST";

/// Its secret, with characters that URLs write otherwise.
const SECRET: &str = "s3cret/+key=";

/// A token that goes with them.
const TOKEN: &str = "t0ken/+of=a+session";

/// The bucket.
const BUCKET: &str = "models";

/// A running moto; stopped when dropped.
struct Moto {
    /// The process.
    process: Child,
    /// Its port.
    port: u16,
    /// The lines that it prints.
    lines: Receiver<String>,
}

impl Moto {
    /// Starts the server.
    fn start() -> Self {
        let python = std::env::var_os(PYTHON).expect(PYTHON);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/build/s3_server.py");
        let mut command = Command::new(python);
        command.arg(script).args([BUCKET, ID, SECRET, TOKEN]).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = lines(process.stdout.take().unwrap());
        let port = lines
            .recv_timeout(Duration::from_secs(120))
            .expect("the server says its port")
            .parse()
            .unwrap();
        Self { process, port, lines }
    }

    /// Returns its URL.
    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns what was asked since the last call: status, method, path and the condition.
    fn requests(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the lines that a process prints, as they come.
fn lines(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Returns the remote in a bucket, as variables describe it.
fn remote(location: &str, variables: &[(&str, &str)]) -> Remote {
    let value = |name: &str| {
        variables
            .iter()
            .find(|variable| variable.0 == name)
            .map(|variable| OsString::from(variable.1))
    };
    Remote::parse(location).unwrap().with_aws(value)
}

/// Returns options of a machine that has the right keys.
fn options(package: &Package, name: &str, python: &Path, endpoint: &str, write: bool) -> Options {
    let mut options = machine(package, name, python, "s3://models/the team", write);
    let mut remote = remote(
        "s3://models/the team",
        &[
            ("AWS_ENDPOINT_URL_S3", endpoint),
            ("AWS_ACCESS_KEY_ID", ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_SESSION_TOKEN", TOKEN),
        ],
    );
    remote.write = write;
    options.remote = Some(remote);
    options
}

/// Asserts that nothing that a build says or keeps has a key in it, or a signature.
#[track_caller]
fn assert_secret(package: &Package, build: &Build) {
    let mut said = build.warnings.join("\n");
    said.extend(build.outcome.iter().map(|models| format!("{models:?}")));
    said.extend(build.outcome.as_ref().err().into_iter().flatten().map(ToString::to_string));
    for folder in
        entries_of(&package.path("")).into_iter().filter(|path| !path.ends_with("package"))
    {
        let files = crate::package::tree(&folder).into_iter().map(|file| file.3);
        said.extend(files.map(|content| String::from_utf8_lossy(&content).into_owned()));
    }
    for secret in [SECRET, "s3cret", TOKEN, "t0ken", ID, "X-Amz-Signature"] {
        assert!(!said.contains(secret), "{secret} is told");
    }
}

#[needs(s3)]
#[test]
fn one_machine_converts_and_the_others_fetch() {
    let moto = Moto::start();
    let (package, python) = (Package::new(&[("m.toml", TWO)]), StandIn::converting());
    let written =
        build(options(&package, "writer", &python.python(), &moto.endpoint(), true), "m.toml");
    assert_eq!(
        (cached(&written), written.warnings.as_slice()),
        (vec![false, false], &[] as &[String])
    );
    let requests = moto.requests();
    let stored = requests.iter().filter(|line| line.starts_with("200 PUT /models/the team/"));
    assert_eq!(
        stored.filter(|line| line.ends_with(" *")).count(),
        6,
        "two of everything: {requests:#?}"
    );
    let read =
        build(options(&package, "reader", Path::new(NOWHERE), &moto.endpoint(), false), "m.toml");
    assert_eq!((cached(&read), read.warnings.as_slice()), (vec![true, true], &[] as &[String]));
    assert_eq!(content(&written), content(&read));
    assert!(!moto.requests().iter().any(|line| line.contains("PUT")));
    assert_secret(&package, &written);
}

#[needs(s3)]
#[test]
fn who_writes_first_wins() {
    let moto = Moto::start();
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let endpoint = moto.endpoint();
    // As slow as each other, so that neither sees what the other stores.
    python.becomes(&format!("sleep 1\n{}", crate::stand_in::CONVERT_ALL));
    let builds: Vec<_> = std::thread::scope(|scope| {
        let start = |name| {
            let options = options(&package, name, &python.python(), &endpoint, true);
            scope.spawn(move || build(options, "m.toml"))
        };
        let running: Vec<_> = ["first", "second", "third"].map(start).into_iter().collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for build in &builds {
        assert_eq!((cached(build), build.warnings.as_slice()), (vec![false], &[] as &[String]));
    }
    let requests = moto.requests();
    let mut written: Vec<_> = requests
        .iter()
        .filter(|line| line.starts_with("200 PUT") && line.contains("/ac/"))
        .map(|line| line.split_once(" /").unwrap().1.to_owned())
        .collect();
    let count = written.len();
    written.sort();
    written.dedup();
    assert_eq!((count, written.len()), (2, 2), "each record is written once: {requests:#?}");
    let read = build(options(&package, "reader", Path::new(NOWHERE), &endpoint, false), "m.toml");
    assert_eq!(cached(&read), [true]);
}

#[needs(s3)]
#[test]
fn keys_that_are_wrong_are_refused_and_not_told() {
    let moto = Moto::start();
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let endpoint = moto.endpoint();
    let with = |name: &str, location: &str, variables: &[(&str, &str)]| {
        let mut options = options(&package, name, &python.python(), &endpoint, true);
        let all = [&[("AWS_ENDPOINT_URL", endpoint.as_str())], variables].concat();
        let mut remote = remote(location, &all);
        remote.write = true;
        options.remote = Some(remote);
        build(options, "m.toml")
    };
    let (id, secret, token) = (
        ("AWS_ACCESS_KEY_ID", ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", TOKEN),
    );
    let wrong = ("AWS_SECRET_ACCESS_KEY", "wr0ng");
    let s3 = "s3://models/the team";
    for (name, location, variables, said) in [
        (
            "a",
            s3,
            vec![],
            "has no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        ),
        (
            "b",
            s3,
            vec![id, wrong, token],
            "refuses (HTTP 403, SignatureDoesNotMatch): check the keys",
        ),
        ("c", s3, vec![id, secret], "refuses (HTTP 403, SignatureDoesNotMatch)"),
        (
            "d",
            s3,
            vec![("AWS_ACCESS_KEY_ID", "other"), secret],
            "refuses (HTTP 403, InvalidAccessKeyId)",
        ),
        (
            "e",
            "s3://no-such-bucket",
            vec![id, secret, token],
            "has no such bucket (HTTP 404, NoSuchBucket)",
        ),
        (
            "f",
            s3,
            vec![("AWS_PROFILE", "ci"), ("HOME", "/nonexistent")],
            "there is no profile `ci`",
        ),
    ] {
        let refused = with(name, location, &variables);
        assert_eq!(cached(&refused), [false]);
        let [warning] = &refused.warnings[..] else { panic!("{:?}", refused.warnings) };
        assert!(
            warning.contains(said) && warning.contains(&format!("the remote cache {location} ")),
            "{warning}"
        );
        assert!(!warning.contains('\n') && !warning.contains("wr0ng"), "{warning}");
        assert_secret(&package, &refused);
    }
}

#[needs(s3)]
#[test]
fn a_profile_has_the_keys() {
    let moto = Moto::start();
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let keys = format!(
        "[ci]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\naws_session_token = \
        {TOKEN}\n"
    );
    std::fs::write(home.path().join(".aws/credentials"), keys).unwrap();
    let config = format!("[profile ci]\nregion = eu-west-1\nendpoint_url = {}\n", moto.endpoint());
    std::fs::write(home.path().join(".aws/config"), config).unwrap();
    let home = home.path().to_str().unwrap();
    let mut options = options(&package, "writer", &python.python(), "", false);
    let mut remote = remote("s3://models", &[("AWS_PROFILE", "ci"), ("HOME", home)]);
    remote.write = true;
    options.remote = Some(remote);
    let written = build(options.clone(), "m.toml");
    assert_eq!((cached(&written), written.warnings.as_slice()), (vec![false], &[] as &[String]));
    options.cache_dir = package.path("cache-reader");
    options.python.interpreter = Some(NOWHERE.into());
    assert_eq!(cached(&build(options, "m.toml")), [true]);
    assert_secret(&package, &written);
}

#[needs(s3)]
#[test]
fn models_are_pushed_and_pulled() {
    let moto = Moto::start();
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let context = |name, write| {
        Context::new(options(&package, name, &python.python(), &moto.endpoint(), write))
    };
    let mut local = options(&package, "a", &python.python(), &moto.endpoint(), false);
    local.remote = None;
    build(local, "m.toml");
    let whereabouts = |moves: coreml_build::Moves| moves.models[0].whereabouts;
    assert_eq!(whereabouts(context("b", false).pull(&["m.toml"]).unwrap()), Whereabouts::Nowhere);
    assert_eq!(whereabouts(context("a", true).push(&["m.toml"]).unwrap()), Whereabouts::Shared);
    assert_eq!(whereabouts(context("a", true).push(&["m.toml"]).unwrap()), Whereabouts::Shared);
    assert_eq!(whereabouts(context("b", false).pull(&["m.toml"]).unwrap()), Whereabouts::Fetched);
}

/// Converts with a bucket whose server answers as `lie` says; returns the build, and how the
/// requests went.
fn with_lie(
    lie: impl Fn(&str, &str) -> Option<Answer> + Send + Sync + 'static,
) -> (Build, Vec<(String, String, String)>) {
    let (package, python, server) =
        (Package::new(&[("m.toml", ONE)]), StandIn::converting(), Server::start());
    server.lies(move |method, path, _| lie(method, path));
    let endpoint = server.url("").trim_end_matches("/team").to_owned();
    let converted = build(options(&package, "writer", &python.python(), &endpoint, true), "m.toml");
    assert_secret(&package, &converted);
    (converted, server.requests())
}

#[test]
fn a_server_without_conditions_is_asked_first() {
    // Answers as servers do that know no `If-None-Match`: the condition is part of what is signed.
    let (converted, requests) = with_lie(|method, path| {
        let refuses = method == "PUT" && path.contains("host%3Bif-none-match");
        refuses
            .then(|| Answer::Status("501 Not Implemented", b"<Code>NotImplemented</Code>".to_vec()))
    });
    assert_eq!(
        (cached(&converted), converted.warnings.as_slice()),
        (vec![false], &[] as &[String])
    );
    let methods: Vec<_> = requests.iter().map(|request| request.0.as_str()).collect();
    let asked = methods.windows(3).filter(|window| *window == ["PUT", "HEAD", "PUT"]).count();
    assert_eq!(asked, 3, "archive, record and list: {methods:?}");
}

#[test]
fn what_a_bucket_says_of_failures_is_told_without_its_words() {
    let error = |code: &str| {
        format!("<Error><Code>{code}</Code><Message>secret</Message></Error>").into_bytes()
    };
    for (status, code, said) in [
        (
            "301 Moved Permanently",
            "PermanentRedirect",
            "is in another region (HTTP 301, PermanentRedirect): set AWS_REGION",
        ),
        ("403 Forbidden", "RequestTimeTooSkewed", "set this machine's clock"),
        (
            "403 Forbidden",
            "Access<b>Denied",
            "refuses (HTTP 403): check the keys, and that they allow GetObject",
        ),
        ("400 Bad Request", "ExpiredToken", "answers HTTP 400, ExpiredToken"),
        ("503 Slow Down", "SlowDown", "fails (HTTP 503); the build goes on without it"),
    ] {
        let answer = error(code);
        let (converted, _) = with_lie(move |_, _| Some(Answer::Status(status, answer.clone())));
        assert_eq!(cached(&converted), [false]);
        let [warning] = &converted.warnings[..] else { panic!("{:?}", converted.warnings) };
        assert!(
            warning.contains(said) && !warning.contains("secret") && !warning.contains("127.0.0.1"),
            "{warning}"
        );
    }
}

#[test]
fn a_bucket_that_cannot_be_reached() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    for (name, endpoint) in [("a", "http://127.0.0.1:1"), ("b", "http://host.invalid")] {
        let converted = build(options(&package, name, &python.python(), endpoint, true), "m.toml");
        assert_eq!(cached(&converted), [false]);
        let [warning] = &converted.warnings[..] else { panic!("{:?}", converted.warnings) };
        assert!(
            warning.starts_with("the remote cache s3://models/the team cannot be reached: "),
            "{warning}"
        );
        assert_secret(&package, &converted);
    }
}
