#[coreml_rt::coreml_model("pets.toml")]
pub mod pets {
    pub const LEGS: usize = 4;
}

fn main() {
    let _ = (pets::LEGS, pets::Model::load());
}
