//! The driver's part without Python: "converts" by writing a small real package, and weights of any
//! size beside it.
//!
//! Owns: the driver's protocol, as far as a successful conversion needs it. Must not: know the
//! caches.
//! Flow: `machine.rs` links this program to the name [`NAME`]; coreml-build starts it as the
//! interpreter.

use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// The name under which this program is the interpreter.
pub(crate) const NAME: &str = "python";

/// The package that every conversion returns.
const PACKAGE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../coreml-spec/tests/data/packages/fixed.mlpackage");

/// Argument of a model's source: the size of its weights in bytes.
const BYTES: &str = "bytes";

/// Prefix of a source whose conversion takes as many milliseconds as follow.
pub(crate) const PAUSE: &str = "pause-";

/// Bytes that are written at once.
const BLOCK: usize = 1 << 20;

/// Answers as the interpreter.
pub(crate) fn run(arguments: &[String]) {
    if arguments.iter().any(|argument| argument.contains("can_make_environments")) {
        say(&json!({
            "version": "3.11.7", "base": "/stub", "platform": "stub", "can_make_environments": true
        }));
        return;
    }
    let request: Value = serde_json::from_slice(&std::fs::read(&arguments[5]).unwrap()).unwrap();
    let versions = json!({ "python": "3.11.7", "torch": "2.7.0", "coremltools": "9.0" });
    say(&json!({ "event": "started", "versions": versions }));
    for model in request["models"].as_array().unwrap() {
        let source = &model["table"]["source"];
        pause(
            &Path::new(request["package_root"].as_str().unwrap())
                .join(source["file"].as_str().unwrap()),
        );
        convert(
            Path::new(model["output"].as_str().unwrap()),
            source["args"][BYTES].as_u64().unwrap_or(0),
        );
        let (id, inputs) = (&model["id"], [&source["file"]]);
        say(&json!({ "event": "converted", "model": id, "inputs": inputs, "warnings": [] }));
    }
    say(&json!({ "event": "finished" }));
}

/// Sends one event to coreml-build.
fn say(event: &Value) {
    println!("{event}");
}

/// Takes the time that a source asks for.
fn pause(source: &Path) {
    let text = std::fs::read_to_string(source).unwrap();
    let milliseconds =
        text.split_once(PAUSE).and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    std::thread::sleep(Duration::from_millis(milliseconds.unwrap_or(0)));
}

/// Writes what a conversion leaves.
fn convert(output: &Path, bytes: u64) {
    copy(Path::new(PACKAGE), &output.join("model.mlpackage"));
    std::fs::create_dir_all(output.join("samples")).unwrap();
    std::fs::write(output.join("samples/0.safetensors"), "sample").unwrap();
    std::fs::write(output.join("report.json"), "{\"operations\": {}}").unwrap();
    if bytes > 0 {
        let folder = output.join("model.mlpackage/Data/com.apple.CoreML/weights");
        std::fs::create_dir_all(&folder).unwrap();
        write_noise(&folder.join("extra.bin"), bytes);
    }
}

/// Writes bytes that no archive makes smaller, as half-precision weights are.
fn write_noise(path: &Path, bytes: u64) {
    let mut file = std::fs::File::create(path).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut left = usize::try_from(bytes).unwrap();
    let mut block = vec![0; BLOCK];
    while left > 0 {
        for word in block.chunks_exact_mut(8) {
            // Marsaglia's xorshift.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        let count = left.min(BLOCK);
        file.write_all(&block[..count]).unwrap();
        left -= count;
    }
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target)
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
