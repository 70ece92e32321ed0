//! Converts both networks of `restore.toml`, unless the conversion cache has them.

fn main() {
    coreml_build::compile("restore.toml");
}
