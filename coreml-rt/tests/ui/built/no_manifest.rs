#[coreml_rt::coreml_model]
pub mod pets {}

#[coreml_rt::coreml_model(pets.toml)]
pub mod cats {}

#[coreml_rt::coreml_model("")]
pub mod dogs {}

fn main() {}
