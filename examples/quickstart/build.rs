//! Converts the network of `digits.toml`, unless the conversion cache has it.

fn main() {
    coreml_build::compile("digits.toml");
}
