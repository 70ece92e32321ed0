//! What causes a new conversion, and what does not: edits, touches, damage, two cargo runs at once,
//! packaging.
//!
//! Owns: the promise that the same bytes are converted exactly once. Must not: measure time.

#![expect(clippy::expect_used, reason = "this file is tests")]

use coreml_tests::UserCrate;
use std::time::SystemTime;

/// The name of the crate's manifest.
const MANIFEST: &str = "net.toml";

/// Returns a crate whose model reads a manifest, an entry file, a module that it imports, and
/// weights.
fn layered(name: &str) -> UserCrate {
    let user = UserCrate::new(name, &[MANIFEST]).with_empty_cache();
    user.write(
        MANIFEST,
        "[model]\nsource = { file = \"python/net.py\", entry = \"net\" }\nweights = \
        \"weights/net.safetensors\"\n\
         inputs.x = { shape = [1, 4], dtype = \"float32\" }\noutputs.y = { dtype = \"float32\" }\n",
    );
    user.write("python/net.py", "from blocks import block\n\n\ndef net():\n    return block()\n");
    user.write(
        "python/blocks.py",
        "import torch\n\n\ndef block():\n    return torch.nn.Linear(4, 3)\n",
    );
    user.write(
        "src/main.rs",
        "#[coreml_rt::coreml_model(\"net.toml\")]\npub mod net {}\n\nfn \
        main() {\n    net::Model::load().expect(\"it loads\");\n}\n",
    );
    weights(&user, 0);
    user
}

/// Writes weights that depend on `seed`.
fn weights(user: &UserCrate, seed: u32) {
    std::fs::create_dir_all(user.path("weights")).expect("folders can be made");
    let code = format!(
        "import torch, safetensors.torch as s; torch.manual_seed({seed}); s.save_file({{'weight': \
        torch.randn(3, 4), 'bias': torch.randn(3)}}, 'weights/net.safetensors')"
    );
    let status = std::process::Command::new(coreml_tests::python())
        .args(["-c", &code])
        .current_dir(user.path(""))
        .status();
    assert!(status.expect("python starts").success());
}

/// Builds and returns whether the model came from the cache.
fn build(user: &UserCrate, name: &str) -> bool {
    user.cargo(&["check"]).succeeds();
    user.cached(name, MANIFEST) == [true]
}

/// Gives a file a newer time without changing it.
fn touch(user: &UserCrate, relative: &str) {
    let file =
        std::fs::File::options().append(true).open(user.path(relative)).expect("it is there");
    file.set_modified(SystemTime::now()).expect("times can be set");
}

/// Appends to a file.
fn append(user: &UserCrate, relative: &str, text: &str) {
    let old = std::fs::read_to_string(user.path(relative)).expect("it is there");
    user.write(relative, &(old + text));
}

#[test]
fn an_edit_converts_once_and_a_touch_never() {
    let name = "edits";
    let user = layered(name);
    assert!(!build(&user, name), "an empty cache converts");

    for file in [MANIFEST, "python/net.py", "python/blocks.py", "weights/net.safetensors"] {
        touch(&user, file);
        assert!(build(&user, name), "touching {file} must not convert");
    }

    append(&user, MANIFEST, "metadata = { author = \"somebody\" }\n");
    assert!(!build(&user, name), "editing the manifest converts");
    append(&user, "python/net.py", "# changed\n");
    assert!(!build(&user, name), "editing the entry file converts");
    append(&user, "python/blocks.py", "# changed\n");
    assert!(!build(&user, name), "editing an imported module converts");
    weights(&user, 1);
    assert!(!build(&user, name), "editing the weights converts");

    weights(&user, 0);
    assert!(build(&user, name), "going back to old weights is a hit");
}

#[test]
fn a_hit_needs_no_python_and_survives_cargo_clean() {
    let name = "no-python-on-a-hit";
    let user = layered(name);
    assert!(!build(&user, name));
    user.cargo(&["clean", "-p", name]).succeeds();
    let user = user.without_python();
    assert!(build(&user, name), "the entry is found without any Python");
}

#[test]
fn a_damaged_entry_is_converted_again_and_never_used() {
    let name = "damaged";
    let user = layered(name);
    assert!(!build(&user, name));
    let mut damaged = 0;
    let mut folders = vec![user.cache().join("v1/entries")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the cache has entries").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "mlmodel") {
                let mut bytes = std::fs::read(&path).expect("readable");
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x55;
                // A new file, as a failing disk or a careless copy would leave it: entries
                // themselves are read-only.
                std::fs::remove_file(&path).expect("removable");
                std::fs::write(&path, bytes).expect("writable");
                damaged += 1;
            }
        }
    }
    assert_eq!(damaged, 1);
    user.cargo(&["clean", "-p", name]).succeeds();
    assert!(!build(&user, name), "a damaged entry is a miss");
    user.cargo(&["run"]).succeeds();
}

#[test]
fn two_cargo_runs_at_once_convert_once() {
    let name = "twin";
    let user = layered(name);
    user.write("src/main.rs", "fn main() {}\n");
    // Two profiles: their folders in the target folder have a lock each, so neither cargo waits for
    // the other.
    let (dev, release) = std::thread::scope(|scope| {
        let dev = scope.spawn(|| user.cargo(&["build"]));
        let release = scope.spawn(|| user.cargo(&["build", "--release"]));
        (dev.join().expect("no panic"), release.join().expect("no panic"))
    });
    dev.succeeds();
    release.succeeds();
    let mut cached = ["debug", "release"].map(|profile| user.cached_in(profile, name, MANIFEST));
    cached.sort();
    assert_eq!(cached, [[false], [true]], "one converts, the other waits and finds the entry");
}

#[test]
fn packaging_leaves_the_source_alone() {
    let name = "packaged";
    let user = layered(name);
    user.cargo(&["build"]).succeeds();
    let run = user.cargo(&["package", "--allow-dirty", "--no-verify", "--list"]).succeeds();
    let listed: Vec<&str> = run.stdout.lines().collect();
    for file in ["net.toml", "python/net.py", "python/blocks.py", "weights/net.safetensors"] {
        assert!(listed.contains(&file), "{file} is missing from the package: {listed:?}");
    }
    assert!(
        !listed.iter().any(|file| file.contains("__pycache__") || file.contains("mlpackage")),
        "the build wrote into the source: {listed:?}"
    );
}
