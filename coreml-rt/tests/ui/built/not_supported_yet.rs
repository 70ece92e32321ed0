#[coreml_rt::coreml_model("later.toml")]
pub mod later {}

fn main() {
    let _ = later::Model::load();
}
