//! States that Core ML keeps, and states that are inputs and outputs: the same module, the same
//! program, the same bits.
//!
//! Owns: the proof that `states.mode` changes only the package.

use coreml_tests::UserCrate;

/// A step of a decoder with two caches, in each mode; the last one as a function of a package.
const MANIFEST: &str = r#"[defaults]
inputs.token = { shape = [1, 1], dtype = "int32", sample = { range = [0, 31] } }
inputs.position = { shape = [1], dtype = "int32", sample = { start = 0 } }
states.keys = { shape = [2, 1, 2, 8, 8], dtype = "float16" }
states.values = { shape = [2, 1, 2, 8, 8], dtype = "float16" }
outputs.logits = { dtype = "float32" }
parity = { samples = 2, steps = 8 }

[models.kept]
source = { file = "python/decoder.py", entry = "step" }

[models.fed]
source = { file = "python/decoder.py", entry = "step" }
states.mode = "io"

[models.both]
default-function = "fed"

[models.both.functions.kept]
source = { file = "python/decoder.py", entry = "step" }

[models.both.functions.fed]
source = { file = "python/decoder.py", entry = "step" }
states.mode = "io"
"#;

/// The Python side: attention over what came before.
const DECODER: &str = include_str!("../fixtures/states_decoder.py");

/// The program: one macro for all of them, because their code is the same.
const MAIN: &str = r#"#[coreml_rt::coreml_model("decoder.toml")]
pub mod decoder {}

use coreml_rt::{Tensor, f16};

/// Runs six steps, then two more from a cache that was taken out and put into another state.
macro_rules! decode {
    ($model:ident: $($module:tt)+) => {{
        use $($module)+ as module;
        let mut state = $model.new_state()?;
        let mut said: Vec<u32> = Vec::new();
        for step in 0..8 {
            if step == 6 {
                let (keys, values) = (state.keys()?, state.values()?);
                state = $model.new_state()?;
                state.set_keys(keys.view())?;
                state.set_values(values.view())?;
            }
            let (token, position) = (Tensor::from([[3 * step + 1]]), Tensor::from([step]));
            let input = module::Input { token: token.view(), position: position.view() };
            let logits = $model.predict(&mut state, &input)?.logits;
            said.extend(logits.as_slice().iter().map(|logit| logit.to_bits()));
        }
        let keys = state.keys()?;
        assert!(keys.as_slice().iter().all(|key| *key != f16::ZERO), "every position was written");
        said.extend(keys.as_slice().iter().map(|key| u32::from(key.to_bits())));
        said
    }};
}

fn main() -> Result<(), coreml_rt::Error> {
    let models = decoder::Models::load()?;
    let (kept, fed) = (models.kept, models.fed);
    let first = decode!(kept: decoder::kept);
    println!("equal {}", first == decode!(fed: decoder::fed));
    let (kept, fed) = (models.both.kept, models.both.fed);
    println!("equal {}", first == decode!(kept: decoder::both::kept));
    println!("equal {}", first == decode!(fed: decoder::both::fed));
    println!("values {}", first.len());
    Ok(())
}
"#;

#[test]
fn the_same_program_runs_states_of_either_mode() {
    let user = UserCrate::new("states", &["decoder.toml"]);
    user.write("decoder.toml", MANIFEST);
    user.write("python/decoder.py", DECODER);
    user.write("src/main.rs", MAIN);
    let said = user.cargo(&["run"]).succeeds().stdout;
    assert_eq!(said, "equal true\nequal true\nequal true\nvalues 512\n");
    user.cargo(&["test"])
        .succeeds()
        .has_parity("decoder", &["kept", "fed", "both::kept", "both::fed"]);
}

#[test]
fn a_state_that_is_never_written_is_an_error_in_either_mode() {
    for mode in ["coreml", "io"] {
        let user = UserCrate::new(&format!("states-{mode}"), &["net.toml"]);
        user.write(
            "net.toml",
            format!(
                "[model]\nsource = {{ file = \"net.py\", entry = \"net\" }}\ninputs.x = {{ shape = \
                [1, 4] }}\n\
                 states.k = {{ shape = [1, 4] }}\nstates.mode = \"{mode}\"\n"
            ),
        );
        user.write(
            "net.py",
            "import torch\n\n\nclass Net(torch.nn.Module):\n    def \
            __init__(self):\n        super().__init__()\n        \
             self.register_buffer(\"k\", torch.zeros(1, 4))\n\n    def forward(self, \
             x):\n        return self.k + x\n\n\n\
             def net():\n    return Net()\n",
        );
        user.write(
            "src/main.rs",
            "#[coreml_rt::coreml_model(\"net.toml\")]\npub mod net {}\n\nfn main() {}\n",
        );
        user.cargo(&["check"]).fails_with(&["net.toml:4:1", "never writes to `k`"]);
    }
}
