//! Fills the fuzzer's corpus with the packages of the case archives, in the form that the fuzz
//! target reads.

use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

/// Largest seed, in bytes: larger programs are slow and show nothing that smaller ones do not.
const LARGEST: usize = 32 << 10;

/// Writes one file per case.
fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = here.join("corpus/translate");
    fs::create_dir_all(&corpus)?;
    for entry in fs::read_dir(here.join("../tests/cases"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "safetensors") {
            continue;
        }
        let bytes = fs::read(&path)?;
        let mut seeds: BTreeMap<String, (Vec<u8>, Vec<u8>)> = BTreeMap::new();
        for (key, view) in SafeTensors::deserialize(&bytes)?.tensors() {
            let Some((case, file)) = key.split_once("/package/") else { continue };
            let seed = seeds.entry(case.to_owned()).or_default();
            if file.ends_with(".mlmodel") {
                seed.0 = view.data().to_vec();
            } else if file.ends_with(".bin") {
                seed.1 = view.data().to_vec();
            }
        }
        for (case, (mut seed, weights)) in seeds {
            let size = u32::try_from(weights.len())?;
            seed.extend(weights);
            seed.extend(size.to_le_bytes());
            if seed.len() <= LARGEST {
                fs::write(corpus.join(case), seed)?;
            }
        }
    }
    Ok(())
}
