//! `#[needs(nginx)]` before `#[test]`: a test that needs more than cargo and Python.
//!
//! Owns: what a test can need, how to see that it is there, and what to say where it is not.
//! Must not: install anything; `.ci/run` does.
//!
//! The test harness counts a test as ignored, with its reason, only if that is known when the test
//! is compiled, so this is looked up then. Without what it needs, a test is ignored. What
//! `COREML_TEST_INSTALLED` lists is expected to be there: a test that needs it is never ignored,
//! and fails. Cargo looks again when a variable changes that is read here, or `PATH` does.

use proc_macro::{TokenStream, TokenTree};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variable with the needs that were installed for these tests, separated by spaces.
const INSTALLED: &str = "COREML_TEST_INSTALLED";

/// Something that tests need.
struct Need {
    /// Its name in the attribute.
    name: &'static str,
    /// Whether it is there.
    met: fn() -> bool,
    /// What a test without it says.
    reason: &'static str,
    /// The variables that it depends on.
    variables: &'static [&'static str],
}

/// Everything that tests can need.
const NEEDS: &[Need] = &[
    Need {
        name: "bash",
        met: || program("bash"),
        reason: "there is no bash on PATH",
        variables: &["PATH"],
    },
    Need {
        name: "chromium",
        met: || ["chromium", "chromium-browser", "google-chrome"].into_iter().any(program),
        reason: "there is no Chromium on PATH",
        variables: &["PATH"],
    },
    Need {
        name: "git",
        met: || program("git"),
        reason: "there is no git on PATH",
        variables: &["PATH"],
    },
    Need {
        name: "long",
        met: || variable("COREML_TEST_LONG").is_some(),
        reason: "it takes long: `.ci/long` runs it, or any run with COREML_TEST_LONG=1",
        variables: &["COREML_TEST_LONG"],
    },
    Need {
        name: "mounts",
        met: || {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
            succeeds(command.arg("mount -t tmpfs none /mnt"))
        },
        reason: "this system does not let tests mount file systems",
        variables: &["PATH"],
    },
    Need {
        name: "nginx",
        met: || NGINX.into_iter().any(|path| Path::new(path).exists()),
        reason: "there is no nginx; on Debian and Ubuntu: apt install nginx-light",
        variables: &[],
    },
    Need {
        name: "onnx",
        met: || {
            let python = variable("COREML_ONNX_PYTHON").unwrap_or_else(|| "python3".into());
            succeeds(Command::new(python).args(["-c", "import onnx, numpy"]))
        },
        reason: "COREML_ONNX_PYTHON, or else python3, has no packages `onnx` and `numpy`",
        variables: &["COREML_ONNX_PYTHON", "PATH"],
    },
    Need {
        name: "onnxruntime",
        met: onnxruntime,
        reason: "no ONNX Runtime: set ORT_DYLIB_PATH, or VIRTUAL_ENV to an environment with it",
        variables: &["ORT_DYLIB_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"],
    },
    Need {
        name: "openssl",
        met: || program("openssl"),
        reason: "there is no openssl on PATH",
        variables: &["PATH"],
    },
    Need {
        name: "python3",
        met: || ["python3", "python"].into_iter().any(program),
        reason: "there is no Python on PATH",
        variables: &["PATH"],
    },
    Need {
        name: "s3",
        met: || variable("COREML_TEST_S3_PYTHON").is_some(),
        reason: "COREML_TEST_S3_PYTHON names no Python with .ci/requirements-s3.txt",
        variables: &["COREML_TEST_S3_PYTHON"],
    },
    Need {
        name: "timm",
        met: || {
            let folder = variable("COREML_TEST_TRANSFORMERS_PATH");
            folder.is_some_and(|folder| Path::new(&folder).join("timm").is_dir())
        },
        reason: "there is no timm in the folder that COREML_TEST_TRANSFORMERS_PATH names",
        variables: &["COREML_TEST_TRANSFORMERS_PATH"],
    },
    Need {
        name: "transformers",
        met: || variable("COREML_TEST_TRANSFORMERS_PATH").is_some(),
        reason: "COREML_TEST_TRANSFORMERS_PATH names no folder with .ci/requirements-driver.txt",
        variables: &["COREML_TEST_TRANSFORMERS_PATH"],
    },
    Need {
        name: "user",
        met: || {
            let mut command = Command::new("setpriv");
            succeeds(command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "true"]))
        },
        reason: "this test cannot become another user: it needs setpriv, and root",
        variables: &["PATH"],
    },
    Need {
        name: "whisper",
        met: || variable("COREML_TEST_WHISPER_RANKS").is_some(),
        reason: "COREML_TEST_WHISPER_RANKS does not name OpenAI's multilingual.tiktoken",
        variables: &["COREML_TEST_WHISPER_RANKS"],
    },
];

