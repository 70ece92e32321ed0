//! Finding Python and making environments, with stand-ins for interpreters, uv and pip on the
//! search path.

use crate::package::{ONE, Package, build, cached, entries_of, message};
use crate::stand_in::{CONVERT_ALL, StandIn, write_script};
use coreml_build::{Build, ErrorKind};
use std::path::{Path, PathBuf};

/// A machine: a package, and a search path of its own.
struct Machine {
    /// The package.
    package: Package,
    /// A driver that converts; the environments of this machine start it.
    driver: StandIn,
}

/// The tools that the scripts need.
const TOOLS: [&str; 13] = [
    "sh", "dirname", "sed", "paste", "mkdir", "cp", "chmod", "cat", "head", "rm", "sleep", "echo",
    "kill",
];

impl Machine {
    /// Makes a machine without Python and uv.
    fn new() -> Self {
        let machine =
            Self { package: Package::new(&[("m.toml", ONE)]), driver: StandIn::converting() };
        std::fs::create_dir(machine.bin()).unwrap();
        for tool in TOOLS {
            let path = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(tool));
            if let Some(path) = path.iter().find(|path| path.exists()) {
                std::os::unix::fs::symlink(path, machine.bin().join(tool)).unwrap();
            }
        }
        machine
    }

    /// Returns the folder on the search path.
    fn bin(&self) -> PathBuf {
        self.package.path("bin")
    }

    /// Adds a program.
    fn with(self, name: &str, script: &str) -> Self {
        write_script(
            &self.bin().join(name),
            &format!("#!/bin/sh\nlog={}\n{script}", self.package.path("calls").display()),
        );
        self
    }

    /// Adds an interpreter that can make environments: their interpreter is the driver, and pip in
    /// them does what `pip` says.
    fn with_python(
        self,
        name: &str,
        version: &str,
        can_make_environments: bool,
        pip: &str,
    ) -> Self {
        let base = self.bin().join(name).display().to_string();
        let driver = self.driver.python().display().to_string();
        let script = format!(
            "case \"$*\" in\n\
             *can_make_environments*) echo '{{\"version\": \"{version}\", \"base\": \"{base}\", \
             \"platform\": \"p\", \
             \"can_make_environments\": {can_make_environments}}}' ;;\n\
             *'-m venv'*)\n  for last; do :; done\n  echo \"venv\" >> $log\n  mkdir -p \
             \"$last/bin\"\n  \
             cat > \"$last/bin/python\" <<'END'\n#!/bin/sh\nlog={log}\ncase \"$*\" in\n  *'-m \
             pip'*) {pip}\n  ;;\n  \
             *'import torch, coremltools'*) echo \"import\" >> $log ;;\n  *) exec {driver} \"$@\" \
             ;;\nesac\nEND\n  \
             chmod +x \"$last/bin/python\" ;;\n\
             *) exit 9 ;;\nesac\n",
            log = self.package.path("calls").display(),
        );
        self.with(name, &script)
    }

    /// Adds a uv that makes environments as the interpreter does, and installs by doing what `sync`
    /// says.
    fn with_uv(self, sync: &str) -> Self {
        let script = format!(
            "echo \"uv $*\" >> $log\n\
             case \"$*\" in\n\
             *'venv '*) [ \"$1\" = --offline ] && shift; exec \"$4\" -I -m venv \"$5\" ;;\n\
             *'pip compile'*) for last; do :; done; echo 'resolved==1 --hash=sha256:0' > \"$last\" \
             ;;\n\
             *'pip sync'*) {sync}\n ;;\n\
             *'python find'*) exit 2 ;;\n\
             esac\n"
        );
        self.with("uv", &script)
    }

    /// Builds, with `change` made to the options.
    fn build_with(&self, change: impl Fn(&mut coreml_build::PythonOptions)) -> Build {
        let mut options = self.package.options(Path::new(""));
        options.python.interpreter = None;
        options.python.search_path = self.bin().into();
        change(&mut options.python);
        build(options, "m.toml")
    }

    /// Builds.
    fn build(&self) -> Build {
        self.build_with(|_| {})
    }

    /// Builds, which must fail for want of an environment; returns the text of the error.
    #[track_caller]
    fn failure(&self) -> String {
        let failed = self.build();
        let text = message(&failed);
        assert_eq!(failed.outcome.unwrap_err()[0].kind(), ErrorKind::Environment, "{text}");
        assert!(
            text.starts_with("m.toml:1:2: model `m`: ") && text.contains("COREML_PYTHON"),
            "{text}"
        );
        assert_eq!(self.driver.starts(), 0);
        text
    }

    /// Returns what uv, venv, pip and the check were called with.
    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.package.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// A pip that installs a uv that works, and nothing else.
