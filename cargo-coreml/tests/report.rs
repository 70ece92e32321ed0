//! `cargo coreml report` as a user runs it, and the page as a browser shows it.
//!
//! What acts on the page in the browser stands in `report/*.js`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod command;
mod large;

use command::{command, package, run};
use coreml_test_needs::needs;
use safetensors::tensor::TensorView;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names of Chromium on the systems that have one.
const BROWSERS: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Writes the report of a package; returns the page.
fn report(package: &Path, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    let (code, output, error) =
        run(command().arg("report").arg(package).arg("-o").arg(&file).args(arguments));
    assert_eq!((code, error.as_str()), (0, ""), "{output}");
    assert!(output.starts_with(&file.display().to_string()), "{output}");
    std::fs::read_to_string(file).unwrap()
}

/// Returns the data inside a page.
fn data(page: &str) -> serde_json::Value {
    let json = page.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
    serde_json::from_str(json).unwrap()
}

/// Opens a page in Chromium, lets `script` act on it, and returns the document afterwards.
fn browse(page: &str, script: &str) -> String {
    let path = std::env::var_os("PATH").unwrap();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut programs =
        BROWSERS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let program = programs.find(|program| program.is_file()).expect("Chromium is on PATH");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    let page = page.replace("</body>", &format!("<script>{script}</script></body>"));
    std::fs::write(&file, page).unwrap();
    let mut command = Command::new(program);
    // Chromium's own sandbox is off so that it also starts in a container; the page comes from this
    // test.
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1300,1000",
        "--dump-dom",
    ]);
    command.arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
    let output = command.arg(format!("file://{}", file.display())).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the value of an attribute that occurs once in a document.
fn attribute<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    Some(document.split_once(&format!("{name}=\""))?.1.split_once('"')?.0)
}

/// Returns the JSON that a script left in the document.
fn result(document: &str) -> serde_json::Value {
    let result = attribute(document, "data-result");
    let result = result.unwrap_or_else(|| panic!("the script failed:\n{document}"));
    serde_json::from_str(&result.replace("&quot;", "\"")).unwrap()
}

/// Returns the package that the rules find most fault with.
fn hostile() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../coreml-lint/tests/data/hostile.mlpackage")
}

#[test]
fn the_page_holds_everything() {
    let page = report(&hostile(), &[]);
    assert!(
        !page.contains("http://") && !page.contains("https://") && !page.contains("src="),
        "nothing is fetched"
    );
    let data = data(&page);
    let operations = data["operations"].as_array().unwrap();
    assert_eq!(
        (operations.len(), &data["eligible"], data["findings"].as_array().unwrap().len()),
        (39, &32.into(), 23)
    );
    let stride = operations.iter().find(|operation| operation["name"] == "stride").unwrap();
    assert_eq!((&stride["kind"], &stride["eligible"]), (&"conv".into(), &true.into()));
    assert_eq!(stride["rules"], serde_json::json!(["ANE042"]));
    assert_eq!(stride["outputs"], serde_json::json!([["stride", "float16 [1, 8, 7, 32]"]]));
    let weight = serde_json::json!(["weight", "stride_weight_0", "float16 [8, 8, 1, 1]"]);
    assert!(stride["inputs"].as_array().unwrap().contains(&weight), "{stride}");
    let small =
        stride["inputs"].as_array().unwrap().iter().find(|input| input[0] == "strides").unwrap();
    assert_eq!(small[2], "int32 [2] = [5, 1]");
    assert_eq!(data["parity"], serde_json::Value::Null);
    let ends = &data["functions"][0];
    assert_eq!((&ends["name"], &ends["inputs"][0]), (&"main".into(), &"flexible".into()), "{ends}");
}

/// Returns a row of single-precision numbers.
fn tensor(count: usize, bytes: &[u8]) -> TensorView<'_> {
    TensorView::new(safetensors::Dtype::F32, vec![1, count], bytes).unwrap()
}

