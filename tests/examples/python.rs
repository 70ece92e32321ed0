//! Prints the Python interpreter that the tests convert with, and creates its environment if there
//! is none.
//!
//! Owns: only the call.
//! Flow: `.ci/run` runs the driver's own tests with the interpreter that this prints.

fn main() {
    println!("{}", coreml_tests::python().display());
}
