//! Where a model comes from, and what that leaves to say.

use super::*;

#[test]
fn files_of_a_model_have_names_of_their_own() {
    let manifest = |files: &str| parse(&format!("{MODEL}files = {files}\n"));
    let model = manifest("[\"text/tokenizer.json\", \"words.txt\"]").unwrap().models.remove(0);
    assert_eq!(model.settings.files, ["text/tokenizer.json", "words.txt"]);
    assert_eq!(model.conversion, parse(MODEL).unwrap().models[0].conversion);
    assert_eq!(
        manifest("[\"a/words.txt\", \"b/Words.txt\"]").unwrap_err(),
        ["m.toml:4:25: two of `files` are called `Words.txt`, and they lie in one folder when \
            the program runs: rename one of them"]
    );
    for folder in ["text/", "..", "text/.."] {
        let error = format!("m.toml:4:10: `{folder}` names a folder: `files` has files alone");
        assert_eq!(manifest(&format!("[\"{folder}\"]")).unwrap_err(), [error]);
    }
    assert_eq!(
        manifest("\"words.txt\"").unwrap_err(),
        ["m.toml:4:1: `files` must be an array, found the string \"words.txt\""]
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.py"), "").unwrap();
    std::fs::create_dir(folder.path().join("text")).unwrap();
    let missing = manifest("[\"words.txt\", \"text\"]").unwrap().check_files(folder.path());
    let texts: Vec<_> = missing.unwrap_err().errors.iter().map(Error::to_string).collect();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (first, second) = (path("words.txt"), path("text"));
    assert_eq!(texts.len(), 2, "{texts:?}");
    let at = "m.toml:4:1: model `m`: `files`: ";
    assert!(texts[0].starts_with(&format!("{at}{first} does not exist")), "{}", texts[0]);
    assert!(texts[1].starts_with(&format!("{at}{second} is not a file")), "{}", texts[1]);
}

#[test]
fn sources_are_checked() {
    let with = |source: &str| {
        parse(&format!("[model]\nsource = {source}\ninputs.x = {{ shape = [1] }}\n")).unwrap_err()
    };
    assert!(
        with("{ file = \"a.py\" }")[0].starts_with("m.toml:2:1: `source` needs `file` and `entry`")
    );
    assert_eq!(
        with("{ file = \"a.py\", entry = \"a-b\" }"),
        ["m.toml:2:27: `entry` cannot be \"a-b\": it is the name of a function in the file"]
    );
    assert_eq!(
        with("{ file = \"a.py\", entry = \"a\", args = [1] }"),
        ["m.toml:2:40: `args` must be a table of keyword arguments, found an array"]
    );
    assert_eq!(
        with("\"a.py\""),
        ["m.toml:2:1: `source` must be a table, found the string \"a.py\""]
    );
}

#[test]
fn a_repository_is_named_with_its_task_and_its_commit() {
    let python = "[python]\ndependencies = [\"transformers\"]\n";
    let with = |source: &str, more: &str| {
        parse(&format!(
            "{python}[model]\nsource = {source}\ninputs.input_ids = {{ shape = [1, 8], dtype = \
            \"int32\" }}\n{more}"
        ))
    };
    let commit = "a".repeat(40);
    let source =
        format!("{{ transformers = \"o/n\", task = \"fill-mask\", revision = \"{commit}\" }}");
    let model = with(&source, "classifier = {}\n").unwrap().models.remove(0);
    let table = serde_json::to_value(&model.conversion).unwrap();
    let expected =
        serde_json::json!({ "revision": commit, "task": "fill-mask", "transformers": "o/n" });
    assert_eq!(table["source"], expected);
    assert!(table["classifier"].get("labels").is_none(), "{table}");
    assert_eq!(model.conversion.functions.sources(), "o/n@aaaaaaaaaaaa");
    assert!(model.declared_files().is_empty() && model.declared_folders().is_empty());

    let folder =
        with("{ transformers = \"models/n\", task = \"fill-mask\" }", "").unwrap().models.remove(0);
    assert_eq!(folder.declared_folders(), [("source.transformers".to_owned(), "models/n")]);
    assert!(folder.declared_files().is_empty());

    let refused = |source: &str, more: &str, words: &str| {
        let errors = with(source, more).unwrap_err();
        assert!(errors.len() == 1 && errors[0].contains(words), "{errors:?}");
    };
    refused("{ transformers = \"o/n\" }", "", "`transformers` needs a `task`");
    refused("{ transformers = \"o/n\", task = \"fill-masks\" }", "", "did you mean `fill-mask`");
    for (other, name) in
        [("sentiment-analysis", "text-classification"), ("ner", "token-classification")]
    {
        let source = format!("{{ transformers = \"o/n\", task = \"{other}\" }}");
        let message = format!(
            "m.toml:4:34: `task` cannot be \"{other}\": such a model is one of the task \
            \"{name}\", so write that"
        );
        assert_eq!(with(&source, "").unwrap_err(), [message]);
    }
    refused(
        "{ transformers = \"o/n\", task = \"fill-mask\", entry = \"a\" }",
        "",
        "`entry` goes with `file` and `mil`",
    );
    refused(&source, "weights = \"w.pt\"\n", "a repository has its weights already");
    let error =
        parse(&format!("[model]\nsource = {source}\ninputs.x = {{ shape = [1] }}\n")).unwrap_err();
    assert!(
        error[0].contains("m.toml:2:12")
            && error[0].contains("dependencies = [\"transformers>=5\"]"),
        "{error:?}"
    );
    let source = "{ file = \"a.py\", entry = \"n\", task = \"fill-mask\" }";
    refused(source, "", "`task` goes with `transformers`, not with `file`");
}

#[test]
fn the_tasks_are_those_of_the_driver() {
    let python = include_str!("../../../python/coreml_driver/pretrained.py");
    let known = python
        .lines()
        .filter(|line| line.starts_with("    \"") && line.contains("\": \"AutoModel"));
    let known: Vec<_> = known.map(|line| line.split('"').nth(1).unwrap()).collect();
    assert_eq!(known, source::TASKS);
}

#[test]
fn rewrites_are_asked_for() {
    assert_eq!(table("rewrite = [\"ane\"]")["rewrite"], serde_json::json!(["ane"]));
    assert!(table("rewrite = []").get("rewrite").is_none());
    refused(
        "rewrite = [\"gpu\"]",
        "m.toml:4:12: `rewrite` cannot be \"gpu\": it must be one of \"ane\"",
    );
    let saved = MODEL.replace("file = \"a.py\", entry = \"net\"", "torchscript = \"a.pt\"");
    let errors = parse(&format!("{saved}rewrite = [\"ane\"]\n")).unwrap_err();
    assert!(errors[0].contains("`rewrite` has no place beside `source.torchscript`"), "{errors:?}");
}

#[test]
fn python_requirements() {
    let manifest = parse(&format!(
        "[python]\nrequires-python = \">=3.11\"\ndependencies = [\"torch==2.8\", \"x\"]\n{MODEL}"
    ))
    .unwrap();
    assert_eq!(manifest.requirements.packages[0], "torch==2.8");
    assert_eq!(manifest.requirements.packages.last().unwrap(), "x");
    assert!(!manifest.requirements.range.contains([3, 10, 0]));
    let wrong =
        parse(&format!("[python]\nrequires-python = \"three\"\ndependencies = \"x\"\n{MODEL}"))
            .unwrap_err();
    assert_eq!(
        wrong,
        [
            "m.toml:2:1: `requires-python` is a list of version bounds, such as \">=3.10,<3.14\"",
            "m.toml:3:1: `dependencies` must be an array, found the string \"x\""
        ]
    );
}

#[test]
fn files_that_do_not_exist_are_named_with_their_key() {
    let folder = tempfile::tempdir().unwrap();
    let write =
        |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
    let read = |name: &str| {
        let manifest = Manifest::read(folder.path(), name)?;
        manifest.check_files(folder.path()).map(|()| manifest)
    };
    let text = |name: &str| {
        read(name).unwrap_err().errors.iter().map(Error::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(
        text("m.toml").contains("there is no manifest `m.toml`: looked for "),
        "{}",
        text("m.toml")
    );
    assert!(text("m.toml").contains("relative to the package"));
    write(
        "whisper.toml",
        &format!("{MODEL}weights = \"w.pt\"\nclassifier = {{ labels = \"l.txt\" }}\n"),
    );
    assert!(
        text("wisper.toml").contains("there is a `whisper.toml` in that folder: did you mean it?")
    );
    std::fs::create_dir(folder.path().join("l.txt")).unwrap();
    let missing = text("whisper.toml");
    assert!(missing.contains("whisper.toml:2:12: model `whisper`: `source.file`: "), "{missing}");
    assert!(
        missing.contains("whisper.toml:4:1: model `whisper`: `weights`: ")
            && missing.contains("w.pt does not exist")
    );
    assert!(
        missing.contains("whisper.toml:5:16: ") && missing.contains("l.txt is not a file"),
        "{missing}"
    );
    write("a.py", "");
    write("m.toml", MODEL);
    assert!(read("./m.toml").unwrap().warnings.is_empty());
    std::fs::create_dir(folder.path().join("inner")).unwrap();
    let inner = folder.path().join("inner");
    let missing = Manifest::read(&inner, "../m.toml").unwrap().check_files(&inner).unwrap_err();
    assert!(
        missing.errors[0].to_string().contains("`source.file`"),
        "paths stay relative to the package"
    );
    write("inner/a.py", "");
    let outside = Manifest::read(&folder.path().join("inner"), "../m.toml").unwrap();
    assert!(outside.warnings[0].contains("outside the package"), "{:?}", outside.warnings);
}

#[test]
fn wrong_labels_of_a_file_are_named_once_for_all_buckets() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| std::fs::write(folder.path().join(name), content);
    let manifest = "[model]\nsource = { file = \"a.py\", entry = \"b\" }\ninputs.x = { shape = [{ \
                    min = 1, max = 8 }] }\nbuckets = { input = \"x\", axis = 0, sizes = [4, 8], \
                    pad = 0, share-weights = false }\nclassifier = { labels = \"l.txt\" }\n";
    write("m.toml", manifest).unwrap();
    write("a.py", "").unwrap();
    write("l.txt", "cat\ndog\ncat\n").unwrap();
    let manifest = Manifest::read(folder.path(), "m.toml").unwrap();
    assert_eq!(manifest.models.len(), 2);
    let errors = manifest.check_files(folder.path()).unwrap_err().errors;
    let errors: Vec<_> = errors.iter().map(Error::to_string).collect();
    assert_eq!(
        errors,
        ["m.toml:5:16: model `m`: l.txt: the label `cat` of line 3 stands in line 1, too, and \
          predictions could not tell them apart\n  \
          try: give every class a label of its own, one to a line"]
    );
    write("l.txt", "cat\r\ndog\r\n").unwrap();
    assert!(manifest.check_files(folder.path()).is_ok());
}

/// Parses a model with this source and these lines, and no inputs.
fn with_source(source: &str, lines: &str) -> Result<serde_json::Value, Vec<String>> {
    let manifest = parse(&format!("[model]\nsource = {{ {source} }}\n{lines}\n"))?;
    Ok(serde_json::to_value(&manifest.models[0].conversion).unwrap())
}

#[test]
fn every_kind_of_source_is_read() {
    let inputs = "inputs.x = { shape = [1] }\nops = \"my_ops.py\"";
    for (source, json, lines) in [
        ("torchscript = \"a.pt\"", serde_json::json!({ "torchscript": "a.pt" }), inputs),
        ("exported = \"a.pt2\"", serde_json::json!({ "exported": "a.pt2" }), inputs),
        ("package = \"A.mlpackage\"", serde_json::json!({ "package": "A.mlpackage" }), ""),
        (
            "mil = \"a.py\", entry = \"b\"",
            serde_json::json!({ "args": {}, "entry": "b", "mil": "a.py" }),
            "ops = \"my_ops.py\"",
        ),
    ] {
        let table = with_source(source, lines).unwrap();
        assert_eq!(table["source"], json);
        assert_eq!(
            table["ops"],
            if lines.is_empty() { serde_json::Value::Null } else { "my_ops.py".into() }
        );
    }
}

#[test]
fn keys_that_a_source_leaves_no_choice_are_refused() {
    let first = |source: &str, lines: &str| with_source(source, lines).unwrap_err()[0].clone();
    let package = "package = \"A.mlpackage\"";
    assert_eq!(
        first(package, "quantize = { weights = \"int8\" }"),
        "m.toml:3:1: model `m`: `quantize` has no place beside `source.package`: a ready package \
        is taken as it is"
    );
    assert!(
        first(package, "inputs.x = { shape = [1] }")
            .contains("m.toml:3:1: model `m`: `inputs` has no place")
    );
    assert!(with_source(package, "embed = true\ncompute-units = \"all\"").is_ok());
    assert!(
        parse(
            "[defaults]\ncapture = \"trace\"\nweights = \"w.pt\"\n[models.a]\nsource = { package = \
            \"A.mlpackage\" }\n"
        )
        .unwrap()
        .models[0]
            .conversion
            .functions
            .iter()
            .next()
            .unwrap()
            .1
            .weights
            .clone()
            .is_none()
    );
    assert!(
        first("mil = \"a.py\", entry = \"b\"", "parity = { samples = 1 }")
            .contains("nothing to compare with")
    );
    assert!(
        first("torchscript = \"a.pt\"", "capture = \"export\"\ninputs.x = { shape = [1] }")
            .contains("its graph already")
    );
    assert!(first("exported = \"a.pt2\"", "").contains("`inputs` is missing"));
    assert_eq!(
        first("package = \"A.mlmodel\"", "inputs.x = { shape = [1] }"),
        "m.toml:2:12: `package` cannot be \"A.mlmodel\": it is a folder that ends in .mlpackage"
    );
    assert_eq!(
        first("file = \"a.py\", entry = \"b\", exported = \"c\"", "inputs.x = { shape = [1] }"),
        "m.toml:2:40: `source` has one of `file`, `mil`, `torchscript`, `exported`, \
        `transformers`, `package`, not several"
    );
    assert!(
        with_source("mil = \"a.py\"", "").unwrap_err()[1]
            .starts_with("m.toml:2:1: `source` needs `file` and `entry`")
    );
}
