#[coreml_rt::coreml_model("models/cats.toml")]
pub mod cats {}

fn main() {
    let _ = cats::Model::load();
}
