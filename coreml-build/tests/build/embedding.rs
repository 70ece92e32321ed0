//! `embed = true`: the package inside the program.

use crate::package::{ONE, Package, TWO, build, cached, message, models};
use crate::stand_in::StandIn;
use coreml_build::{Build, Target};
use std::process::Command;

/// The target of these tests themselves.
pub(crate) fn here() -> Target {
    let output = Command::new("rustc").args(["--version", "--verbose"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    Target { target: host.clone(), host }
}

/// Builds `manifest` for `target`.
fn build_for(package: &Package, python: &StandIn, target: Option<Target>) -> Build {
    let mut options = package.options(&python.python());
    options.target = target;
    build(options, "m.toml")
}

#[test]
fn every_byte_is_found_under_its_symbol() {
    let manifest = TWO
        .replace("[models.first]", "[models.first]\nembed = true")
        .replace("[models.second]", "[models.second]\nembed = true");
    let (package, python) = (Package::new(&[("m.toml", &manifest)]), StandIn::converting());
    let built = build_for(&package, &python, Some(here()));
    assert_eq!(cached(&built), [false, false]);
    let library = built.library.clone().unwrap();
    let model = &models(&built)[0];
    assert_eq!(model.embedded.len(), 3, "{:?}", model.embedded);
    let mut program = String::from("#include <stdio.h>\n#include <stdint.h>\n");
    for file in &model.embedded {
        program += &format!("extern const unsigned char {0}[], {0}_end[];\n", file.symbol);
    }
    program += "int main(void) {\n";
    for file in &model.embedded {
        program += &format!(
            "  if ((uintptr_t){0} % 64) return 1;\n  fwrite({0}, 1, {0}_end - {0}, stdout);\n",
            file.symbol
        );
    }
    program += "  return 0;\n}\n";
    let (source, binary) = (package.path("main.c"), package.path("main"));
    std::fs::write(&source, program).unwrap();
    let archive = library.folder.join(format!("lib{}.a", library.name));
    assert!(
        Command::new("cc")
            .args([&source, &archive])
            .arg("-o")
            .arg(&binary)
            .status()
            .unwrap()
            .success()
    );
    let printed = Command::new(binary).output().unwrap();
    assert!(printed.status.success());
    let read = |path: &String| std::fs::read(built.folder.join(&model.package).join(path)).unwrap();
    assert!(
        printed.stdout
            == model.embedded.iter().flat_map(|file| read(&file.path)).collect::<Vec<u8>>()
    );
    let made = archive.metadata().unwrap().modified().unwrap();
    assert_eq!(build_for(&package, &python, Some(here())).library, Some(library));
    assert_eq!(archive.metadata().unwrap().modified().unwrap(), made, "it is not assembled again");
}

#[test]
fn targets_that_cannot_embed_say_so_at_the_key() {
    let (package, python) =
        (Package::new(&[("m.toml", &format!("{ONE}embed = true\n"))]), StandIn::converting());
    let target = |triple: &str| Some(Target { target: triple.into(), host: here().host });
    let text = message(&build_for(&package, &python, target("x86_64-pc-windows-msvc")));
    assert!(
        text.starts_with(
            "m.toml:4:1: model `m`: `embed = true` is not supported yet for Microsoft's assembler"
        ),
        "{text}"
    );
    assert!(text.contains("try: leave `embed` out"), "{text}");
    let text = message(&build_for(&package, &python, target("wasm32-unknown-unknown")));
    assert!(text.contains("WebAssembly"), "{text}");
    let text = message(&build_for(&package, &python, None));
    assert!(text.contains("needs a build script"), "{text}");
    assert_eq!(python.starts(), 1, "the conversion was kept");
}
