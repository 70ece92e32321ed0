//! Caches and output folders that cannot be written.
//!
//! Each test runs itself again in a mount namespace, where a small or read-only file system is the
//! cache. Where the system does not allow that, the test says so and stops.

use crate::package::{ONE, Package, build, cached, message};
use crate::stand_in::{CONVERT_ALL, StandIn, convert_all_after};
use coreml_build::Options;
use coreml_test_needs::needs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tells a test that it runs in its namespace.
const INSIDE: &str = "COREML_BUILD_TEST_STORAGE";

/// Runs the test `name` in a mount namespace after the commands of `mounts`; `$1` is a new folder,
/// which [`INSIDE`] names.
///
/// Returns: the folder, inside; `None` outside, when everything is done.
fn inside(name: &str, mounts: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(INSIDE) {
        return Some(folder.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let script = format!("set -e\n{mounts}\nexec \"$2\" --exact \"$3\" --nocapture\n");
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .arg(folder.path());
        command.arg(std::env::current_exe().unwrap()).arg(name).env(INSIDE, folder.path());
        command.output()
    };
    let output = unshare(&script).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr)
    );
    None
}

/// Returns options whose cache is in `folder`.
fn options(package: &Package, python: &StandIn, cache: &Path) -> Options {
    let mut options = package.options(&python.python());
    options.cache_dir = cache.to_owned();
    options
}

/// Asserts what a full disk must lead to.
fn assert_full(text: &str, cache: &Path) {
    assert!(
        text.contains("No space left on device") && text.contains("COREML_CACHE_DIR"),
        "{text}"
    );
    assert_eq!(
        crate::package::entries_of(&cache.join("v1/entries")).len(),
        0,
        "nothing is half written"
    );
    assert_eq!(crate::package::entries_of(&cache.join("v1/tmp")).len(), 0, "nothing is left over");
}

#[needs(mounts)]
#[test]
fn a_full_disk() {
    let Some(cache) = inside("storage::a_full_disk", "mount -t tmpfs -o size=16k none \"$1\"")
    else {
        return;
    };
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    assert_full(&message(&build(options(&package, &python, &cache), "m.toml")), &cache);
}

#[needs(mounts)]
#[test]
fn a_disk_that_is_full_after_the_conversion() {
    // The driver is unpacked into the cache first: it has to fit.
    let mounts = "mount -t tmpfs -o size=8m none \"$1\"";
    let Some(cache) = inside("storage::a_disk_that_is_full_after_the_conversion", mounts) else {
        return;
    };
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let fill = cache.join("fill");
    python.becomes(&convert_all_after(&format!("cat /dev/zero > {}", fill.display())));
    assert_full(&message(&build(options(&package, &python, &cache), "m.toml")), &cache);
    std::fs::remove_file(fill).unwrap();
    python.becomes(CONVERT_ALL);
    assert_eq!(cached(&build(options(&package, &python, &cache), "m.toml")), [false]);
}

