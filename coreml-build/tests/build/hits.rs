//! What is converted, and what is not.

use crate::package::{ONE, Package, TWO, build, cached, index, message, models, touch, tree};
use crate::process::wait_for;
use crate::stand_in::{CONVERT_ALL, StandIn};
use coreml_build::{Context, ErrorKind, Policy};
use coreml_spec::{FeatureKind, Outcome};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// An interpreter that cannot even be found: whoever looks for it fails.
const NOWHERE: &str = "/nonexistent/python";

#[test]
fn the_second_build_does_not_look_for_python() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let first = package.build("m.toml", &python.python());
    assert_eq!(cached(&first), [false]);
    let build_file = || std::fs::read_to_string(first.folder.join("build.json")).unwrap();
    assert!(build_file().contains("\"cached\": false"), "{}", build_file());
    let before = tree(&first.folder);
    let mut options = package.options(Path::new(NOWHERE));
    options.python.uv = Some(NOWHERE.into());
    let second = build(options, "m.toml");
    assert_eq!(cached(&second), [true]);
    assert!(build_file().contains("\"cached\": true"), "{}", build_file());
    let without_build_file = |tree: Vec<_>| -> Vec<_> {
        tree.into_iter()
            .filter(|(path, ..): &(std::path::PathBuf, u64, _, Vec<u8>)| {
                !path.ends_with("build.json")
            })
            .collect()
    };
    assert_eq!(
        without_build_file(before),
        without_build_file(tree(&first.folder)),
        "nothing was written again"
    );
    assert_eq!(python.starts(), 1);
    assert!(second.warnings.is_empty());
    package.assert_nothing_half_done();
}

#[test]
fn the_index_describes_the_package() {
    let manifest = "[models.net]\nsource = { file = \"net.py\", entry = \"net\" }\ninputs.x = { \
        shape = [1, 3] }\n\
        metadata = { description = \"Says\" }\ncompute-units = \"cpu-and-ne\"\n";
    let (package, python) = (Package::new(&[("sub/m.toml", manifest)]), StandIn::converting());
    let build = package.build("sub/m.toml", &python.python());
    let Outcome::Models(all) = index(&build).outcome else { panic!("{}", message(&build)) };
    assert!(!all.single);
    assert_eq!(index(&build).manifest, package.path("package/sub/m.toml"));
    let [model] = &models(&build)[..] else { panic!() };
    assert_eq!(
        (model.name.as_str(), model.description.as_str(), model.source.as_str()),
        ("net", "Says", "net.py:net")
    );
    assert_eq!(model.compute_units, coreml_spec::ComputeUnits::CpuAndNeuralEngine);
    assert_eq!(model.tolerance, coreml_spec::Tolerance::Psnr(35.0));
    assert_eq!(model.samples, ["net.samples.0.safetensors"]);
    assert!(matches!(model.interface.functions[0].inputs[0].kind, FeatureKind::MultiArray { .. }));
    assert!(coreml_spec::Package::open(build.folder.join(&model.package)).is_ok());
    assert!(
        build.folder.join("net.samples.0.safetensors").exists()
            && build.folder.join("net.report.json").exists()
    );
    assert_eq!(model.digest.len(), 64);
    assert_eq!(build.outcome.unwrap()[0].digest, model.digest);
}

#[test]
fn touching_converts_nothing_editing_converts_once_and_going_back_converts_nothing() {
    let (package, python) = (
        Package::new(&[("m.toml", ONE)]),
        StandIn::new(&format!("inputs='[\"net.py\", \"helper.py\"]'\n{CONVERT_ALL}")),
    );
    package.write("helper.py", "1");
    let built = |expected: usize| {
        cached(&package.build("m.toml", &python.python()));
        assert_eq!(python.starts(), expected);
    };
    built(1);
    for file in ["net.py", "helper.py", "m.toml"] {
        touch(&package.path("package").join(file), 1000);
        built(1);
    }
    package.write("helper.py", "2");
    built(2);
    built(2);
    package.write("net.py", "# another network");
    built(3);
    package.write("helper.py", "1");
    package.write("net.py", "# a network\n");
    built(3);
    package.write("m.toml", &ONE.replace("[1, 3]", "[1, 4]"));
    built(4);
    package.write("m.toml", &format!("# a comment\n{ONE}"));
    built(4);
}

#[test]
fn the_files_that_were_read_are_watched() {
    let script = format!("inputs='[\"net.py\", \"helper.py\", \"gone.py\"]'\n{CONVERT_ALL}");
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::new(&script));
    package.write("helper.py", "1");
    package.write("gone.py", "1");
    let first = package.build("m.toml", &python.python());
    let watched = |names: &[&str]| -> Vec<_> {
        names.iter().map(|name| package.path("package").join(name)).collect()
    };
    assert_eq!(first.watched, watched(&["m.toml", "gone.py", "helper.py", "net.py"]));
    std::fs::remove_file(package.path("package/gone.py")).unwrap();
    python.becomes(CONVERT_ALL);
    let second = package.build("m.toml", &python.python());
    assert_eq!((cached(&second), second.watched), (vec![false], watched(&["m.toml", "net.py"])));
}

