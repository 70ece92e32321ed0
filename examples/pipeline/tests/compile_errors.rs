//! A wrong shape between two models is an error of rustc: the message is compared with the one in
//! `ui/`.
//!
//! Owns: the misuse that the types prevent. Run with `TRYBUILD=overwrite` when rustc's wording
//! changes.

#[test]
fn a_wrong_shape_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
