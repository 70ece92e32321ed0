//! A wrong shape between two models is an error of rustc: the message is compared with the one kept
//! in `ui/`.
//!
//! Owns: the misuse that the types prevent. Run with `TRYBUILD=overwrite` after a change of rustc's
//! wording.

#[test]
fn a_wrong_shape_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