#[test]
fn what_concerns_only_rust_converts_nothing() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let before = models(&package.build("m.toml", &python.python()));
    package.write(
        "m.toml",
        &format!(
            "{ONE}compute-units = \"cpu-only\"\nparity = {{ atol = 0.5 }}\nembed = \
         false\n"
        ),
    );
    let after = models(&package.build("m.toml", Path::new(NOWHERE)));
    assert_ne!(before[0].tolerance, after[0].tolerance);
    assert_eq!(after[0].compute_units, coreml_spec::ComputeUnits::CpuOnly);
    assert_eq!(before[0].digest, after[0].digest);
}

#[test]
fn a_clean_output_folder_is_filled_by_links_with_pinned_times() {
    use std::os::unix::fs::MetadataExt;
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    package.build("m.toml", &python.python());
    std::fs::remove_dir_all(package.path("out")).unwrap();
    let again = package.build("m.toml", Path::new(NOWHERE));
    assert_eq!(cached(&again), [true]);
    let model = again.folder.join("m.mlpackage/Data/com.apple.CoreML/model.mlmodel");
    let stored = package.entry().join("model.mlpackage/Data/com.apple.CoreML/model.mlmodel");
    assert_eq!(model.metadata().unwrap().ino(), stored.metadata().unwrap().ino());
    assert!(model.metadata().unwrap().permissions().readonly());
    assert_eq!(
        model.metadata().unwrap().modified().unwrap(),
        UNIX_EPOCH + Duration::from_secs(1_577_836_800)
    );
}

#[test]
fn models_of_all_manifests_are_converted_by_one_process_and_equal_ones_once() {
    let package = Package::new(&[("a.toml", TWO), ("b.toml", ONE), ("c.toml", ONE)]);
    let python = StandIn::converting();
    let builds =
        Context::new(package.options(&python.python())).build(&["a.toml", "b.toml", "c.toml"]);
    assert_eq!(
        builds.iter().map(cached).collect::<Vec<_>>(),
        [vec![false, false], vec![false], vec![false]]
    );
    assert_eq!(python.starts(), 1);
    let mut requested = python.requested();
    requested.sort();
    assert_eq!(requested, ["b", "first", "second"]);
    assert_eq!(models(&builds[1])[0].digest, models(&builds[2])[0].digest);
}

#[test]
fn the_driver_is_told_the_canonical_table() {
    let (package, python) = (Package::new(&[("m.toml", TWO)]), StandIn::converting());
    package.build("m.toml", &python.python());
    let request = python.request();
    assert_eq!(request["version"], 1);
    for model in request["models"].as_array().unwrap() {
        assert_eq!(model["package_root"], package.path("package").to_str().unwrap());
        assert_eq!(
            model["requirements"],
            serde_json::json!(["torch==2.7.0", "coremltools==9.0", "numpy", "safetensors"])
        );
    }
    let table = |model: &serde_json::Value| model["table"].clone();
    let mut tables: Vec<_> = request["models"].as_array().unwrap().iter().map(table).collect();
    tables.sort_by_key(|table| table["source"]["args"]["n"].as_i64());
    assert_eq!(
        tables[0],
        serde_json::json!({
            "capture": "auto", "compute-precision": "float16", "format": "mlprogram",
            "metadata": {}, "outputs": {}, "minimum-deployment-target": "iOS18",
            "inputs": { "x": { "dtype": "float32", "shape": [1, 3] } },
            "parity": { "samples": 3 },
            "source": { "args": { "n": 1 }, "entry": "net", "file": "net.py" }
        })
    );
    assert_eq!(tables[1]["source"]["args"]["n"], 2);
}

