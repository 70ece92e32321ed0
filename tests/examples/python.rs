//! Prints the Python interpreter that the tests convert with, and makes its environment where there
//! is none.
//!
//! Owns: nothing; it is a door for scripts. Flow: `.ci/run` runs the driver's own tests with what
//! this prints.

fn main() {
    println!("{}", coreml_tests::python().display());
}
