//! Model packages that need no conversion: taken as they are, without Python.

use crate::package::{Package, build, cached, index, message, models};
use coreml_build::{ErrorKind, Policy, Target};
use std::path::Path;

/// A manifest with a ready package; `[defaults]` are those of other models.
const READY: &str = "[defaults]\nminimum-deployment-target = \"iOS17\"\ninputs.x = { shape = [1] \
    }\n\n\
    [models.net]\nsource = { package = \"models/Ready.mlpackage\" }\ncompute-units = \
    \"cpu-only\"\n";

/// Copies a package of coreml-spec's tests to `models/Ready.mlpackage`.
fn copy_ready(package: &Package, name: &str) {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &to);
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../coreml-spec/tests/data/packages");
    let to = package.path("package/models/Ready.mlpackage");
    if to.exists() {
        std::fs::remove_dir_all(&to).unwrap();
    }
    copy(&packages.join(format!("{name}.mlpackage")), &to);
}

/// Options without any Python.
fn options(package: &Package, policy: Policy) -> coreml_build::Options {
    let mut options = package.options(Path::new("/nonexistent/python"));
    options.python.uv = Some("/nonexistent/uv".into());
    options.policy = policy;
    options
}

#[test]
fn a_ready_package_needs_no_python() {
    let package = Package::new(&[("m.toml", READY)]);
    copy_ready(&package, "multifunction");
    std::fs::write(package.path("package/models/Ready.mlpackage/.DS_Store"), "x").unwrap();
    for (policy, hit) in [(Policy::Cached, false), (Policy::Auto, true), (Policy::Skip, true)] {
        let build = build(options(&package, policy), "m.toml");
        assert!(build.outcome.is_ok(), "{}", message(&build));
        assert_eq!(cached(&build), [hit]);
        let [model] = &models(&build)[..] else { panic!() };
        assert_eq!(model.source, "models/Ready.mlpackage");
        assert_eq!(model.compute_units, coreml_spec::ComputeUnits::CpuOnly);
        assert!(
            model.samples.is_empty() && model.interface.functions.len() > 1,
            "{:?}",
            index(&build)
        );
        let original =
            package.path("package/models/Ready.mlpackage/Data/com.apple.CoreML/model.mlmodel");
        let copy = build.folder.join(&model.package).join("Data/com.apple.CoreML/model.mlmodel");
        assert_eq!(std::fs::read(&original).unwrap(), std::fs::read(copy).unwrap());
        assert!(
            build.watched.contains(&original)
                && !build.watched.iter().any(|path| path.ends_with(".DS_Store"))
        );
    }
    package.assert_nothing_half_done();
}

#[test]
fn programs_for_apples_systems_know_what_their_models_are_called_when_compiled() {
    let package = Package::new(&[("m.toml", READY)]);
    copy_ready(&package, "fixed");
    let known = |triple: &str, policy: Policy| {
        let mut options = options(&package, policy);
        options.target =
            Some(Target { target: triple.to_owned(), host: "x86_64-unknown-linux-gnu".to_owned() });
        let built = build(options, "m.toml");
        assert!(built.outcome.is_ok(), "{}", message(&built));
        let [model] = &models(&built)[..] else { panic!() };
        (model.content_digest.clone(), built.folder.join(&model.package))
    };
    for triple in ["aarch64-apple-darwin", "aarch64-apple-ios"] {
        let (digest, package) = known(triple, Policy::Auto);
        assert_eq!(digest.unwrap(), coreml_spec::digest_of_folder(&package).unwrap(), "{triple}");
    }
    // Elsewhere nothing is compiled, so gigabytes are not read for it.
    assert_eq!(known("x86_64-unknown-linux-gnu", Policy::Auto).0, None);
}

#[test]
fn another_package_in_its_place_is_another_model() {
    let package = Package::new(&[("m.toml", READY)]);
    let digest = |name: &str| {
        copy_ready(&package, name);
        models(&build(options(&package, Policy::Auto), "m.toml"))[0].digest.clone()
    };
    let first = digest("fixed");
    assert_ne!(first, digest("state"));
    assert_eq!(first, digest("fixed"));
}

#[test]
fn what_is_no_package_stands_at_its_key() {
    let package = Package::new(&[("m.toml", READY)]);
    let missing = build(options(&package, Policy::Auto), "m.toml");
    assert!(
        message(&missing).contains("m.toml:6:12: model `net`: `source.package`: "),
        "{}",
        message(&missing)
    );
    package.write("models/Ready.mlpackage/Manifest.json", "{}");
    let broken = build(options(&package, Policy::Auto), "m.toml");
    let text = message(&broken);
    assert!(
        text.contains("m.toml:6:12: model `net`: models/Ready.mlpackage is no model package"),
        "{text}"
    );
    assert!(text.contains("try: export it again"), "{text}");
    assert_eq!(broken.outcome.unwrap_err()[0].kind(), ErrorKind::Manifest);
    copy_ready(&package, "fixed");
    assert!(build(options(&package, Policy::Auto), "m.toml").outcome.is_ok());
}
