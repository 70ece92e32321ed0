//! Bad input, from the manifest to cargo's output: each case is a user's crate with one mistake,
//! and the test reads the message.
//!
//! Owns: the messages of a failed build as a user sees them in cargo. Must not: test what a unit
//! test of one crate can.

use coreml_tests::{Run, UserCrate};

/// A manifest of one small model.
const MANIFEST: &str = r#"[model]
source = { file = "python/net.py", entry = "net" }
inputs.x = { shape = [1, 4], dtype = "float32" }
outputs.y = { dtype = "float32" }
"#;

/// Its Python side.
const NET: &str =
    "import torch\n\n\ndef net() -> torch.nn.Module:\n    return torch.nn.Linear(4, 3)\n";

/// A program that uses the model.
const MAIN: &str = "#[coreml_rt::coreml_model(\"net.toml\")]\npub mod net {}\n\nfn main() \
    {\n    let _ = net::Model::load();\n}\n";

/// Returns a crate with the small model, to be spoilt by the test.
fn small(name: &str) -> UserCrate {
    let user = UserCrate::new(name, &["net.toml"]);
    user.write("net.toml", MANIFEST);
    user.write("python/net.py", NET);
    user.write("src/main.rs", MAIN);
    user
}

/// Checks a crate, which only needs the types.
fn check(user: &UserCrate) -> Run {
    user.cargo(&["check"])
}

/// Asserts that the error is at the attribute, once, with no cascade of other errors after it.
fn at_the_attribute(run: &Run) {
    assert!(
        run.stderr.contains("--> src/main.rs:1:27"),
        "no error at the attribute in:\n{}",
        run.stderr
    );
    let errors = run
        .stderr
        .lines()
        .filter(|line| line.starts_with("error"))
        .filter(|line| !line.contains("could not compile"))
        .count();
    assert_eq!(errors, 1, "one mistake, one error, in:\n{}", run.stderr);
    let error = run.stderr.lines().find_map(|line| line.strip_prefix("error: "));
    let error = error.unwrap_or_default();
    assert_eq!(run.stderr.matches(error).count(), 1, "{error:?} stands once in:\n{}", run.stderr);
}

#[test]
fn a_manifest_whose_attribute_is_not_compiled() {
    let user = small("no-attribute");
    user.write("net.toml", format!("{MANIFEST}comput-units = \"all\"\n"));
    user.write("src/main.rs", "fn main() {}\n");
    let run = check(&user).succeeds();
    assert!(
        run.stderr.contains(
            "net.toml is not built; the error stands at #[coreml_model(\"net.toml\")], and here \
             with COREML_STRICT=1"
        ),
        "{}",
        run.stderr
    );
    let strict = user.with("COREML_STRICT", "1");
    check(&strict).fails_with(&["net.toml:5:1", "comput-units"]);
}

#[test]
fn a_missing_manifest() {
    let user = small("missing-manifest");
    std::fs::remove_file(user.path("net.toml")).expect("it was written");
    let run = check(&user);
    run.fails_with(&["net.toml"]);
    at_the_attribute(&run);
}

#[test]
fn a_manifest_that_is_not_toml() {
    let user = small("not-toml");
    user.write("net.toml", "[model]\nsource = {{\n");
    let run = check(&user);
    run.fails_with(&["net.toml:2:"]);
    at_the_attribute(&run);
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let user = small("unknown-key");
    user.write("net.toml", format!("{MANIFEST}comput-units = \"all\"\n"));
    let run = check(&user);
    run.fails_with(&["net.toml:5:1", "comput-units", "compute-units"]);
    at_the_attribute(&run);
}

#[test]
fn a_missing_python_file() {
    let user = small("missing-python");
    std::fs::remove_file(user.path("python/net.py")).expect("it was written");
    let run = check(&user);
    run.fails_with(&["net.toml:2:", "python/net.py"]);
    at_the_attribute(&run);
}

#[test]
fn a_syntax_error_in_python() {
    let user = small("syntax-error");
    user.write("python/net.py", "import torch\n\ndef net(:\n    pass\n");
    let run = check(&user);
    run.fails_with(&["python/net.py:3", "def net(:"]);
    at_the_attribute(&run);
}

