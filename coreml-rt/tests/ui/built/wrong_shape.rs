use coreml_rt::{Fixed, Tensor};

#[coreml_rt::coreml_model("drawing.toml")]
pub mod drawing {}

fn main() -> Result<(), coreml_rt::Error> {
    let models = drawing::Models::load()?;
    let image = Tensor::<f32, (Fixed<2>, Fixed<4>)>::zeros();
    let _ = models.decoder.predict(&drawing::decoder::Input { code: image.view() })?;
    Ok(())
}