#[needs(mounts)]
#[test]
fn a_disk_that_is_full_at_each_write() {
    let mounts = "mount -t tmpfs -o size=4k none \"$1\"";
    let Some(cache) = inside("storage::a_disk_that_is_full_at_each_write", mounts) else { return };
    // As Python does, the stand-in stops at what it cannot write.
    let (package, python) =
        (Package::new(&[("m.toml", ONE)]), StandIn::new(&format!("set -e\n{CONVERT_ALL}")));
    let remote = package.path("remote").display().to_string();
    build(crate::remote::machine(&package, "writer", &python.python(), &remote, true), "m.toml");
    let clean = || {
        let entries = crate::package::entries_of(&cache);
        entries.iter().for_each(|entry| std::fs::remove_dir_all(entry).unwrap());
    };
    // First by converting, then by fetching: a page more each time, until there is enough.
    for fetching in [false, true] {
        let mut failures = 0;
        for pages in 1.. {
            let size = format!("remount,size={}k", 4 * pages);
            assert!(
                Command::new("mount").args(["-o", &size]).arg(&cache).status().unwrap().success()
            );
            let mut options = options(&package, &python, &cache);
            if fetching {
                options.remote =
                    crate::remote::machine(&package, "reader", &python.python(), &remote, false)
                        .remote;
                options.python.interpreter = Some("/nonexistent/python".into());
            }
            let built = build(options.clone(), "m.toml");
            assert_eq!(coreml_build::Context::new(options).verify(), [], "{pages} pages");
            if built.outcome.is_ok() {
                // What does not fit beside the entry, lists and stamps, costs time and nothing
                // else.
                assert_eq!(cached(&built), [fetching], "{pages} pages");
                break;
            }
            failures += 1;
            let text = message(&built) + &built.warnings.concat();
            let told = text.contains("No space left on device")
                || !fetching && text.contains("Python ended early");
            assert!(told, "{pages} pages: {text}");
            assert_eq!(crate::package::entries_of(&cache.join("v1/tmp")).len(), 0, "{pages} pages");
            clean();
        }
        assert!(failures >= 5, "{failures}");
        println!("{failures} sizes were too small");
        clean();
    }
}

#[needs(mounts)]
#[test]
fn a_read_only_cache_still_gives_hits() {
    let mounts = "mount -t tmpfs none \"$1\"";
    let Some(cache) = inside("storage::a_read_only_cache_still_gives_hits", mounts) else { return };
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    assert_eq!(cached(&build(options(&package, &python, &cache), "m.toml")), [false]);
    assert!(
        Command::new("mount").args(["-o", "remount,ro"]).arg(&cache).status().unwrap().success()
    );
    std::fs::remove_dir_all(package.path("out")).unwrap();
    assert_eq!(cached(&build(options(&package, &python, &cache), "m.toml")), [true]);
    package.write("net.py", "# another");
    let text = message(&build(options(&package, &python, &cache), "m.toml"));
    assert!(text.contains("Read-only file system") && text.contains("COREML_CACHE_DIR"), "{text}");
    assert_eq!(python.starts(), 1);
}

#[needs(mounts)]
#[test]
fn another_file_system_gets_copies() {
    use std::os::unix::fs::MetadataExt;
    let mounts = "mount -t tmpfs none \"$1\"";
    let Some(cache) = inside("storage::another_file_system_gets_copies", mounts) else { return };
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let made = build(options(&package, &python, &cache), "m.toml");
    assert_eq!(cached(&made), [false]);
    let inodes = || {
        crate::package::tree(&made.folder.join("m.mlpackage"))
            .into_iter()
            .map(|file| (file.0, file.1, file.2))
            .collect::<Vec<_>>()
    };
    let before = inodes();
    let file = &before[0].0;
    assert_ne!(file.metadata().unwrap().dev(), cache.metadata().unwrap().dev());
    assert!(file.metadata().unwrap().permissions().readonly());
    assert_eq!(cached(&build(options(&package, &python, &cache), "m.toml")), [true]);
    assert_eq!(inodes(), before, "copies are not made again");
    crate::package::make_writable(file);
    std::fs::write(file, "altered").unwrap();
    assert_eq!(cached(&build(options(&package, &python, &cache), "m.toml")), [true]);
    assert_ne!(std::fs::read(file).unwrap(), b"altered");
}

#[test]
fn an_output_folder_that_cannot_be_written() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    std::fs::write(package.path("out"), "a file").unwrap();
    let failed = package.build("m.toml", &python.python());
    let errors = failed.outcome.unwrap_err();
    let text = errors.iter().map(ToString::to_string).collect::<String>();
    assert!(
        text.contains("cannot write the models") && text.contains("cannot write the index"),
        "{text}"
    );
    assert!(text.contains("CARGO_TARGET_DIR"), "{text}");
}
