use pets::{Input, Label, Model, Output};

#[coreml_rt::coreml_model("failed.toml")]
pub mod pets {}

struct App {
    model: Model,
    last: Option<Output>,
}

impl App {
    fn new() -> Result<Self, coreml_rt::Error> {
        Ok(Self { model: pets::Model::load_with(&coreml_rt::LoadOptions::new())?, last: None })
    }

    fn predict(&mut self, numbers: &[f32]) -> Result<Label, Box<dyn std::error::Error>> {
        let output = self.model.predict(&Input { x: numbers.try_into()? })?;
        println!("{} {:?} {}", output.class_label, output.class_label_probs.top(3), self.model.backend());
        let label = output.class_label;
        self.last = Some(output);
        Ok(label)
    }
}

fn legs(label: Label) -> usize {
    match label {
        Label::Cat | Label::Dog => 4,
        Label::GoldFish => 0,
    }
}

fn borrow<'a>(input: &pets::Input<'a>) -> coreml_rt::TensorView<'a, f32, (coreml_rt::Fixed<4>,)> {
    input.x.reshape()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut app = App::new()?;
    let label = app.predict(&[0.5, -1.0, 2.0, 0.25])?;
    let mut output = pets::Output::zeros();
    app.model.predict_into(&Input { x: [[0.0; 4]].as_slice().as_flattened().try_into()? }, &mut output)?;
    let all: Vec<usize> = pets::Label::ALL.iter().map(|&label| legs(label)).collect();
    println!("{label} {all:?} {:?}", "dog".parse::<Label>());
    let _ = borrow;
    Ok(())
}
