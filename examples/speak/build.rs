//! Converts the networks of `speak.toml`, unless the conversion cache has them.

fn main() {
    coreml_build::compile("speak.toml");
}
