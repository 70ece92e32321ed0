//! The driver process dies, says nonsense, or is interrupted.

use crate::package::{Package, TWO, build, cached, message};
use crate::stand_in::{CONVERT_ALL, StandIn, convert_all_after};
use coreml_build::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Converts the first model that was asked for, and not the second.
const CONVERT_FIRST: &str =
    "models | head -1 | while read -r id output; do convert \"$id\" \"$output\"; done\n";

/// Builds two models with a stand-in that does this, and returns the text of the errors.
#[track_caller]
fn failure(script: &str) -> String {
    let (package, python) = (Package::new(&[("m.toml", TWO)]), StandIn::new(script));
    let failed = package.build("m.toml", &python.python());
    let text = message(&failed);
    assert!(
        failed.outcome.unwrap_err().iter().all(|error| error.kind() == ErrorKind::Driver),
        "{text}"
    );
    assert!(text.contains("\n  log: "), "{text}");
    package.assert_nothing_half_done();
    text
}

#[test]
fn killed_for_want_of_memory() {
    let text = failure("kill -9 $$\n");
    assert!(
        text.contains("m.toml:4:2: model `first`: Python was killed by signal 9 (SIGKILL)"),
        "{text}"
    );
    assert!(text.contains("out of memory") && text.contains("COREML_JOBS=1"), "{text}");
}

#[test]
fn crashed_while_doing_something_known() {
    let text = failure(
        "say '{\"event\": \"progress\", \"model\": \"first\", \"stage\": \"trace\"}'\necho \
        'libtorch: bad' \
         >&2\nsleep 0.2\nkill -SEGV $$\n",
    );
    assert!(
        text.contains("signal 11 (SIGSEGV)) while first: trace")
            && text.contains("  | libtorch: bad"),
        "{text}"
    );
}

#[test]
fn ended_early_with_a_code() {
    let text = failure("echo 'ModuleNotFoundError: x' >&2\nexit 7\n");
    assert!(
        text.contains("Python ended early (exit code 7)")
            && text.contains("ModuleNotFoundError: x"),
        "{text}"
    );
}

