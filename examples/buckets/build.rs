//! Converts the networks of `brackets.toml`, unless the conversion cache has them.

fn main() {
    coreml_build::compile("brackets.toml");
}
