use drawing::{Models, encoder};

#[coreml_rt::coreml_model("failed-drawing.toml")]
pub mod drawing {}

fn main() -> Result<(), coreml_rt::Error> {
    let models = Models::load()?;
    let image = coreml_rt::Tensor::zeros();
    let encoded = models.encoder.predict(&encoder::Input { image: image.view() })?;
    let drawn = models.decoder.predict(&drawing::decoder::Input { code: encoded.code.view() })?;
    println!("{:?}", drawn.drawn.as_slice());
    Ok(())
}