#[test]
fn said_nonsense_and_went_on() {
    let started = Instant::now();
    let text = failure("echo 'Welcome to Python!'\nsleep 60\n");
    assert!(text.contains("not the driver's protocol: Welcome to Python!"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(30), "it was not waited for");
}

#[test]
fn replied_about_something_else() {
    let text = failure(
        "say '{\"event\": \"converted\", \"model\": \"third\", \"inputs\": []}'\nsleep 60\n",
    );
    assert!(text.contains("`third`, which no request waits for"), "{text}");
}

#[test]
fn forgot_a_model() {
    let text = failure("say '{\"event\": \"finished\"}'\n");
    assert!(text.contains("the driver exited without reporting a result for this model"), "{text}");
}

#[test]
fn finished_but_does_not_end() {
    let started = Instant::now();
    let (package, python) = (
        Package::new(&[("m.toml", TWO)]),
        StandIn::new(&format!(
            "{CONVERT_ALL}exec sleep \
         60\n"
        )),
    );
    assert_eq!(cached(&package.build("m.toml", &python.python())), [false, false]);
    assert!(started.elapsed() < Duration::from_secs(30), "it was not waited for");
}

#[test]
fn died_but_left_a_child_that_holds_the_pipe() {
    let started = Instant::now();
    let text = failure("sleep 60 &\nkill -9 $$\n");
    assert!(text.contains("SIGKILL"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(30), "the child was not waited for");
}

#[test]
fn what_was_converted_before_the_death_is_kept() {
    let (package, python) =
        (Package::new(&[("m.toml", TWO)]), StandIn::new(&format!("{CONVERT_FIRST}kill -9 $$\n")));
    let failed = package.build("m.toml", &python.python());
    assert_eq!(failed.outcome.as_ref().unwrap_err().len(), 1, "{}", message(&failed));
    python.becomes(CONVERT_ALL);
    let mut both = cached(&package.build("m.toml", &python.python()));
    both.sort();
    assert_eq!((both, python.requested().len()), (vec![false, true], 1));
}

#[test]
fn left_something_unusable() {
    for (break_it, said) in [
        ("rm \"$output/model.mlpackage/Manifest.json\"", "no model.mlpackage/Manifest.json"),
        ("rm \"$output/report.json\"", "no report.json"),
        ("echo x > \"$output/surprise\"", "does not belong there: surprise"),
        ("ln -s /etc/hosts \"$output/samples/link\"", "neither a file nor a folder"),
        (
            "echo x > \"$output/model.mlpackage/Data/com.apple.CoreML/model.mlmodel\"",
            "something unusable",
        ),
    ] {
        let text = failure(&convert_all_after(break_it));
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn an_input_that_changes_during_the_conversion_is_noticed() {
    let (package, python) = (Package::new(&[("m.toml", TWO)]), StandIn::converting());
    python.becomes(&format!("sleep 0.1\necho '# edited' >> net.py\n{CONVERT_ALL}"));
    let text = message(&package.build("m.toml", &python.python()));
    assert!(
        text.contains("net.py was changed while the model was converted")
            && text.contains("try: build again"),
        "{text}"
    );
    python.becomes(CONVERT_ALL);
    assert_eq!(cached(&package.build("m.toml", &python.python())), [false, false]);
}

#[test]
fn warnings_are_shown_once() {
    let (package, python) = (
        Package::new(&[("m.toml", TWO)]),
        StandIn::new(&format!("warnings='[\"half of it is constant\"]'\n{CONVERT_ALL}")),
    );
    let warnings = package.build("m.toml", &python.python()).warnings;
    assert_eq!(
        warnings,
        [
            "m.toml: model `first`: half of it is constant",
            "m.toml: model `second`: half of it is constant"
        ]
    );
    assert!(package.build("m.toml", &python.python()).warnings.is_empty());
}

/// Names the package for [`interrupted_build`], and the interpreter.
const INTERRUPTED: [&str; 2] = ["COREML_BUILD_TEST_PACKAGE", "COREML_BUILD_TEST_PYTHON"];

/// The build that [`ctrl_c`] interrupts.
#[test]
#[ignore = "started by `interrupt`"]
fn interrupted_build() {
    let [folder, python] = INTERRUPTED.map(|name| std::env::var_os(name).expect(name));
    let folder = PathBuf::from(folder);
    let mut options = coreml_build::Options::new(
        folder.join("package"),
        folder.join("out"),
        folder.join("cache"),
    );
    options.python.interpreter = Some(python.into());
    build(options, "m.toml");
    unreachable!("the build should have been interrupted");
}

/// Interrupts a build with `signal` while the driver runs, after it has converted what `converting`
/// says: the driver must end, those models are kept, and nothing else is left. `group` sends the
/// signal to the whole process group, as a terminal does; otherwise only the build script gets it.
fn interrupt(signal: &str, group: bool, converting: &str, kept: [bool; 2]) {
    let package = Package::new(&[("m.toml", TWO)]);
    // Ends with its standard input, as the driver does.
    let python =
        StandIn::new(&format!("{converting}echo $$ > \"$here/pid\"; cat > /dev/null; exit 3\n"));
    // A shell's background jobs ignore Ctrl-C, and so do these tests in one; the build must not
    // inherit that.
    let mut build = Command::new("env")
        .args(if cfg!(target_os = "linux") { &["--default-signal=INT"][..] } else { &[] })
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "process::interrupted_build", "--nocapture"])
        .env(INTERRUPTED[0], package.path(""))
        .env(INTERRUPTED[1], python.python())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    wait_for(|| std::fs::read_to_string(python.file("pid")).is_ok_and(|pid| pid.ends_with('\n')));
    let (entries, count) =
        (package.path("cache/v1/entries"), kept.iter().filter(|kept| **kept).count());
    wait_for(|| crate::package::entries_of(&entries).len() == count);
    let driver = std::fs::read_to_string(python.file("pid")).unwrap().trim().to_owned();
    let target = if group { format!("-{}", build.id()) } else { build.id().to_string() };
    assert!(Command::new("kill").args([signal, "--", &target]).status().unwrap().success());
    assert!(!build.wait().unwrap().success());
    wait_for(|| {
        !Command::new("kill")
            .args(["-0", &driver])
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    });
    assert_eq!(crate::package::entries_of(&entries).len(), count);
    assert!(!package.path("out/coreml/m.toml/index.json").exists());
    python.becomes(CONVERT_ALL);
    assert_eq!(cached(&package.build("m.toml", &python.python())), kept);
    package.assert_nothing_half_done();
}

/// Waits until something is so.
pub(crate) fn wait_for(so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ctrl_c() {
    interrupt("-INT", true, "", [false, false]);
}

#[test]
fn a_killed_build_script() {
    interrupt("-KILL", false, "", [false, false]);
}

#[test]
fn a_build_that_is_stopped_keeps_what_is_done() {
    interrupt("-INT", true, CONVERT_FIRST, [true, false]);
    interrupt("-KILL", false, CONVERT_FIRST, [true, false]);
}