const PIP_INSTALLS_UV: &str = "echo \"pip $*\" >> $log\n\
    printf '#!/bin/sh\\necho \"own uv $*\" >> %s\\ncase \"$*\" in *\"venv \"*) exec \"$4\" -I -m \
    venv \"$5\" ;; \
         esac\\n' $log > $(dirname \"$0\")/uv\n\
    chmod +x $(dirname \"$0\")/uv";

#[test]
fn uv_on_the_path_makes_an_environment_once() {
    let machine = Machine::new().with_python("python3", "3.11.7", true, "exit 1").with_uv("");
    assert_eq!(cached(&machine.build()), [false]);
    let calls = machine.calls();
    assert_eq!(calls.len(), 4, "{calls:?}");
    assert!(
        calls[0].starts_with("uv venv --no-project --python ") && calls[1] == "venv",
        "{calls:?}"
    );
    assert!(
        calls[2].starts_with("uv pip sync --require-hashes --python ") && calls[3] == "import",
        "{calls:?}"
    );
    machine.package.write("net.py", "# another");
    assert_eq!(cached(&machine.build()), [false]);
    assert_eq!(machine.calls().len(), 4, "the environment is there already");
}

#[test]
fn the_embedded_lock_is_what_uv_installs() {
    let copy = "for last; do :; done; cp \"$last\" $(dirname \"$0\")/../installed";
    let machine = Machine::new().with_python("python3", "3.11.7", true, "exit 1").with_uv(copy);
    cached(&machine.build());
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/requirements.lock");
    assert_eq!(
        std::fs::read(machine.package.path("installed")).unwrap(),
        std::fs::read(lock).unwrap()
    );
}

#[test]
fn dependencies_of_the_manifest_are_resolved_with_hashes() {
    let copy =
        "for last; do :; done; cp $(dirname \"$last\")/* $(dirname \"$0\")/.. 2> /dev/null; true";
    let machine = Machine::new().with_python("python3", "3.11.7", true, "exit 1").with_uv(copy);
    machine.package.write("m.toml", &format!("[python]\ndependencies = [\"whisper==1\"]\n\n{ONE}"));
    assert_eq!(cached(&machine.build()), [false]);
    let compile = machine.calls().into_iter().find(|call| call.contains("pip compile")).unwrap();
    assert!(compile.contains("--generate-hashes"), "{compile}");
    let read = |name: &str| std::fs::read_to_string(machine.package.path(name)).unwrap();
    assert_eq!(
        read("requirements.in"),
        "torch==2.7.0\ncoremltools==9.0\nnumpy<2.4\nsafetensors\nwhisper==1"
    );
    assert_eq!(read("requirements.txt"), "resolved==1 --hash=sha256:0\n");
    assert_eq!(machine.driver.request()["models"][0]["requirements"][4], "whisper==1");
}

#[test]
fn without_uv_pip_installs_a_pinned_one() {
    let machine = Machine::new().with_python("python3", "3.12.1", true, PIP_INSTALLS_UV);
    assert_eq!(cached(&machine.build()), [false]);
    let calls = machine.calls();
    let pip = calls.iter().find(|call| call.starts_with("pip ")).unwrap();
    assert!(pip.contains("--require-hashes -r "), "{calls:?}");
    assert!(
        calls.iter().any(|call| call.starts_with("own uv pip sync --require-hashes")),
        "{calls:?}"
    );
}

#[test]
fn where_there_is_no_uv_for_the_system_pip_does_it_all() {
    let pip = "echo \"pip $*\" >> $log; case \"$*\" in */uv.txt) echo 'ERROR: No matching \
        distribution found \
         for uv'; exit 1 ;; esac";
    let machine = Machine::new().with_python("python3", "3.12.1", true, pip);
    assert_eq!(cached(&machine.build()), [false]);
    let calls = machine.calls();
    assert!(
        calls.iter().any(|call| call.starts_with("pip ") && call.ends_with("requirements.txt")),
        "{calls:?}"
    );
}

#[test]
fn two_builds_make_one_environment() {
    let machine =
        Machine::new().with_python("python3", "3.11.7", true, "exit 1").with_uv("sleep 0.5");
    machine.package.write("other.toml", &ONE.replace("[1, 3]", "[1, 4]"));
    std::thread::scope(|scope| {
        for manifest in ["m.toml", "other.toml"] {
            let mut options = machine.package.options(Path::new(""));
            options.python.interpreter = None;
            options.python.search_path = machine.bin().into();
            scope.spawn(move || cached(&build(options, manifest)));
        }
    });
    assert_eq!(machine.calls().iter().filter(|call| call.contains("pip sync")).count(), 1);
    assert_eq!(machine.driver.starts(), 2);
}

