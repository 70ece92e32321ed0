//! `cargo coreml doctor` as a user runs it, on machines that can and cannot convert.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;

use command::run;
use std::path::Path;
use std::process::Command;

/// Runs `doctor` with nothing in its environment but these variables; returns the exit code and the
/// checks.
fn doctor(variables: &[(&str, &Path)]) -> (i32, Vec<serde_json::Value>) {
    let mut command: Command = command::command();
    command.args(["doctor", "--json"]).env_clear().envs(variables.iter().copied());
    let (code, output, _) = run(&mut command);
    (code, serde_json::from_str(&output).unwrap())
}

/// Returns the only check of a subject.
fn check<'a>(checks: &'a [serde_json::Value], subject: &str) -> &'a serde_json::Value {
    let mut found = checks.iter().filter(|check| check["subject"] == subject);
    let first = found.next().unwrap();
    assert!(found.next().is_none(), "{checks:?}");
    first
}

#[test]
fn a_machine_without_python_is_told_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let (code, checks) = doctor(&[("PATH", folder.path()), ("HOME", folder.path())]);
    assert_eq!(code, 1);
    let python = check(&checks, "python");
    assert_eq!(python["health"], "bad");
    assert!(python["found"].as_str().unwrap().contains("there is no Python on PATH"), "{python}");
    assert!(python["cures"][0].as_str().unwrap().starts_with("install it"), "{python}");
    assert_eq!(check(&checks, "uv")["health"], "note");
    let cache = check(&checks, "cache");
    assert!(
        cache["health"] == "good"
            && cache["found"].as_str().unwrap().ends_with("coreml, not made yet"),
        "{cache}"
    );
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was made");
}

#[cfg(unix)]
#[test]
fn an_interpreter_of_the_users_own_is_asked_for_its_packages() {
    let folder = tempfile::tempdir().unwrap();
    let python = folder.path().join("python");
    // The first question is about the interpreter, the second, with package names, about packages.
    let script = "#!/bin/sh\n\
        if [ $# -gt 3 ]; then echo '[\"2.7.0+cpu\", VERSION, \"2.3.5\", \"0.8.0\"]'; else echo \
        '{\"version\":\"3.11.7\",\"base\":\"/x\",\"platform\":\"p\",\
        \"can_make_environments\":true}'; fi\n";
    let with = |version: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(&python, script.replace("VERSION", version)).unwrap();
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (code, checks) = doctor(&[
            ("PATH", Path::new("/bin")),
            ("HOME", folder.path()),
            ("COREML_PYTHON", &python),
        ]);
        (code, check(&checks, "packages").clone())
    };
    let (code, packages) = with("\"9.0\"");
    assert_eq!((code, &packages["health"]), (0, &"good".into()), "{packages}");
    assert_eq!(
        packages["found"],
        "torch 2.7.0+cpu, coremltools 9.0, numpy 2.3.5, safetensors 0.8.0"
    );
    let (code, packages) = with("\"8.3\"");
    assert_eq!(code, 1);
    assert!(
        packages["found"].as_str().unwrap().ends_with("coremltools is 8.3, but 9.0 is needed"),
        "{packages}"
    );
    let (_, packages) = with("null");
    assert!(
        packages["found"].as_str().unwrap().ends_with("coremltools is not installed"),
        "{packages}"
    );
}

#[test]
fn variables_that_nothing_reads_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let value = Path::new("1");
    let (_, checks) =
        doctor(&[("HOME", folder.path()), ("COREML_OFLINE", value), ("COREML_BUILD", value)]);
    let text = serde_json::to_string(&checks).unwrap();
    assert!(
        text.contains("did you mean COREML_OFFLINE?")
            && text.contains("must be auto, cached or skip"),
        "{text}"
    );
}
