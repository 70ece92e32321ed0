//! Texts that are too long and pictures of another size, from the manifest to the results of a
//! running program.
//!
//! Owns: the proof that the keys `longer` and `resize` reach the program, and convert nothing.

use coreml_tests::{UserCrate, workspace};

/// A text in buckets with a mask, and a picture.
const MANIFEST: &str = r#"[models.text]
source = { file = "net.py", entry = "text" }
outputs.mean = {}
buckets = { input = "ids", axis = 1, sizes = [4, 8], mask = "mask" }

[models.text.inputs.ids]
shape = [1, { min = 1, max = 8, symbol = "T", longer = "truncate" }]
dtype = "int32"
sample = { range = [0, 9] }

[models.text.inputs.mask]
shape = [1, { min = 1, max = 8, symbol = "T", longer = "truncate" }]
dtype = "int32"

[models.photo]
source = { file = "net.py", entry = "photo" }
inputs.photo = { image = { width = 4, height = 2, color = "rgb", resize = "fit", padding = 9 } }
outputs.rows = {}
"#;

/// The mean of the real ids, and the mean of the red of each column.
const NET: &str = r#"import torch


class Mean(torch.nn.Module):
    def forward(self, ids, mask):
        mask = mask.float()
        return (ids.float() * mask).sum(1) / mask.sum(1)


class Rows(torch.nn.Module):
    def forward(self, photo):
        return photo[:, 0].mean(1)


def text():
    return Mean()


def photo():
    return Rows()
"#;

/// Eleven ids, and a square picture.
const MAIN: &str = r#"#[coreml_rt::coreml_model("fit.toml")]
pub mod fit {}

use coreml_rt::{ImageView, TensorView};

fn main() -> Result<(), coreml_rt::Error> {
    let models = fit::Models::load()?;
    let ids: Vec<i32> = (1..=11).collect();
    let ids = TensorView::from_slice_with_dims(&ids, [1, ids.len()])?;
    let text = models.text.predict(&fit::text::Input { ids })?;
    let photo = ImageView::from_rgb8(&[20; 12], 2, 2)?;
    let photo = models.photo.predict(&fit::photo::Input { photo })?;
    println!("{:?} {:?}", text.mean.as_slice(), photo.rows.as_slice());
    Ok(())
}
"#;

#[test]
fn what_does_not_fit_is_cut_or_scaled_where_the_manifest_says_so() {
    let user = UserCrate::new("fitting", &["fit.toml"]);
    user.write("fit.toml", MANIFEST);
    user.write("net.py", NET);
    user.write("src/main.rs", MAIN);
    user.cargo(&["run"]).fails_with(&[
        "`resize` of the manifest needs coreml-rt's feature `image`: `coreml-rt = { …, features = \
         [\"image\"] }` in Cargo.toml",
    ]);
    let cargo = std::fs::read_to_string(user.path("Cargo.toml")).expect("it is there");
    let runtime = format!("coreml-rt = {{ path = \"{}/coreml-rt\",", workspace().display());
    assert!(cargo.contains(&runtime), "{cargo}");
    user.write(
        "Cargo.toml",
        cargo.replace(&runtime, &format!("{runtime} features = [\"image\"],")),
    );
    let printed = user.cargo(&["run"]).succeeds().stdout;
    assert_eq!(printed.trim(), "[4.5] [9.0, 20.0, 20.0, 9.0]");
    user.cargo(&["test"]).succeeds().has_parity("fit", &["text", "photo"]);
    // Another policy is another program of the same models.
    user.write("fit.toml", MANIFEST.replace("\"truncate\"", "\"truncate-start\""));
    let printed = user.cargo(&["run"]).succeeds().stdout;
    assert_eq!(printed.trim(), "[7.5] [9.0, 20.0, 20.0, 9.0]");
    assert_eq!(user.cached("fitting", "fit.toml"), [true, true]);
    user.write("fit.toml", MANIFEST.replace(", longer = \"truncate\"", ""));
    user.cargo(&["run"]).fails_with(&["dimension 1 of shape [1, 11] is 11, but it must be 1 to 8"]);
}
