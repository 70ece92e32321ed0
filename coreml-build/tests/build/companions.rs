//! Files that belong to a model: `files` of the manifest.

use crate::embedding::here;
use crate::package::{ONE, Package, build, cached, message, models};
use crate::stand_in::StandIn;
use coreml_build::{Context, Policy};
use std::path::Path;

/// Makes a package whose model has two files.
fn package() -> Package {
    let files = "files = [\"text/tokenizer.json\", \"words.txt\"]\n";
    let package = Package::new(&[("m.toml", &format!("{ONE}{files}"))]);
    package.write("text/tokenizer.json", "{}");
    package.write("words.txt", "one\n");
    package
}

#[test]
fn files_lie_beside_their_model_and_a_change_converts_nothing() {
    let (package, python) = (package(), StandIn::converting());
    let built = package.build("m.toml", &python.python());
    assert!(built.outcome.is_ok(), "{}", message(&built));
    let copy = |name: &str| std::fs::read_to_string(built.folder.join("m.files").join(name));
    assert_eq!(
        (copy("tokenizer.json").unwrap(), copy("words.txt").unwrap()),
        ("{}".to_owned(), "one\n".to_owned())
    );
    let source = package.path("package/words.txt");
    assert!(built.watched.contains(&source), "{:?}", built.watched);
    let stored = built.outcome.unwrap().remove(0).stored.unwrap();
    assert_eq!(stored.files, [package.path("package/text/tokenizer.json"), source]);
    let first = models(&package.build("m.toml", &python.python())).remove(0).files;
    assert_eq!([&*first[0].name, &*first[1].name], ["tokenizer.json", "words.txt"]);

    package.write("words.txt", "two\n");
    let changed = package.build("m.toml", &python.python());
    assert_eq!((cached(&changed), copy("words.txt").unwrap()), (vec![true], "two\n".to_owned()));
    let second = models(&changed).remove(0).files;
    assert!(first[0] == second[0] && first[1].digest != second[1].digest, "{second:?}");
    // What someone did to the copy is repaired.
    std::fs::write(built.folder.join("m.files/words.txt"), "three\n").unwrap();
    assert_eq!(models(&package.build("m.toml", &python.python())).remove(0).files, second);
    assert_eq!(copy("words.txt").unwrap(), "two\n");

    package.write("m.toml", ONE);
    assert!(models(&package.build("m.toml", &python.python())).remove(0).files.is_empty());
    assert!(!built.folder.join("m.files").exists());
    assert_eq!(python.starts(), 1);
}

#[test]
fn a_lock_knows_the_files() {
    let (package, python) = (package(), StandIn::converting());
    let locking = |python: &Path| Context::new(package.options(python)).lock(&["m.toml"]).remove(0);
    locking(&python.python()).write().unwrap();
    let text = std::fs::read_to_string(package.path("package/m.lock")).unwrap();
    let row = "    { path = \"words.txt\", sha256 = \
        \"2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806\" },\n";
    assert!(text.contains(row), "{text}");
    let skipping = || {
        let mut options = package.options(Path::new("/nonexistent/python"));
        options.policy = Policy::Skip;
        build(options, "m.toml")
    };
    let [real, skipped] =
        [package.build("m.toml", &python.python()), skipping()].map(|it| models(&it).remove(0));
    assert_eq!(real.files, skipped.files);

    package.write("words.txt", "two\n");
    let warning = "m.lock is out of date: the file words.txt of the model `m` has changed since; \
        `cargo coreml lock m.toml` brings it up to date";
    assert_eq!(package.build("m.toml", &python.python()).warnings, [warning]);
    let mut options = package.options(Path::new("/nonexistent/python"));
    options.policy = Policy::Cached;
    let refused = message(&build(options, "m.toml"));
    assert!(refused.starts_with(&format!("m.toml:4:1: {warning}")), "{refused}");
    let unknown = models(&skipping()).remove(0).files;
    assert_eq!((&unknown[0], &unknown[1].digest), (&real.files[0], &None));

    // Neither needs Python: the model's own sources are the locked ones.
    let nowhere = Path::new("/nonexistent/python");
    assert!(!locking(nowhere).is_current());
    locking(nowhere).write().unwrap();
    assert!(locking(nowhere).is_current());
    assert_eq!(package.build("m.toml", &python.python()).warnings, [""; 0]);
}

#[test]
fn files_of_an_embedded_model_have_symbols() {
    let (package, python) = (package(), StandIn::converting());
    let manifest = std::fs::read_to_string(package.path("package/m.toml")).unwrap();
    package.write("m.toml", &format!("{manifest}embed = true\n"));
    let mut options = package.options(&python.python());
    options.target = Some(here());
    let built = build(options, "m.toml");
    let library = built.library.clone().unwrap();
    let text = std::fs::read_to_string(library.folder.join("embedded.S")).unwrap();
    for file in models(&built).remove(0).files {
        let (symbol, path) = (file.symbol.unwrap(), built.folder.join("m.files").join(file.name));
        let included = format!("{symbol}:\n.incbin \"{}\"\n{symbol}_end:", path.display());
        assert!(text.contains(&included), "{included}\n{text}");
    }
}
