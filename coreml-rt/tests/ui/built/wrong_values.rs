use coreml_rt::{ImageView, Rgb, Fixed};

#[coreml_rt::coreml_model("drawing.toml")]
pub mod drawing {}

/// As the crate `image` has it, without coreml-rt's feature of that name.
struct RgbImage;

fn main() -> Result<(), coreml_rt::Error> {
    let values = vec![0.0_f32; 3];
    let _ = drawing::decoder::Input { code: (&values).try_into()? };
    let _ = drawing::decoder::Input { code: (&[[0.0, 1.0, 2.0, 3.0]]).into() };
    let photo = RgbImage;
    let _: ImageView<'_, Rgb, Fixed<4>, Fixed<2>> = (&photo).try_into()?;
    Ok(())
}