#[test]
fn an_environment_that_was_not_finished_is_made_again() {
    let machine = Machine::new().with_python("python3", "3.11.7", true, "exit 1").with_uv("exit 1");
    assert!(machine.failure().contains("cannot install the packages (exit code 1)"));
    let python = machine.package.path("cache/v1/python");
    let folder = entries_of(&python).into_iter().find(|path| path.is_dir()).unwrap();
    std::fs::create_dir_all(folder.join("env-dead/venv/bin")).unwrap();
    std::fs::write(folder.join("env-dead/venv/bin/python"), "half installed").unwrap();
    let machine = machine.with_uv("");
    assert_eq!(cached(&machine.build()), [false]);
    assert!(!folder.join("env-dead").exists());
    // A marker without its environment is as good as none.
    let ready = entries_of(&folder).into_iter().find(|path| path.is_dir()).unwrap();
    std::fs::remove_dir_all(ready).unwrap();
    machine.package.write("net.py", "# another");
    assert_eq!(cached(&machine.build()), [false]);
}

#[test]
fn no_python_at_all() {
    let text = Machine::new().failure();
    assert!(text.contains("needs Python >=3.10,<3.14, and there is no Python on PATH"), "{text}");
    assert!(text.contains("try: install it"), "{text}");
}

#[test]
fn only_wrong_versions() {
    let machine = Machine::new()
        .with_python("python3", "3.8.10", true, "")
        .with_python("python", "2.7.18", true, "")
        .with("python3.13", "echo 'python3.13: command not found' >&2; exit 127\n");
    let text = machine.failure();
    assert!(
        text.contains("python3 is Python 3.8.10") && text.contains("python is Python 2.7.18"),
        "{text}"
    );
    assert!(
        text.contains(
            "python3.13 is not a working Python 3 (exit code 127: python3.13: command not found)"
        ),
        "{text}"
    );
}

#[test]
fn a_later_name_may_fit() {
    let machine = Machine::new().with_python("python3", "3.14.0", true, "").with_python(
        "python3.12",
        "3.12.3",
        true,
        PIP_INSTALLS_UV,
    );
    assert_eq!(cached(&machine.build()), [false]);
}

#[test]
fn the_manifest_can_ask_for_other_versions() {
    let machine = Machine::new().with_python("python3", "3.11.7", true, "").with_uv("");
    machine.package.write("m.toml", &format!("[python]\nrequires-python = \">=3.12\"\n\n{ONE}"));
    let text = message(&machine.build());
    assert!(
        text.contains("needs Python >=3.12, but on PATH") && text.contains("is Python 3.11.7"),
        "{text}"
    );
}

#[test]
fn debian_without_its_venv_package() {
    let text = Machine::new().with_python("python3", "3.11.2", false, "").failure();
    assert!(
        text.contains("python3.11-venv") && text.contains("try: sudo apt install python3.11-venv"),
        "{text}"
    );
    // uv needs neither module.
    let machine = Machine::new().with_python("python3", "3.11.2", false, "").with_uv("");
    assert_eq!(cached(&machine.build()), [false]);
}

#[test]
fn no_network() {
    let uv = "echo 'error: Failed to fetch: `https://pypi/simple/torch/`' >&2; echo '  Caused by: \
        dns error' >&2; exit 2";
    let text = Machine::new().with_python("python3", "3.11.7", true, "").with_uv(uv).failure();
    assert!(
        text.contains("the package index does not answer") && text.contains("UV_DEFAULT_INDEX"),
        "{text}"
    );
    let pip = "echo \"WARNING: Retrying after connection broken by 'NewConnectionError'\"; echo \
        'ERROR: No \
         matching distribution found for uv'; exit 1";
    let text = Machine::new().with_python("python3", "3.11.7", true, pip).failure();
    assert!(
        text.contains("the package index does not answer") && text.contains("HTTPS_PROXY"),
        "{text}"
    );
    assert!(text.contains("\n  log: "), "{text}");
}

#[test]
fn a_download_that_is_not_what_its_hash_says() {
    let uv = "echo 'error: Hash mismatch for `torch==2.7.0`' >&2; exit 1";
    let text = Machine::new().with_python("python3", "3.11.7", true, "").with_uv(uv).failure();
    assert!(
        text.contains("was refused")
            && text.contains("  | error: Hash mismatch for `torch==2.7.0`"),
        "{text}"
    );
    let pip =
        "echo 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.'; exit 1";
    let text = Machine::new().with_python("python3", "3.11.7", true, pip).failure();
    assert!(text.contains("was refused"), "{text}");
}

#[test]
fn a_full_disk() {
    let uv = "echo 'error: failed to write: No space left on device (os error 28)' >&2; exit 2";
    let text = Machine::new().with_python("python3", "3.11.7", true, "").with_uv(uv).failure();
    assert!(text.contains("the disk is full at ") && text.contains("COREML_CACHE_DIR"), "{text}");
}

