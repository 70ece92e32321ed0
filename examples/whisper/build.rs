//! Converts the models of each manifest whose feature is enabled, unless the conversion cache has
//! them.

/// The sizes that a feature of the same name turns on.
const SIZES: [&str; 6] = ["tiny", "base", "small", "medium", "large", "large-v3"];

fn main() {
    coreml_build::compile("whisper.toml");
    coreml_build::compile("quantized.toml");
    for size in SIZES {
        let feature = format!("CARGO_FEATURE_{}", size.to_uppercase().replace('-', "_"));
        if std::env::var_os(feature).is_some() {
            coreml_build::compile(format!("sizes/{size}.toml"));
        }
    }
}
