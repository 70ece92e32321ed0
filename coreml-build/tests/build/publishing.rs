//! What is kept, and when: each model is admitted as soon as it is converted.

use crate::package::{Package, TWO, build, cached, entries_of, message};
use crate::process::wait_for;
use crate::stand_in::{CONVERT_ALL, StandIn};
use coreml_build::{Context, Observer, Progress, Selection};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// An interpreter that cannot even be found.
const NOWHERE: &str = "/nonexistent/python";

/// Four models that differ in their arguments.
const FOUR: &str = "[defaults]\ninputs.x = { shape = [1, 3] }\n\n\
    [models.first]\nsource = { file = \"net.py\", entry = \"net\", args = { n = 1 } }\n\n\
    [models.second]\nsource = { file = \"net.py\", entry = \"net\", args = { n = 2 } }\n\n\
    [models.third]\nsource = { file = \"net.py\", entry = \"net\", args = { n = 3 } }\n\n\
    [models.fourth]\nsource = { file = \"net.py\", entry = \"net\", args = { n = 4 } }\n";

#[test]
fn a_model_is_admitted_while_another_is_still_converted() {
    let package = Package::new(&[("m.toml", TWO)]);
    // The second conversion does not begin before the test says so.
    let python = StandIn::new(
        "models | while read -r id output; do\n\
         if [ \"$id\" = second ]; then until [ -e \"$here/go\" ]; do sleep 0.02; done; fi\n\
         convert \"$id\" \"$output\"\ndone\nsay '{\"event\": \"finished\"}'\n",
    );
    let entries = package.path("cache/v1/entries");
    let built = std::thread::scope(|scope| {
        let building = scope.spawn(|| package.build("m.toml", &python.python()));
        wait_for(|| entries_of(&entries).iter().any(|entry| entry.join("entry.json").exists()));
        assert!(!building.is_finished() && entries_of(&entries).len() == 1);
        // Another build has it already, though this one goes on.
        let mut options = package.options(Path::new(NOWHERE));
        options.out_dir = package.path("other");
        package.write("one.toml", &TWO[..TWO.find("[models.second]").unwrap()]);
        assert_eq!(cached(&build(options, "one.toml")), [true]);
        std::fs::write(python.file("go"), "").unwrap();
        building.join().unwrap()
    });
    assert_eq!(cached(&built), [false, false]);
    assert_eq!(python.starts(), 1);
    package.assert_nothing_half_done();
}

#[test]
fn an_edited_file_fails_only_the_model_that_reads_it_meanwhile() {
    let package = Package::new(&[("m.toml", FOUR)]);
    package.write("shared.py", "# shared");
    // One after the other: the file is edited while `second` is converted. `third` does not read
    // it, and `fourth` begins after the edit. What `first` was made from is gone, but it was right.
    let python = StandIn::new(
        "models | while read -r id output; do\n\
         sleep 0.1; began=$(date +%s.%N); sleep 0.1\n\
         inputs='[\"net.py\", \"shared.py\"]'\n\
         case $id in second) echo '# edited' >> shared.py;; third) inputs='[\"net.py\"]';; esac\n\
         convert \"$id\" \"$output\"\ndone\nsay '{\"event\": \"finished\"}'\n",
    );
    let failed = package.build("m.toml", &python.python());
    let text = message(&failed);
    assert_eq!(failed.outcome.unwrap_err().len(), 1, "{text}");
    assert!(
        text.contains("model `second`: shared.py was changed while the model was converted"),
        "{text}"
    );
    assert_eq!(entries_of(&package.path("cache/v1/entries")).len(), 3);
    python.becomes(CONVERT_ALL);
    let again = package.build("m.toml", &python.python());
    assert_eq!(cached(&again), [false, false, true, true]);
    assert_eq!(python.requested(), ["first", "second"]);
    package.assert_nothing_half_done();
}

#[test]
fn manifests_with_other_requirements_share_one_python() {
    let other = format!("[python]\nrequires-python = \">=3.9\"\n\n{TWO}");
    let package = Package::new(&[("a.toml", FOUR), ("b.toml", &other)]);
    package.write("b.toml", &other.replace("net.py", "other.py"));
    package.write("other.py", "# another network\n");
    let python = StandIn::converting();
    let builds = Context::new(package.options(&python.python())).build(&["a.toml", "b.toml"]);
    assert_eq!(builds.iter().map(|build| cached(build).len()).collect::<Vec<_>>(), [4, 2]);
    assert_eq!((python.starts(), python.requested().len()), (1, 6));
}

#[test]
fn manifests_of_several_packages_share_one_python() {
    let (package, other) = (Package::new(&[("m.toml", TWO)]), Package::new(&[("m.toml", TWO)]));
    other.write("net.py", "# another network\n");
    let python = StandIn::converting();
    let root = |package: &Package| package.path("package").canonicalize().unwrap();
    let selected = |package: &Package| {
        std::fs::write(root(package).join("Cargo.toml"), "[package]\nname = \"p\"\n").unwrap();
        Selection::of(&root(package), &["m.toml".into()]).unwrap().remove(0)
    };
    let context = Context::new(package.options(&python.python()));
    let packages = [selected(&package), selected(&other)];
    let builds = context.build_packages(&packages);
    assert_eq!(builds.iter().map(cached).collect::<Vec<_>>(), [[false, false], [false, false]]);
    assert_eq!((python.starts(), python.requested().len()), (1, 4));
    let request = python.request();
    let roots: Vec<_> =
        request["models"].as_array().unwrap().iter().map(|model| &model["package_root"]).collect();
    let (first, second) = (root(&package), root(&other));
    assert_eq!(roots, [&first, &first, &second, &second].map(|root| root.to_str().unwrap()));
    // The same tables, but other files: nothing is taken from the other package.
    assert_eq!(entries_of(&package.path("cache/v1/entries")).len(), 4);
    assert_ne!(builds[0].folder, builds[1].folder);
    for (build, root) in builds.iter().zip([first, second]) {
        assert!(build.watched.contains(&root.join("net.py")), "{:?}", build.watched);
        assert!(build.folder.join("index.json").exists());
    }
    let again = context.build_packages(&packages);
    assert_eq!(again.iter().map(cached).collect::<Vec<_>>(), [[true, true], [true, true]]);
}

#[test]
fn progress_names_only_the_model_that_is_converted() {
    let package = Package::new(&[("m.toml", TWO)]);
    let python = StandIn::new(&format!(
        "for id in first second; do progress $id import 'torch and coremltools'; done\n\
         {CONVERT_ALL}"
    ));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut options = package.options(&python.python());
    options.jobs = Some(1);
    let observed = Arc::clone(&seen);
    options.observer = Some(Observer::new(move |progress| {
        observed.lock().unwrap().push(match progress {
            Progress::Began { what } => what.clone(),
            Progress::Converting { model, stage, .. } => format!("{model}: {stage}"),
            Progress::Ended { model, converted } => format!("{model}: ended {converted}"),
            other => format!("{other:?}"),
        });
    }));
    assert_eq!(cached(&build(options, "m.toml")), [false, false]);
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "starting Python, torch and coremltools",
            "importing torch and coremltools",
            "first: convert",
            "first: ended true",
            "second: convert",
            "second: ended true",
        ]
    );
}