#[test]
fn packages_that_cannot_be_imported() {
    let machine = Machine::new().with_python("python3", "3.11.7", true, "").with_uv("");
    let python = std::fs::read_to_string(machine.bin().join("python3")).unwrap();
    let broken =
        python.replace("echo \"import\" >> $log", "echo 'ImportError: libgomp.so.1' >&2; exit 1");
    write_script(&machine.bin().join("python3"), &broken);
    let text = machine.failure();
    assert!(
        text.contains("cannot import the packages") && text.contains("ImportError: libgomp.so.1"),
        "{text}"
    );
}

#[test]
fn offline() {
    let offline = |machine: &Machine| {
        let text = message(&machine.build_with(|options| options.offline = true));
        assert!(text.contains("offline (COREML_OFFLINE or CARGO_NET_OFFLINE is set)"), "{text}");
        assert!(text.contains("COREML_PYTHON"), "{text}");
        text
    };
    let without_uv = Machine::new().with_python("python3", "3.11.7", true, "exit 1");
    assert!(offline(&without_uv).contains("there is no uv"));
    assert_eq!(without_uv.calls().len(), 0, "nothing was tried");
    let empty = Machine::new()
        .with_python("python3", "3.11.7", true, "")
        .with_uv("echo 'network connectivity is disabled' >&2; exit 1");
    assert!(offline(&empty).contains("not in uv's cache"));
    assert!(
        empty.calls().iter().any(|call| call.starts_with("uv --offline pip sync")),
        "{:?}",
        empty.calls()
    );
    let full = Machine::new().with_python("python3", "3.11.7", true, "").with_uv("");
    assert_eq!(cached(&full.build_with(|options| options.offline = true)), [false]);
}

#[test]
fn coreml_python_is_used_as_it_is_or_refused() {
    let machine = Machine::new().with_python("python3", "3.11.7", true, "exit 1").with_uv("exit 1");
    let own = machine.driver.python();
    assert_eq!(
        cached(&machine.build_with(|options| options.interpreter = Some(own.clone()))),
        [false]
    );
    assert_eq!(machine.calls().len(), 0, "no environment was made");
    machine.package.write("net.py", "# another");
    let refused = |interpreter: &str| {
        message(
            &machine
                .build_with(|options| options.interpreter = Some(machine.bin().join(interpreter))),
        )
    };
    let text = refused("nothing");
    assert!(
        text.contains("nothing, and there is no such program") && text.contains("unset it"),
        "{text}"
    );
    write_script(&machine.bin().join("no-python"), "#!/bin/sh\necho hello\n");
    assert!(refused("no-python").contains("which is not a working Python 3 (exit code 0)"));
    let old = std::fs::read_to_string(&own).unwrap().replace("3.11.7", "3.9.1");
    write_script(&machine.bin().join("old"), &old);
    assert!(refused("old").contains("which is Python 3.9.1, but Python >=3.10,<3.14 is needed"));
}

#[test]
fn coreml_uv_is_used_or_refused() {
    let machine = Machine::new().with_python("python3", "3.11.7", true, "exit 1").with_uv("");
    std::fs::rename(machine.bin().join("uv"), machine.bin().join("my-uv")).unwrap();
    let with = |uv: &str| machine.build_with(|options| options.uv = Some(machine.bin().join(uv)));
    assert!(message(&with("nothing")).contains("COREML_UV is "));
    assert_eq!(cached(&with("my-uv")), [false]);
    assert!(CONVERT_ALL.contains("finished") && machine.driver.starts() == 1);
}

#[test]
fn a_lock_pins_packages_of_the_users_own_with_their_hashes() {
    let machine =
        Machine::new().with_python("python3", "3.11.7", true, "").with_uv("cp \"$6\" $log.synced");
    machine
        .package
        .write("m.toml", &format!("[python]\ndependencies = [\"einops>=0.8\"]\n\n{ONE}"));
    let lock = || {
        let mut options = machine.package.options(Path::new(""));
        options.python.interpreter = None;
        options.python.search_path = machine.bin().into();
        coreml_build::Context::new(options).lock(&["m.toml"]).remove(0)
    };
    let made = lock();
    made.write().unwrap();
    let text = made.after.unwrap();
    assert!(
        text.contains(
            "    \"einops>=0.8\",\n]\npackages = [\n    \"resolved==1 --hash=sha256:0\",\n]"
        ),
        "{text}"
    );
    let compiles = || machine.calls().iter().filter(|call| call.contains("--universal")).count();
    assert_eq!(compiles(), 1);
    assert!(lock().is_current());
    assert_eq!(cached(&machine.build()), [true]);
    assert_eq!(compiles(), 1, "a lock is resolved once");
    let synced = std::fs::read_to_string(machine.package.path("calls.synced")).unwrap();
    assert_eq!(synced, "resolved==1 --hash=sha256:0", "what is installed is what is locked");
}
