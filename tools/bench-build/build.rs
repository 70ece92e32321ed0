//! Converts the network of `call.toml`, whose typed call `src/call.rs` measures.

fn main() {
    coreml_build::compile("call.toml");
}
