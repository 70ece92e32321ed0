//! Fills the fuzzer's corpus with the packages of the tests, in the form that the fuzz target
//! reads.

use std::error::Error;
use std::fs;
use std::path::Path;

/// Writes one file per package.
fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = here.join("corpus/package");
    fs::create_dir_all(&corpus)?;
    for entry in fs::read_dir(here.join("../tests/data/packages"))? {
        let package = entry?.path();
        let data = package.join("Data/com.apple.CoreML");
        let mut seed = fs::read(data.join("model.mlmodel"))?;
        // A package without weights has no such file.
        let weights = fs::read(data.join("weights/weight.bin")).unwrap_or_default();
        let size = u16::try_from(weights.len())?;
        seed.extend(weights);
        seed.extend(size.to_le_bytes());
        fs::write(corpus.join(package.file_stem().ok_or("a package has no name")?), seed)?;
    }
    Ok(())
}
