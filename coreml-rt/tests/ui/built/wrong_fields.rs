#[coreml_rt::coreml_model("pets.toml")]
pub mod pets {}

fn main() -> Result<(), coreml_rt::Error> {
    let output = pets::Model::load()?.predict(&pets::Input {})?;
    match output.class_label {
        pets::Label::Cat | pets::Label::Dog => println!("{}", output.probabilities),
    }
    Ok(())
}
