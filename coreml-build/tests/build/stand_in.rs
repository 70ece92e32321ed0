//! A shell script in Python's place, for tests about processes, files and the cache.
//!
//! Owns: the script, which speaks the driver's protocol by hand. The packages that it "converts"
//! are real ones, from the package reader's test data.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A fake interpreter that counts how often the driver was started.
#[derive(Debug)]
pub(crate) struct StandIn {
    /// Holds script, counter and the package.
    folder: TempDir,
}

/// Begins every script: answers the question what interpreter it is, counts, and offers functions.
///
/// `models` prints id and output folder of each model; `progress ID STAGE DETAIL` reports;
/// `convert ID OUTPUT` converts one, from the
/// files in `$inputs`, with `$warnings`, begun at `$began`; `finish` runs before it is reported.
const PRELUDE: &str = r#"#!/bin/sh
case "$*" in
  *can_make_environments*)
    echo '{"version": "3.11.7", "base": "/stand-in", "platform": "stand-in",
           "can_make_environments": true}'
    exit 0 ;;
esac
here=$(dirname "$0")
IFS=$(printf '\t')  # names may have blanks
request=$6
echo started >> "$here/starts"
cp "$request" "$here/request.json"
say() { printf '%s\n' "$1"; }
models() {
  sed -n -e 's/^ *"id": "\(.*\)",$/\1/p' -e 's/^ *"output": "\(.*\)"$/\1/p' "$request" |
    sed 's/\\\(.\)/\1/g' | paste - -
}
progress() {
  say "{\"event\": \"progress\", \"model\": \"$1\", \"stage\": \"$2\", \"detail\": \"$3\"}"
}
convert() {
  progress "$1" convert "12/95: fuse_gelu"
  mkdir -p "$2/samples"
  cp -r "$here/model.mlpackage" "$2/model.mlpackage"
  chmod -R u+w "$2"
  echo sample > "$2/samples/0.safetensors"
  echo '{"operations": {}}' > "$2/report.json"
  finish
  told="\"inputs\": $inputs, \"warnings\": $warnings, \"began\": $began"
  say "{\"event\": \"converted\", \"model\": \"$1\", $told}"
}
finish() { :; }
inputs='["net.py"]'
warnings='[]'
began=null
say '{"event": "started", "versions": {"python": "3.11.7", "torch": "2.7.0", "coremltools": "9.0"}}'
"#;

/// Converts every model.
pub(crate) const CONVERT_ALL: &str = "models | while read -r id output; do convert \"$id\" \
    \"$output\"; done\nsay '{\"event\": \"finished\"}'\n";

/// Converts every model, and runs `command` when the output of one is written, before the build is
/// told so: then `$id` and `$output` are its.
pub(crate) fn convert_all_after(command: &str) -> String {
    format!("finish() {{ {command}; }}\n{CONVERT_ALL}")
}

impl StandIn {
    /// Makes a stand-in that does what `script` says after the prelude.
    pub(crate) fn new(script: &str) -> Self {
        let stand_in = Self { folder: tempfile::tempdir().unwrap() };
        stand_in.becomes(script);
        let package = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../coreml-spec/tests/data/packages/fixed.mlpackage");
        copy_tree(&package, &stand_in.folder.path().join("model.mlpackage"));
        stand_in
    }

    /// Makes a stand-in that converts everything.
    pub(crate) fn converting() -> Self {
        Self::new(CONVERT_ALL)
    }

    /// Changes what it does.
    pub(crate) fn becomes(&self, script: &str) {
        write_script(&self.python(), &format!("{PRELUDE}{script}"));
    }

    /// Returns the interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.folder.path().join("python")
    }

    /// Returns a file beside the interpreter.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns how often the driver was started.
    pub(crate) fn starts(&self) -> usize {
        std::fs::read_to_string(self.file("starts")).map_or(0, |text| text.lines().count())
    }

    /// Returns the last request.
    pub(crate) fn request(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.file("request.json")).unwrap()).unwrap()
    }

    /// Returns the names of the models in the last request.
    pub(crate) fn requested(&self) -> Vec<String> {
        let request = self.request();
        let models = request["models"].as_array().unwrap();
        models.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// Writes an executable script.
pub(crate) fn write_script(path: &Path, content: &str) {
    // Renamed into place: a script that is open for writing anywhere cannot be started.
    let new = path.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// Copies a folder.
fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for path in crate::package::entries_of(from) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}
