//! The Python that converts in the tests.
//!
//! Owns: finding the interpreter. Must not: install anything, or know the folders of environments;
//! the build does.
//! Flow: `user_crate.rs` for crates with an empty cache; tests that write weights; scripts through
//! `examples/python.rs`.

use crate::user_crate::{UserCrate, digest};
use crate::{target, workspace};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// A module that prints the interpreter that converts it.
const NET: &str = "import sys\n\nimport torch\n\nwith open(\"interpreter\", \"w\") as \
    file:\n    file.write(sys.executable)\n\n\n\
                   def net():\n    return torch.nn.Linear(1, 1)\n\n\n# ";

/// A manifest of that module.
const MANIFEST: &str = "[model]\nsource = { file = \"net.py\", entry = \"net\" }\n\
                        inputs.x = { shape = [1], dtype = \"float32\" }\noutputs.y = { dtype = \
                        \"float32\" }\n";

/// Returns the Python interpreter that has torch and coremltools: `COREML_PYTHON`, or that of the
/// environment that a build creates in the cache.
///
/// Only a build that converts knows it: the first call runs such a build, and writes the answer
/// into the target folder for the next process.
pub fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON
        .get_or_init(|| std::env::var_os("COREML_PYTHON").map_or_else(noted, PathBuf::from))
        .clone()
}

/// Returns the noted interpreter, or asks a build.
fn noted() -> PathBuf {
    let lock = workspace().join("coreml-build/python/requirements.lock");
    let lock = std::fs::read(&lock).unwrap_or_else(|error| panic!("{}: {error}", lock.display()));
    let note = target()
        .join("tmp")
        .join(format!("python-{:016x}", digest(&(lock, std::env::var_os("COREML_CACHE_DIR")))));
    let python =
        std::fs::read_to_string(&note).map(PathBuf::from).ok().filter(|python| python.exists());
    python.unwrap_or_else(|| {
        let python = asked();
        std::fs::create_dir_all(target().join("tmp")).expect("the target folder is writable");
        std::fs::write(note, python.as_os_str().as_encoded_bytes())
            .expect("the target folder is writable");
        python
    })
}

/// Builds a model that is in no cache, and returns the interpreter that converted it.
fn asked() -> PathBuf {
    let user = UserCrate::new("which-python", &["net.toml"]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_nanos();
    user.write("net.py", format!("{NET}{now}\n"));
    user.write("net.toml", MANIFEST);
    user.write(
        "src/main.rs",
        "#[coreml_rt::coreml_model(\"net.toml\")]\npub mod net {}\n\nfn main() {}\n",
    );
    user.cargo(&["check"]).succeeds();
    PathBuf::from(
        std::fs::read_to_string(user.path("interpreter")).expect("the conversion wrote it"),
    )
}