#[test]
fn python_that_raises() {
    let user = small("raises");
    user.write("python/net.py", "def net():\n    raise ValueError('no such size: huge')\n");
    let run = check(&user);
    run.fails_with(&["python/net.py:2", "no such size: huge"]);
    at_the_attribute(&run);
}

#[test]
fn an_entry_that_is_not_there_or_no_function() {
    let user = small("no-entry");
    user.write("python/net.py", "def nett():\n    pass\n");
    check(&user).fails_with(&["net.toml:2:", "`net`", "nett"]);
    user.write("python/net.py", "net = 3\n");
    check(&user).fails_with(&["`net`", "function"]);
    user.write("python/net.py", "def net():\n    return 3\n");
    check(&user).fails_with(&["nn.Module", "int"]);
}

#[test]
fn weights_missing_wrong_or_running_code() {
    let user = small("weights");
    user.write("net.toml", format!("{MANIFEST}weights = \"weights/net.pt\"\n"));
    check(&user).fails_with(&["net.toml:5:", "weights/net.pt"]);

    let save = |code: &str| {
        std::fs::create_dir_all(user.path("weights")).expect("folders can be made");
        let status = std::process::Command::new(coreml_tests::python())
            .args(["-c", code])
            .current_dir(user.path(""))
            .status();
        assert!(status.expect("python starts").success());
    };
    save(
        "import torch; torch.save({'weight': torch.zeros(3, 4), 'offset': torch.zeros(3)}, \
        'weights/net.pt')",
    );
    check(&user).fails_with(&["bias", "offset"]);
    save(
        "import torch, pathlib\nclass Evil:\n  def __reduce__(self): return (pathlib.Path.touch, \
        (pathlib.Path('ran-code'),))\ntorch.save(Evil(), 'weights/net.pt')",
    );
    check(&user).fails_with(&["weights/net.pt"]);
    assert!(!user.path("ran-code").exists(), "the pickle ran code");
}

#[test]
fn a_shape_that_the_model_refuses() {
    let user = small("shape");
    user.write("net.toml", MANIFEST.replace("[1, 4]", "[1, 5]"));
    check(&user).fails_with(&["1x5", "net.toml:3:1"]);
}

#[test]
fn an_unsupported_operation_is_named_with_its_line() {
    let user = small("unsupported");
    user.write(
        "python/net.py",
        "import torch\n\n\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        return \
        torch.igamma(x, x)\n\n\ndef net():\n    return Net()\n",
    );
    check(&user).fails_with(&["`igamma`", "python/net.py:6"]);
}

#[test]
fn a_branch_on_data() {
    let user = small("branch");
    user.write(
        "python/net.py",
        "import torch\n\n\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        if \
        x.sum() > 0:\n            return x + 1\n        return -x\n\n\ndef net():\n    return \
        Net()\n",
    );
    check(&user).fails_with(&["python/net.py:6", "torch.where"]);
}

#[test]
fn no_build_script() {
    let user = small("no-build-script");
    std::fs::remove_file(user.path("build.rs")).expect("it was written");
    let run = check(&user);
    run.fails_with(&["build.rs", "coreml_build::compile(\"net.toml\")"]);
    at_the_attribute(&run);
}

#[test]
fn a_manifest_that_the_build_script_does_not_list() {
    let user = small("unlisted");
    user.write("src/main.rs", MAIN.replace("net.toml", "other.toml"));
    user.write("other.toml", MANIFEST);
    let run = check(&user);
    run.fails_with(&["other.toml", "build.rs", "net.toml"]);
}

#[test]
fn no_python() {
    let user = small("no-python").with_empty_cache();
    let run =
        coreml_tests::run(user.command(&["check"]).env("COREML_PYTHON", "/nonexistent/python"));
    run.fails_with(&["/nonexistent/python", "COREML_PYTHON"]);
    at_the_attribute(&run);
}

#[test]
fn strict_fails_in_the_build_script() {
    let user = small("strict");
    user.write("net.toml", "[model]\n");
    let run = coreml_tests::run(user.command(&["check"]).env("COREML_STRICT", "1"));
    run.fails_with(&["net.toml", "source"]);
    assert!(
        !run.stderr.contains("src/main.rs"),
        "the build script stops the build:\n{}",
        run.stderr
    );
}
