//! Real conversions by the real driver.
//!
//! The interpreter is `COREML_TEST_PYTHON` or `COREML_PYTHON`; without them the build makes its
//! environment as it does for a user, in a cache that outlives the test.

use crate::package::{Package, build, cached, entries_of, message, models};
use coreml_build::{Build, Context, ErrorKind, Options};
use coreml_spec::{DataType, FeatureKind, Shape};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// A network in two files, with a helper that is imported.
const NET: &str = include_str!("../fixtures/net.py");

/// A manifest for it.
const MANIFEST: &str = "[models.narrow]\nsource = { file = \"python/net.py\", entry = \"net\" }\n\
    inputs.x = { shape = [1, 3], dtype = \"float32\" }\noutputs.y = { dtype = \"float32\" }\n\n\
    [models.wide]\nsource = { file = \"python/net.py\", entry = \"net\", args = { width = 8 } \
         }\ncompute-precision = \"float32\"\n\
    inputs.x = { shape = [2, 3], dtype = \"float32\" }\noutputs.y = { dtype = \"float32\" }\n";

/// Returns options with the real Python.
fn options(package: &Package) -> Options {
    let variable =
        |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut options = package.options(&PathBuf::new());
    options.python.interpreter =
        variable("COREML_TEST_PYTHON").or_else(|| variable("COREML_PYTHON"));
    options.python.search_path = std::env::var_os("PATH").unwrap_or_default();
    if options.python.interpreter.is_none() {
        options.cache_dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cache");
    }
    options
}

/// Returns a package with the network, which is in no cache yet.
fn package(manifest: &str) -> Package {
    let package = Package::new(&[("m.toml", manifest)]);
    package.write("python/net.py", NET);
    write_scale(&package, "2.0");
    package
}

/// Writes the part that the network imports, with the time in it: the cache outlives the test, and
/// an earlier run must not have filled it.
fn write_scale(package: &Package, scale: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    package.write("python/parts.py", &format!("scale = {scale}  # {now}\n"));
}

/// Builds `m.toml`.
fn build_it(package: &Package) -> Build {
    build(options(package), "m.toml")
}

#[test]
fn two_models_become_packages_and_their_inputs_decide_what_is_converted_again() {
    let package = package(MANIFEST);
    let first = build_it(&package);
    assert_eq!(cached(&first), [false, false]);
    let shapes: Vec<_> = models(&first)
        .iter()
        .map(|model| model.interface.functions[0].outputs[0].kind.clone())
        .collect();
    let tensor = |dims: [usize; 2]| FeatureKind::MultiArray {
        data_type: DataType::Float32,
        shape: Shape::fixed(dims),
    };
    assert_eq!(shapes, [tensor([1, 4]), tensor([2, 8])]);
    assert_eq!(
        models(&first)[0].samples,
        [
            "narrow.samples.0.safetensors",
            "narrow.samples.1.safetensors",
            "narrow.samples.2.safetensors"
        ]
    );
    let watched = ["m.toml", "python/net.py", "python/parts.py"]
        .map(|name| package.path("package").join(name));
    assert_eq!(first.watched, watched);
    assert_eq!(cached(&build_it(&package)), [true, true]);
    write_scale(&package, "3.0");
    assert_eq!(cached(&build_it(&package)), [false, false]);
    package.write("m.toml", &MANIFEST.replace("width = 8", "width = 16"));
    assert_eq!(cached(&build_it(&package)), [true, false]);
    let left = entries_of(&package.path("package/python"));
    assert_eq!(left.len(), 2, "nothing was written into the package: {left:?}");
}

#[test]
fn a_failing_model_is_named_with_both_lines_and_does_not_lose_the_others() {
    let manifest = format!(
        "{MANIFEST}\n[models.bad]\nsource = {{ file = \"python/bad.py\", entry = \"bad\" \
        }}\ninputs.x = {{ \
         shape = [1, 3] }}\n"
    );
    let package = package(&manifest);
    package.write(
        "python/bad.py",
        concat!(
            "import torch\n\n\nclass Bad(torch.nn.Module):\n    def forward(self, x):\n",
            "        return torch.igamma(x, x)\n\n\ndef bad():\n    return Bad()\n"
        ),
    );
    let failed = build_it(&package);
    let text = message(&failed);
    assert!(text.contains("model `bad`: coremltools cannot translate"), "{text}");
    assert!(text.contains("`igamma`"), "{text}");
    assert!(text.contains("python/bad.py:6: return torch.igamma(x, x)"), "{text}");
    assert!(text.starts_with("m.toml:") && text.contains("\n  try: "), "{text}");
    let errors = failed.outcome.unwrap_err();
    assert_eq!((errors.len(), errors[0].kind()), (1, ErrorKind::Conversion), "{text}");
    let log = std::fs::read_to_string(errors[0].log().unwrap()).unwrap();
    assert!(log.contains("Traceback") || log.contains("igamma"), "{log}");
    package.write("m.toml", MANIFEST);
    let builds = Context::new(options(&package)).build(&["m.toml"]);
    assert_eq!(cached(&builds[0]), [true, true], "the good models are kept");
}

/// Models that cannot be converted: name, Python file, and what the error's text must contain.
const MISTAKES: [(&str, &str, &[&str]); 6] = [
    ("syntax", "import torch\n\ndef net(:\n", &["python/syntax.py:3: def net(:"]),
    (
        "raising",
        "def net():\n    raise ValueError('no such thing')\n",
        &["python/raising.py:2", "no such thing"],
    ),
    ("missing", "def other():\n    pass\n", &["m.toml:10:40: ", "`net`", "other"]),
    ("number", "def net():\n    return 3\n", &["Module"]),
    (
        "shape",
        "import torch\n\ndef net():\n    return torch.nn.Linear(5, 2)\n",
        &["m.toml:", "shape"],
    ),
    (
        "imports",
        "import no_such_package\n\ndef net():\n    pass\n",
        &["python/imports.py:1", "no_such_package"],
    ),
];

#[test]
fn mistakes_in_python_are_told_with_their_lines() {
    let manifest = MISTAKES.map(|(name, ..)| {
        format!(
            "[models.{name}]\nsource = {{ file = \"python/{name}.py\", entry = \"net\" \
            }}\ninputs.x = {{ \
             shape = [1, 3] }}\n\n"
        )
    });
    let package = package(&manifest.concat());
    for (name, python, _) in MISTAKES {
        package.write(&format!("python/{name}.py"), python);
    }
    let failed = build_it(&package);
    let errors = failed.outcome.as_ref().unwrap_err();
    assert_eq!(errors.len(), MISTAKES.len(), "{}", message(&failed));
    for ((name, _, expected), error) in MISTAKES.iter().zip(errors) {
        let text = error.to_string();
        assert!(
            text.contains(&format!("model `{name}`: ")) && text.contains("\n  try: "),
            "{text}"
        );
        assert!(
            expected.iter().all(|part| text.contains(part)),
            "{text}\nshould contain {expected:?}"
        );
    }
}
