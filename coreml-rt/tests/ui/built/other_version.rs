#[coreml_rt::coreml_model("newer.toml")]
pub mod newer {}

fn main() {
    let _ = newer::Model::load();
}