#[test]
fn parity_figures_are_shown() {
    let samples = tempfile::tempdir().unwrap();
    let file = samples.path().join("zero.safetensors");
    let zeros = vec![0_u8; 16 * 4];
    // A matrix times zero is the bias, from -1 to 1; one more is wrong by one.
    let bias = |by: f32| -> Vec<u8> {
        (0_u8..32)
            .flat_map(|index| (f32::from(index) * 2.0 / 31.0 - 1.0 + by).to_le_bytes())
            .collect()
    };
    for (by, passed) in [(0.0, true), (1.0, false)] {
        let bias = bias(by);
        let tensors = [("in/x", tensor(16, &zeros)), ("out/y", tensor(32, &bias))];
        safetensors::serialize_to_file(tensors, None, &file).unwrap();
        let data = data(&report(&package("fixed"), &["--samples", file.to_str().unwrap()]));
        let row = &data["parity"]["rows"][0];
        assert_eq!((&row["output"], &row["passed"]), (&"y".into(), &passed.into()), "{row}");
        let output = &data["parity"]["outputs"][0];
        let counted: u64 =
            output["bins"].as_array().unwrap().iter().filter_map(|bin| bin["count"].as_u64()).sum();
        assert_eq!(counted + output["equal"].as_u64().unwrap(), 32, "{output}");
        if !passed {
            // Each element is wrong by one: all are in the bins around it, and the sample is the
            // worst.
            let around =
                |bin: &&serde_json::Value| (0.3..=1.0).contains(&bin["from"].as_f64().unwrap());
            let ones: u64 = output["bins"]
                .as_array()
                .unwrap()
                .iter()
                .filter(around)
                .filter_map(|bin| bin["count"].as_u64())
                .sum();
            assert_eq!(
                (ones, &output["worst"][0]["sample"]),
                (32, &"zero.safetensors".into()),
                "{output}"
            );
        }
        assert_eq!(data["times"].as_array().unwrap().len(), 4);
    }
}

#[test]
fn wrong_arguments_say_what_to_do() {
    let (code, _, error) =
        run(command().arg("report").arg(package("fixed")).args(["--model", "x"]));
    assert!(
        code == 1 && error.ends_with("a package has only one model: omit --model\n"),
        "{error}"
    );
    let (code, _, error) =
        run(command().arg("report").arg(package("fixed")).args(["-o", "/nonexistent/a.html"]));
    assert!(code == 1 && error.starts_with("error: /nonexistent/a.html: "), "{error}");
}

#[needs(chromium)]
#[test]
fn a_browser_shows_it_and_the_keyboard_moves_through_it() {
    let document = browse(&report(&hostile(), &[]), include_str!("report/keyboard.js"));
    assert!(document.contains("data-ready=\"yes\""), "the page's script failed:\n{document}");
    let expected = serde_json::json!({
        "rows": 33, "found": "1 of 39", "chosen": "conv stride", "neighbour": "conv long_kernel",
        "last": "reduce_sum y", "focus": "search", "wide": false,
    });
    assert_eq!(result(&document), expected);
}

#[needs(chromium)]
#[test]
fn a_browser_shows_ten_thousand_operations() {
    let folder = tempfile::tempdir().unwrap();
    large::make(folder.path());
    let page = report(folder.path(), &[]);
    let document = browse(&page, include_str!("report/large.js"));
    // The relu, and the addition that takes it: names of arguments are searched, too.
    // `tools/bench-command-line` measures.
    assert_eq!(attribute(&document, "data-result"), Some("2 of 6000;2;6002"));
    println!("milliseconds to open, to search: {:?}", attribute(&document, "data-times"));
}

#[needs(chromium)]
#[test]
fn the_graph_is_zoomed_searched_and_walked() {
    let document = browse(&report(&hostile(), &[]), include_str!("report/graph.js"));
    let expected = serde_json::json!({
        "nodes": 44, "closer": true, "whole": true, "moved": true, "found": "stride",
        "details": "conv stride", "above": "long_kernel", "below": "stride", "wheel": true,
        "dragged": true, "painted": true,
    });
    assert_eq!(result(&document), expected);
}

#[needs(chromium)]
#[test]
fn a_ladder_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ladder.json");
    let rung = |name: &str, bytes: u64, psnr: f64| {
        serde_json::json!({
            "name": name, "line": "a = 1", "bytes": bytes, "psnr": psnr, "agreement": 100.0,
            "passed": psnr > 35.0, "proven": true, "metric": null, "error": null
        })
    };
    let failed = serde_json::json!({
        "name": "int4", "line": "", "bytes": null, "psnr": null, "agreement": null,
        "passed": false, "proven": true, "metric": null, "error": "no"
    });
    let rungs = serde_json::json!([rung("float16", 1000, 60.0), rung("int8", 500, 30.0), failed]);
    std::fs::write(&file, rungs.to_string()).unwrap();
    let page = report(&package("fixed"), &["--ladder", file.to_str().unwrap()]);
    assert_eq!(data(&page)["ladder"], rungs);
    let document = browse(&page, include_str!("report/ladder.js"));
    assert_eq!(attribute(&document, "data-result"), Some("passed,failed3"));
    std::fs::write(&file, "{}").unwrap();
    let (code, _, error) =
        run(command().arg("report").arg(package("fixed")).arg("--ladder").arg(&file));
    assert!(
        code == 1 && error.contains("is not what `cargo coreml quantize --json` prints"),
        "{error}"
    );
}
