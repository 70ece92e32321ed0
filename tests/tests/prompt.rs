//! A decoder with a cache whose prompt comes in buckets: two models of one manifest, and the
//! program between them.
//!
//! Owns: the proof that what docs/manifest.md recommends instead of `states` beside `buckets`
//! works.

use coreml_tests::UserCrate;

/// The prompt in buckets, which returns keys and values, and a step that keeps them.
const MANIFEST: &str = r#"[models.prompt]
source = { file = "python/decoder.py", entry = "prompt" }
inputs.tokens = { shape = [1, { min = 1, max = 8 }], dtype = "int32", sample = { range = [0, 31] } }
outputs.keys = { dtype = "float16" }
outputs.values = { dtype = "float16" }
outputs.logits = { dtype = "float32" }
buckets = { input = "tokens", axis = 1, sizes = [2, 4, 8] }

[models.step]
source = { file = "python/decoder.py", entry = "step" }
inputs.token = { shape = [1, 1], dtype = "int32", sample = { range = [0, 31] } }
inputs.position = { shape = [1], dtype = "int32", sample = { start = 0 } }
states.keys = { shape = [2, 1, 2, 12, 8], dtype = "float16" }
states.values = { shape = [2, 1, 2, 12, 8], dtype = "float16" }
outputs.logits = { dtype = "float32" }
"#;

/// Both networks, of the same weights.
const DECODER: &str = include_str!("../fixtures/prompt_decoder.py");

/// The program: each length of prompt, at once and token by token, with three more tokens after it.
const MAIN: &str = r#"#[coreml_rt::coreml_model("decoder.toml")]
pub mod decoder {}

use coreml_rt::{Error, Fixed, Range, Tensor, TensorView, f16};
use decoder::{prompt, step};

/// The prompt's output, which the step keeps.
type Given = Tensor<f16, (Fixed<2>, Fixed<1>, Fixed<2>, Range<1, 8>, Fixed<8>)>;
type Cache = Tensor<f16, (Fixed<2>, Fixed<1>, Fixed<2>, Fixed<12>, Fixed<8>)>;

/// Copies the output of a prompt to the beginning of a cache.
fn cache(given: &Given) -> Cache {
    Cache::from_fn(|index| given.get(index).copied().unwrap_or(f16::ZERO))
}

/// Runs one token.
fn run(
    model: &step::Model,
    state: &mut step::State,
    token: i32,
    position: usize,
) -> Result<Vec<f32>, Error> {
    let (token, position) = (Tensor::from([[token]]), Tensor::from([position as i32]));
    let input = step::Input { token: token.view(), position: position.view() };
    Ok(model.predict(state, &input)?.logits.into_vec())
}

fn main() -> Result<(), Error> {
    let models = decoder::Models::load()?;
    let mut apart = 0.0f32;
    for length in 1..=8 {
        let tokens: Vec<i32> = (0..length as i32).map(|token| (7 * token + 3) % 32).collect();
        let mut slow = models.step.new_state()?;
        let mut last = Vec::new();
        for (position, token) in tokens.iter().enumerate() {
            last = run(&models.step, &mut slow, *token, position)?;
        }

        let tokens = TensorView::from_slice_with_dims(&tokens, [1, length])?;
        let output = models.prompt.predict(&prompt::Input { tokens })?;
        let mut fast = models.step.new_state()?;
        fast.set_keys(cache(&output.keys).view())?;
        fast.set_values(cache(&output.values).view())?;
        let first = output.logits.as_slice()[32 * (length - 1)..].to_vec();
        let mut pairs: Vec<(f32, f32)> = last.into_iter().zip(first).collect();
        for position in length..length + 3 {
            let one = run(&models.step, &mut slow, 5, position)?;
            let other = run(&models.step, &mut fast, 5, position)?;
            pairs.extend(one.into_iter().zip(other));
        }
        apart = pairs.into_iter().map(|(one, other)| (one - other).abs()).fold(apart, f32::max);
    }
    println!("same {}", apart < 5e-3);
    Ok(())
}
"#;

#[test]
fn a_prompt_in_buckets_fills_the_cache_of_a_decoder() {
    let user = UserCrate::new("prompt", &["decoder.toml"]);
    user.write("decoder.toml", MANIFEST);
    user.write("python/decoder.py", DECODER);
    user.write("src/main.rs", MAIN);
    let said = user.cargo(&["run"]).succeeds().stdout;
    assert_eq!(said, "same true\n");
    user.cargo(&["test"]).succeeds().has_parity("decoder", &["prompt", "step"]);
}

#[test]
fn states_functions_and_programs_have_no_buckets() {
    let model = |table: &str, keys: &str| {
        format!(
            "[model]\n{table}\ninputs.x = {{ shape = [1, {{ min = 1, max = 8 }}] }}\n{keys}\n\
             buckets = {{ input = \"x\", axis = 1, sizes = [4, 8] }}\n"
        )
    };
    let file = "source = { file = \"net.py\", entry = \"net\" }";
    let cases = [
        (
            model(
                file,
                "states.k = { shape = [1, 8] \
            }",
            ),
            ["padding would be written to them", "returns them as outputs"],
        ),
        (
            model("source = { mil = \"net.py\", entry = \"net\" }", ""),
            ["not of a MIL program", "PyTorch shows that padding changes no result"],
        ),
        (
            "[model]\ndefault-function = \"a\"\nbuckets = { input = \"x\", axis = 1, sizes = [4, \
            8] }\n[model.functions.a]\n\
             source = { file = \"net.py\", entry = \"net\" }\ninputs.x = { shape = [1, { min = 1, \
             max = 8 }] }\n"
                .to_owned(),
            ["which of them has the lengths", "`[models.NAME]`"],
        ),
    ];
    let user = UserCrate::new("no-buckets", &["m.toml"]);
    user.write("net.py", "def net():\n    pass\n");
    user.write(
        "src/main.rs",
        "#[coreml_rt::coreml_model(\"m.toml\")]\npub mod m {}\n\nfn main() {}\n",
    );
    for (manifest, said) in cases {
        user.write("m.toml", manifest);
        user.cargo(&["check"]).fails_with(&said);
    }
}
