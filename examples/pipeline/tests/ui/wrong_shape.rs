// The decoder takes a code of 24 numbers; this gives it the image again.

use pipeline::Image;
use pipeline::restore::{Models, decoder};

fn main() -> Result<(), coreml_rt::Error> {
    let models = Models::load()?;
    let image = coreml_rt::Tensor::<f32, Image>::zeros();
    models.decoder.predict(&decoder::Input { code: image.view() })?;
    Ok(())
}
