//! Modules depend in one direction: the largest circle of each crate is small.
//!
//! Owns: the bound, and how large circles are.
//! Must not: read Rust; `graph.rs` does.
//! Flow: `main.rs` has the sources → here → `graph.rs`.

use crate::graph::{Crate, Graph, Path, ReExport};
use crate::sources::{crates, of_crate, sources};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// How many modules may use each other in a circle, where arrows between a parent and its direct
/// children do not count.
const LARGEST_CIRCLE: usize = 3;

/// Returns the circles: sets of modules that all reach each other, the largest first.
fn circles(graph: &Graph) -> Vec<BTreeSet<&Path>> {
    let mut circles: BTreeSet<BTreeSet<&Path>> = BTreeSet::new();
    for module in graph.modules() {
        let reached = graph.reached_from(module);
        if reached.contains(module) {
            circles.insert(
                reached
                    .into_iter()
                    .filter(|other| graph.reached_from(other).contains(module))
                    .collect(),
            );
        }
    }
    let mut circles: Vec<_> = circles.into_iter().collect();
    circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    circles
}

/// Returns how many modules the largest circle has; 1 where there is none.
fn largest(graph: &Graph) -> usize {
    circles(graph).first().map_or(1, BTreeSet::len)
}

/// Returns a module's path for a message.
fn name(module: &Path) -> String {
    if module.is_empty() { "the root".to_owned() } else { module.join("/") }
}

/// Returns a circle with its arrows, for a message.
fn show(graph: &Graph, circle: &BTreeSet<&Path>) -> String {
    let mut text = String::new();
    for from in circle {
        let arrows: Vec<String> =
            graph.used_by(from).filter(|to| circle.contains(to)).map(name).collect();
        let _ = writeln!(text, "    {} → {}", name(from), arrows.join(", "));
    }
    text
}

#[test]
fn no_crate_has_a_large_circle_of_modules() {
    let (mut figures, mut wrong) = (String::new(), String::new());
    let sources = sources(&["rs"]);
    for name in crates() {
        let files = of_crate(&name, &sources);
        let files = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        let read = Crate::read(files).expect("the sources are Rust");
        for re_export in [ReExport::Followed, ReExport::Literal] {
            let graph = read.graph(re_export);
            let apart = graph.apart();
            let _ = writeln!(
                figures,
                "    {name}: {}, with parents {} (re-exports {re_export:?})",
                largest(&apart),
                largest(&graph),
            );
            for circle in circles(&apart).iter().filter(|circle| circle.len() > LARGEST_CIRCLE) {
                let _ = writeln!(
                    wrong,
                    "{name}: {} modules in a circle (re-exports {re_export:?})\n{}",
                    circle.len(),
                    show(&apart, circle)
                );
            }
        }
    }
    println!("{figures}");
    assert!(
        wrong.is_empty(),
        "at most {LARGEST_CIRCLE} modules may use each other in a circle: move what both sides \
         need to a module below them\n{wrong}\nLargest circles:\n{figures}"
    );
}

/// Returns the sizes of the largest circle of made-up files: apart from parents, and with them.
fn sizes(files: &[(&str, &str)], re_export: ReExport) -> (usize, usize) {
    let read = Crate::read(files.iter().copied()).expect("the sources are Rust");
    let graph = read.graph(re_export);
    (largest(&graph.apart()), largest(&graph))
}

#[test]
fn a_circle_is_found_through_imports_and_paths() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "pub struct B; fn f() { println!(\"{}\", crate::c::C) }"),
        ("c.rs", "pub const C: u8 = 1; fn f() { super::d::f() }"),
        ("d.rs", "use crate::{a::{self, A}}; pub fn f() { a::g() }"),
    ];
    assert_eq!(sizes(&files, ReExport::Followed), (4, 4));
    assert_eq!(sizes(&files, ReExport::Literal), (4, 4));
    assert_eq!(sizes(&files[..4], ReExport::Literal), (1, 1), "without the last arrow");
}

#[test]
fn an_imported_module_counts_by_what_is_used_of_it() {
    let files = [
        ("a.rs", "use crate::b as other; fn f() { other::g() }"),
        ("b.rs", "pub fn g() { crate::a::f() }"),
    ];
    assert_eq!(sizes(&files, ReExport::Followed), (2, 2));
}

#[test]
fn comments_strings_tests_and_quoted_code_are_no_arrows() {
    let files = [
        ("lib.rs", "mod a; mod b; #[cfg(test)] mod checks;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        (
            "b.rs",
            "//! See [`crate::a::A`].\npub struct B;
             // crate::a::A
             const TEXT: &str = \"crate::a::A\";
             fn f() { quote! { crate::a::A }; ::a::f(); std::a::f(); }
             #[cfg(test)] use crate::a::A;
             #[cfg(test)] mod tests { use crate::a::A; }
             #[cfg(all(test, unix))] fn t() { crate::a::f() }
             impl B { #[cfg(test)] fn t() { crate::a::f() } }",
        ),
        ("checks.rs", "use crate::{a::A, b::B}; mod inner;"),
        ("checks/inner.rs", "fn f() { super::g() }"),
    ];
    assert_eq!(sizes(&files, ReExport::Followed), (1, 1));
    let mut counted = files;
    counted[2].1 = "pub struct B; #[cfg(not(test))] fn f() { crate::a::f() }";
    assert_eq!(sizes(&counted, ReExport::Followed), (2, 2));
}

#[test]
fn arrows_of_parents_are_counted_apart() {
    let files = [
        ("a.rs", "mod one; mod two; pub use one::One; pub struct A; fn f() { two::f() }"),
        ("a/one.rs", "use super::A; pub struct One;"),
        ("a/two.rs", "use super::one::One; pub fn f() {}"),
    ];
    // one → a → two → one, of which two arrows are a parent's.
    assert_eq!(sizes(&files, ReExport::Followed), (1, 3));
    let mut circle = files;
    circle[1].1 = "use super::two; fn f() { two::f() } pub struct One;";
    assert_eq!(sizes(&circle, ReExport::Followed), (2, 2));
}

#[test]
fn a_re_export_is_followed_to_the_definition() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; pub use b::inner::*; pub(crate) use c::C as Renamed;"),
        ("a.rs", "use crate::Deep; pub struct A;"),
        ("b.rs", "pub mod inner;"),
        ("b/inner.rs", "use crate::{a::A, Renamed}; pub struct Deep;"),
        ("c.rs", "pub struct C;"),
    ];
    // a → b/inner → a, but literally a → the root → b/inner → the root or a.
    assert_eq!(sizes(&files, ReExport::Followed), (2, 2));
    assert_eq!(sizes(&files, ReExport::Literal), (2, 3));
}

#[test]
fn modules_inside_a_file_belong_to_it() {
    let files = [
        ("a.rs", "pub mod inner { use super::super::b::B; pub struct Inner; }"),
        ("b.rs", "pub struct B; fn f(_: crate::a::inner::Inner) {}"),
    ];
    assert_eq!(sizes(&files, ReExport::Followed), (2, 2));
}
