#[coreml_rt::coreml_model("everything.toml")]
pub mod everything {}

use everything::{choice, memory};

fn main() -> Result<(), coreml_rt::Error> {
    let models = everything::Models::load()?;
    let two = coreml_rt::Tensor::from([[0.5f32, 1.0]]);
    models.choice.predict(&choice::Input { ids: two.view().into() })?;
    let three = coreml_rt::Tensor::from([[0.5f32, 1.0, 2.0]]);
    models.choice.predict(&choice::Input { ids: three.view().into() })?;
    let numbers = coreml_rt::Tensor::zeros();
    models.memory.predict(&memory::Input { x: numbers.view() })?;
    Ok(())
}
