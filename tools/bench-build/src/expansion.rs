//! `cargo check` of a crate with ten generated models, against the same crate with hand-written
//! structs.
//!
//! Owns: the measurement of rustc's time for the generated code. Must not: count conversions.
//! Flow: two throw-away crates, checked in turn after an edit of each.

use bench_table::{Row, median};
use coreml_tests::UserCrate;
use std::time::Duration;

/// Models of each crate.
const MODELS: usize = 10;

/// Checks that are measured.
const ROUNDS: usize = 9;

/// What a person would write for one model of shape [1, SIZE] to [1, 4].
const BY_HAND: &str = r#"
/// Model `NAME`.
pub mod NAME {
    use coreml_portable::{Options, Session};
    use coreml_rt::{Element, Fixed, Tensor, TensorView};
    use coreml_spec::{Package, TensorRef};

    type Failure = Box<dyn std::error::Error>;

    /// Inputs of a prediction.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Input<'a> {
        /// float32, [1, SIZE].
        pub x: TensorView<'a, f32, (Fixed<1>, Fixed<SIZE>)>,
    }

    /// Outputs of a prediction.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Output {
        /// float32, [1, 4].
        pub y: Tensor<f32, (Fixed<1>, Fixed<4>)>,
    }

    /// A loaded model.
    pub(crate) struct Model {
        session: Session,
    }

    impl Model {
        /// Loads the model.
        pub(crate) fn load(path: &std::path::Path) -> Result<Self, Box<dyn std::error::Error>> {
            let session = Session::load(&Package::open(path)?, &Options::default())?;
            Ok(Self { session })
        }

        /// Predicts into a new output.
        pub(crate) fn predict(&self, input: &Input<'_>) -> Result<Output, Failure> {
            let mut output = Output::default();
            self.predict_into(input, &mut output)?;
            Ok(output)
        }

        /// Predicts into an output that exists.
        pub(crate) fn predict_into(
            &self,
            input: &Input<'_>,
            output: &mut Output,
        ) -> Result<(), Failure> {
            let elements = f32::elements(input.x.as_slice());
            let tensor = TensorRef { dims: &[1, SIZE], elements };
            self.session.run(&[tensor])?.copy_to(0, f32::elements_mut(output.y.as_mut_slice()))?;
            Ok(())
        }
    }
}
"#;

/// Measures both crates in turn.
pub(crate) fn rows() -> Vec<Row> {
    let generated = generated();
    let by_hand = by_hand();
    let [mut ours, mut theirs] = [const { Vec::new() }; 2];
    for round in 0..=ROUNDS {
        let (first, second) = (check(&generated, round), check(&by_hand, round));
        // The first round compiles the dependencies and converts.
        if round > 0 {
            ours.push(first);
            theirs.push(second);
        }
    }
    let what = format!("`cargo check`, {MODELS} generated models, against hand-written structs");
    vec![Row::ratio(&what, median(ours), median(theirs), 1.3)]
}

/// Changes a crate and returns how long its check takes.
fn check(user: &UserCrate, round: usize) -> Duration {
    user.write(
        "src/round.rs",
        format!("/// Changes with each round.\npub const ROUND: usize = {round};\n"),
    );
    user.cargo(&["check"]).succeeds().time
}

/// Returns the name and the input size of a model.
fn model(index: usize) -> (String, usize) {
    (format!("model_{index}"), 8 + index)
}

/// Makes the crate whose types are generated.
fn generated() -> UserCrate {
    let user = UserCrate::new("bench-generated", &["model.toml"]);
    user.write("python/networks.py", include_str!("../python/networks.py"));
    let tables: Vec<String> = (0..MODELS)
        .map(model)
        .map(|(name, size)| {
            format!(
                "[models.{name}]\n\
                 source = {{ file = \"python/networks.py\", entry = \"linear\", args = {{ inputs = \
                 {size}, outputs = 4 }} }}\n\
                 inputs.x = {{ shape = [1, {size}], dtype = \"float32\" }}\n\
                 outputs.y = {{ dtype = \"float32\" }}\n"
            )
        })
        .collect();
    user.write("model.toml", tables.join("\n"));
    let attribute = "//! Ten models.\n\
        \n\
        mod round;\n\
        pub use round::ROUND;\n\
        \n\
        #[coreml_rt::coreml_model(\"model.toml\")]\n\
        pub mod models {}\n";
    user.write("src/lib.rs", attribute);
    user
}

/// Makes the crate whose types are written by hand.
fn by_hand() -> UserCrate {
    let user = UserCrate::new("bench-by-hand", &[]);
    let root = coreml_tests::workspace().display().to_string();
    let manifest =
        std::fs::read_to_string(user.path("Cargo.toml")).unwrap_or_else(|error| panic!("{error}"));
    let more = ["coreml-portable", "coreml-spec"]
        .map(|name| format!("{name} = {{ path = \"{root}/{name}\" }}\n"))
        .concat();
    user.write(
        "Cargo.toml",
        manifest.replace("[dependencies]\n", &format!("[dependencies]\n{more}")),
    );
    let modules: String = (0..MODELS)
        .map(model)
        .map(|(name, size)| BY_HAND.replace("NAME", &name).replace("SIZE", &size.to_string()))
        .collect();
    user.write(
        "src/lib.rs",
        format!("//! Ten models.\n\nmod round;\npub use round::ROUND;\n{modules}"),
    );
    user
}
