//! The assembler text for each object format.

use super::*;

/// A package with two files.
fn package() -> Embedding<'static> {
    let file = |name: &str| (name.to_owned(), PathBuf::from(format!("/out/a \"b\"/{name}")), 1);
    Embedding {
        digest: "0123456789abcdef0123",
        files: vec![file("Manifest.json"), file("weight.bin")],
    }
}

#[test]
fn symbols_come_from_the_digest() {
    let symbols: Vec<_> = symbols(&package()).into_iter().map(|file| file.symbol).collect();
    assert_eq!(symbols, ["coreml_0123456789abcdef_0", "coreml_0123456789abcdef_1"]);
}

#[test]
fn each_format_has_its_own_words() {
    let text = |target: &str| assembly(&[package()], target).unwrap();
    let linux = text("aarch64-unknown-linux-gnu");
    assert!(
        linux.starts_with(
            ".section .rodata.coreml,\"a\",%progbits\n.globl coreml_0123456789abcdef_0\n.hidden \
                 coreml_0"
        ),
        "{linux}"
    );
    assert!(linux.contains(
        ".balign 64\ncoreml_0123456789abcdef_1:\n.incbin \"/out/a \
         \\\"b\\\"/weight.bin\"\ncoreml_0123456789abcdef_1_end:\n"
    ));
    assert!(linux.ends_with(".section .note.GNU-stack,\"\",%progbits\n"));
    let apple = text("aarch64-apple-ios");
    assert!(
        apple.starts_with(
            ".section __TEXT,__const\n.globl _coreml_0123456789abcdef_0\n.private_extern _coreml_0"
        ),
        "{apple}"
    );
    assert!(text("x86_64-pc-windows-gnu").starts_with(".section .rdata,\"dr\"\n.globl coreml_0"));
    assert!(text("i686-pc-windows-gnu").contains("\n_coreml_0123456789abcdef_0:\n"));
    let error = assembly(&[package()], "x86_64-pc-windows-msvc").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn too_much_to_embed_is_refused_before_it_is_tried() {
    let mut package = package();
    package.files[0].2 = SIZE_LIMIT;
    let target = Target {
        target: "x86_64-unknown-linux-gnu".into(),
        host: "x86_64-unknown-linux-gnu".into(),
    };
    let error = assemble(&[package], &target, Path::new("/nonexistent")).unwrap_err();
    assert!(error.to_string().contains("fit into a program"), "{error}");
}
