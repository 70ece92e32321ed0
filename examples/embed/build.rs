//! Converts the encoder of `embed.toml`, unless the conversion cache has it.

fn main() {
    coreml_build::compile("embed.toml");
}
