#[coreml_rt::coreml_model("pets.toml")]
pub struct Pets {}

fn main() {}
