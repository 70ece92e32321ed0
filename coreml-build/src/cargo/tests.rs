//! The environment of a build script, and its lines for cargo.

use super::*;
use crate::error::Place;
use std::collections::HashMap;

/// Reads an environment of these variables, a home among them.
fn read(variables: &[(&str, &str)]) -> Result<Environment, Error> {
    let base = [
        ("CARGO_MANIFEST_DIR", "/crate"),
        ("OUT_DIR", "/out"),
        ("HOME", "/home/me"),
        ("PATH", "/bin"),
    ];
    let all: HashMap<_, _> = base.iter().chain(variables).copied().collect();
    Environment::read(|name| all.get(name).map(OsString::from))
}

#[test]
fn silence_means_the_defaults() {
    let environment = read(&[("COREML_PYTHON", ""), ("COREML_STRICT", "0")]).unwrap();
    let options = environment.options;
    assert!(environment.errors.is_empty() && !environment.strict);
    assert_eq!((options.policy, options.jobs, options.status), (Policy::Auto, None, true));
    assert_eq!((options.python.interpreter, options.python.offline), (None, false));
    assert_eq!(options.target, None);
    if cfg!(target_os = "linux") {
        assert_eq!(options.cache_dir, Path::new("/home/me/.cache/coreml"));
    }
}

#[test]
fn every_variable_counts() {
    let environment = read(&[
        ("COREML_BUILD", "cached"),
        ("COREML_CACHE_DIR", "cache"),
        ("COREML_PYTHON", "python3"),
        ("COREML_UV", "/uv"),
        ("COREML_STRICT", "1"),
        ("COREML_JOBS", "3"),
        ("CARGO_NET_OFFLINE", "true"),
        ("COREML_STATUS", "off"),
        ("TARGET", "a"),
        ("HOST", "b"),
    ]);
    let Environment { options, strict, errors } = environment.unwrap();
    assert!(errors.is_empty() && strict && options.python.offline && !options.status);
    assert_eq!((options.policy, options.jobs), (Policy::Cached, Some(3)));
    assert_eq!(options.cache_dir, Path::new("/crate/cache"));
    assert_eq!(options.python.interpreter, Some("python3".into()));
    assert_eq!(options.python.uv, Some("/uv".into()));
    assert_eq!(options.target, Some(Target { target: "a".into(), host: "b".into() }));
    assert_eq!(
        read(&[("XDG_CACHE_HOME", "/x")]).unwrap().options.cache_dir,
        Path::new("/x/coreml")
    );
    assert!(!read(&[("CI", "true")]).unwrap().options.status);
    assert_eq!(read(&[("DOCS_RS", "1")]).unwrap().options.policy, Policy::Skip);
    assert_eq!(
        read(&[("DOCS_RS", "1"), ("COREML_BUILD", "auto")]).unwrap().options.policy,
        Policy::Auto
    );
}

#[test]
fn nonsense_is_named() {
    let errors =
        read(&[("COREML_BUILD", "always"), ("COREML_JOBS", "0"), ("HOME", "")]).unwrap().errors;
    let text = errors.iter().map(Error::to_string).collect::<Vec<_>>().join("\n");
    assert!(
        text.contains("COREML_BUILD is \"always\", but must be auto, cached or skip"),
        "{text}"
    );
    assert!(text.contains("COREML_JOBS is \"0\""), "{text}");
    assert!(!cfg!(target_os = "linux") || text.contains("set COREML_CACHE_DIR"), "{text}");
    let error = read(&[("OUT_DIR", "")]).unwrap_err();
    assert!(error.to_string().contains("not a build script"), "{error}");
}

/// Returns a build with this outcome.
fn build(outcome: Result<Vec<crate::BuiltModel>, Vec<Error>>) -> Build {
    Build {
        manifest: "m.toml".into(),
        folder: "/out/coreml/m.toml".into(),
        outcome,
        built_value: Some("0123456789abcdef m.toml".into()),
        watched: vec!["/crate/m.toml".into(), "/crate/net.py".into()],
        warnings: vec!["odd\nindeed".into()],
        library: None,
    }
}