#[test]
fn two_builds_at_once_convert_once() {
    let package = Package::new(&[("m.toml", TWO)]);
    let python = StandIn::new(&format!("sleep 0.5\n{CONVERT_ALL}"));
    let builds: Vec<_> = std::thread::scope(|scope| {
        let start = |n: usize| {
            let mut options = package.options(&python.python());
            options.out_dir = package.path(&format!("out{n}"));
            scope.spawn(move || build(options, "m.toml"))
        };
        let running: Vec<_> = (0..4).map(start).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut all: Vec<_> = builds.iter().map(cached).collect();
    all.sort();
    assert_eq!(all, [vec![false, false], vec![true, true], vec![true, true], vec![true, true]]);
    assert_eq!(python.starts(), 1);
    package.assert_nothing_half_done();
}

#[test]
fn policies_forbid_python() {
    let (package, python) = (Package::new(&[("m.toml", ONE)]), StandIn::converting());
    let with = |policy| {
        let mut options = package.options(&python.python());
        options.policy = policy;
        build(options, "m.toml")
    };
    let refused = with(Policy::Cached);
    assert!(
        message(&refused).contains("m.toml:1:2: model `m`: it is not in the cache"),
        "{}",
        message(&refused)
    );
    assert!(message(&refused).contains("COREML_BUILD=auto cargo build"));
    assert_eq!(refused.outcome.unwrap_err()[0].kind(), ErrorKind::Policy);
    assert_eq!(python.starts(), 0);
    assert_eq!(cached(&with(Policy::Auto)), [false]);
    assert_eq!(cached(&with(Policy::Cached)), [true]);
    let skipped = message(&with(Policy::Skip));
    assert!(
        skipped.contains("m.toml has none: there is no m.lock")
            && skipped.contains("cargo coreml lock m.toml"),
        "{skipped}"
    );
}

#[test]
fn a_model_can_be_renamed_without_a_conversion() {
    let (package, python) = (Package::new(&[("m.toml", TWO)]), StandIn::converting());
    package.build("m.toml", &python.python());
    package.write("m.toml", &TWO.replace("models.second", "models.last"));
    let renamed = package.build("m.toml", Path::new(NOWHERE));
    assert_eq!(cached(&renamed), [true, true]);
    let left: Vec<_> = crate::package::entries_of(&renamed.folder);
    assert!(left.iter().any(|path| path.ends_with("last.mlpackage")));
    assert!(
        !left.iter().any(|path| path.to_string_lossy().contains("second")),
        "stale files are removed: {left:?}"
    );
}

#[test]
fn where_locks_do_not_work_the_first_to_finish_wins() {
    let package = Package::new(&[("m.toml", ONE)]);
    // As on a file system without locks: the second build finds no lock that is held. Neither goes
    // on before both convert.
    let python = StandIn::new(&format!(
        "rm -f {}/v1/locks/*\ntouch \"$here/unlocked\"\n\
         until [ \"$(wc -l < \"$here/starts\")\" -ge 2 ]; do sleep 0.02; done\n{CONVERT_ALL}",
        package.path("cache").display()
    ));
    let unlocked = python.file("unlocked");
    let start = |n: u64| {
        let mut options = package.options(&python.python());
        options.out_dir = package.path(&format!("out{n}"));
        let unlocked = unlocked.clone();
        std::thread::spawn(move || {
            wait_for(|| n == 0 || unlocked.exists());
            build(options, "m.toml")
        })
    };
    let running = [start(0), start(1)];
    let builds = running.map(|thread| thread.join().unwrap());
    assert_eq!(builds.each_ref().map(cached), [[false], [false]]);
    assert_eq!(python.starts(), 2);
    let package_of = |build: &coreml_build::Build| {
        tree(&build.folder.join("m.mlpackage")).into_iter().map(|file| file.1).collect::<Vec<_>>()
    };
    assert_eq!(
        package_of(&builds[0]),
        package_of(&builds[1]),
        "both link the entry that was published first"
    );
    package.entry();
    package.assert_nothing_half_done();
}

#[test]
fn a_file_of_samples_is_an_input() {
    let manifest = ONE
        .replace("shape = [1, 3]", "shape = [1, 3], sample = { safetensors = \"s.safetensors\" }");
    let (package, python) = (Package::new(&[("m.toml", &manifest)]), StandIn::converting());
    let missing = message(&package.build("m.toml", &python.python()));
    assert!(
        missing.starts_with("m.toml:3:41: model `m`: `inputs.x.sample.safetensors`: ")
            && missing.contains("s.safetensors does not exist"),
        "{missing}"
    );
    assert_eq!(python.starts(), 0);
    for (content, hits) in [("one", [false, true]), ("two", [false, true]), ("one", [true, true])] {
        package.write("s.safetensors", content);
        let builds = hits.map(|_| package.build("m.toml", &python.python()));
        assert!(builds[0].watched.contains(&package.path("package/s.safetensors")));
        assert_eq!(builds.each_ref().map(cached), hits.map(|hit| vec![hit]), "{content}");
    }
}

#[test]
fn what_every_bucket_says_is_said_once() {
    let manifest = "[models.text]\nsource = { file = \"net.py\", entry = \"net\" }\n\
        inputs.x = { shape = [1, { min = 1, max = 8 }] }\n\
        buckets = { input = \"x\", axis = 1, sizes = [4, 8], share-weights = false }\n\n\
        [models.other]\nsource = { file = \"net.py\", entry = \"net\" }\n\
        inputs.x = { shape = [1, 8] }\n";
    let warning = format!("warnings='[\"odd\"]'\n{CONVERT_ALL}");
    let (package, python) = (Package::new(&[("m.toml", manifest)]), StandIn::new(&warning));
    let built = package.build("m.toml", &python.python());
    assert_eq!(cached(&built), [false; 3]);
    assert_eq!(built.warnings, ["m.toml: model `text`: odd", "m.toml: model `other`: odd"]);
}