/// Places of nginx, which is often not on the path of ordinary users.
const NGINX: [&str; 4] =
    ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx", "/opt/homebrew/bin/nginx"];

/// Marks a test as ignored, with a reason, where something that it needs is missing.
///
/// Stands before `#[test]`. Its arguments are names of `NEEDS`, separated by commas.
#[proc_macro_attribute]
pub fn needs(arguments: TokenStream, test: TokenStream) -> TokenStream {
    let names = arguments.into_iter().filter_map(|token| match token {
        TokenTree::Ident(name) => Some(name.to_string()),
        _ => None,
    });
    let (mut missing, mut variables) = (Vec::new(), vec![INSTALLED]);
    for name in names {
        let Some(need) = NEEDS.iter().find(|need| need.name == name) else {
            let known: Vec<&str> = NEEDS.iter().map(|need| need.name).collect();
            let message = format!("`{name}` is nothing to need; known are: {}", known.join(", "));
            return code(&format!("::core::compile_error!({message:?});"));
        };
        variables.extend(need.variables);
        if !installed(need.name) && !(need.met)() {
            missing.push(need.reason);
        }
    }
    // Reading a variable in the code is what makes cargo compile the test again when it changes.
    let read: String =
        variables.iter().map(|name| format!("::core::option_env!({name:?}),")).collect();
    let count = variables.len();
    let mut marked = code(&format!(
        "const _: [::core::option::Option<&'static ::core::primitive::str>; {count}] = [{read}];"
    ));
    if !missing.is_empty() {
        marked.extend(code(&format!("#[ignore = {:?}]", missing.join("; "))));
    }
    marked.extend(test);
    marked
}

/// Returns the tokens of a text that is Rust.
fn code(text: &str) -> TokenStream {
    text.parse().unwrap_or_default()
}

/// Returns a variable of the environment that is set to something.
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns whether a need is one that the environment promises.
fn installed(name: &str) -> bool {
    let list = variable(INSTALLED).map(|list| list.to_string_lossy().into_owned());
    list.unwrap_or_default().split_whitespace().any(|one| one == name)
}

/// Returns whether a program is on the path.
fn program(name: &str) -> bool {
    let path = variable("PATH").unwrap_or_default();
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&path).any(|folder| folder.join(&file).is_file())
}

/// Returns whether a command can be started and succeeds.
fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Returns whether ONNX Runtime's shared library is where `coreml-portable` looks for it.
fn onnxruntime() -> bool {
    if let Some(library) = variable("ORT_DYLIB_PATH") {
        return Path::new(&library).exists();
    }
    let environments = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(variable);
    environments.map(PathBuf::from).any(|root| {
        let versions = std::fs::read_dir(root.join("lib")).into_iter().flatten().flatten();
        let mut packages = versions.map(|version| version.path().join("site-packages"));
        packages.any(|packages| packages.join("onnxruntime/capi").exists())
            || root.join("Lib/site-packages/onnxruntime/capi").exists()
    })
}