#[test]
fn a_good_build_watches_its_files_and_no_others() {
    let mut good = build(Ok(Vec::new()));
    good.library =
        Some(crate::Library { name: "coreml_embedded_1".into(), folder: "/out/e".into() });
    let lines = report(&[good], true);
    let after_variables: Vec<_> =
        lines.iter().skip(WATCHED_VARIABLES.len()).map(String::as_str).collect();
    assert_eq!(
        after_variables,
        [
            "cargo::rerun-if-changed=/crate/m.toml",
            "cargo::rerun-if-changed=/crate/net.py",
            "cargo::warning=odd",
            "cargo::warning=indeed",
            "cargo::rustc-env=COREML_BUILT_m_2Etoml=0123456789abcdef m.toml",
            "cargo::rustc-link-search=native=/out/e",
            "cargo::rustc-link-lib=static=coreml_embedded_1",
        ]
    );
    assert!(lines.contains(&"cargo::rerun-if-env-changed=COREML_BUILD".to_owned()));
    assert!(!lines.iter().any(|line| line.contains("=PATH") || line.contains("VIRTUAL_ENV")));
}

#[test]
fn a_failed_build_is_tried_again_and_fails_only_when_strict() {
    let error = || {
        let place = Place { manifest: "m.toml".into(), line: 3, column: 1 };
        vec![Error::new(ErrorKind::Conversion, "no\n  | quoted").at(place).advise("do it")]
    };
    let lines = report(&[build(Err(error()))], false);
    assert!(lines.contains(&"cargo::rerun-if-changed=/out/coreml/m.toml/try-again".to_owned()));
    assert_eq!(
        lines.last().unwrap(),
        "cargo::warning=m.toml is not built; the error stands at #[coreml_model(\"m.toml\")], and \
         here with COREML_STRICT=1"
    );
    assert!(!lines.iter().any(|line| line.contains("::error=") || line.contains("m.toml:3")));
    let strict = report(&[build(Err(error()))], true);
    let errors: Vec<_> =
        strict.iter().filter_map(|line| line.strip_prefix("cargo::error=")).collect();
    assert_eq!(errors, ["m.toml:3:1: no", "  | quoted", "  try: do it"]);
}

#[test]
fn without_an_index_the_build_script_itself_must_fail() {
    let error = Error::output("write the index", Path::new("/out"), std::io::Error::other("full"));
    let failed = Build { built_value: None, ..build(Err(vec![error])) };
    let lines = report(&[failed], false);
    assert!(
        lines.iter().any(|line| line.starts_with("cargo::error=cannot write the index")),
        "{lines:?}"
    );
}

#[test]
fn the_remote_cache_comes_from_the_environment_or_the_config_file() {
    let home = tempfile::tempdir().unwrap();
    let home_path = home.path().display().to_string();
    let with = |variables: &[(&str, &str)]| {
        let variables =
            [&[("HOME", home_path.as_str()), ("XDG_CONFIG_HOME", "")], variables].concat();
        read(&variables).unwrap()
    };
    assert_eq!(with(&[]).options.remote, None);
    let remote = with(&[
        ("COREML_REMOTE", "https://user:pass@host/team"),
        ("COREML_REMOTE_WRITE", "1"),
        ("COREML_REMOTE_TIMEOUT", "3"),
        ("COREML_REMOTE_TOKEN", "t0ken"),
    ]);
    let remote = remote.options.remote.unwrap();
    assert_eq!((remote.to_string().as_str(), remote.write), ("https://host/team", true));
    assert_eq!(remote.patience, Duration::from_secs(3));
    for (name, value, said) in [
        ("COREML_REMOTE", "cache", "COREML_REMOTE must be an absolute path"),
        ("COREML_REMOTE_TIMEOUT", "soon", "COREML_REMOTE_TIMEOUT must be a number of seconds"),
        ("COREML_REMOTE_TOKEN", "a\nb", "COREML_REMOTE_TOKEN has characters"),
    ] {
        let errors = with(&[("COREML_REMOTE", "/remote"), (name, value)]).errors;
        assert!(errors[0].to_string().contains(said), "{}", errors[0]);
    }
    if cfg!(windows) {
        return;
    }
    let file = home.path().join(".config/coreml/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "[cache]\nremote = \"/team\"\nmax-age-days = 7\n").unwrap();
    let options = with(&[]).options;
    assert_eq!(options.remote.unwrap().to_string(), "/team");
    assert_eq!(options.limits, crate::config::Limits::new(7, 50));
    assert_eq!(options.config_file.as_deref(), Some(file.as_path()));
    assert_eq!(with(&[("COREML_REMOTE", "off")]).options.remote, None);
    assert_eq!(with(&[("COREML_REMOTE", "/other")]).options.remote.unwrap().to_string(), "/other");
    std::fs::write(&file, "[cache]\nmax-age = 7\n").unwrap();
    let text = with(&[]).errors[0].to_string();
    assert!(text.contains("config.toml cannot be used: unknown field `max-age`"), "{text}");
}
