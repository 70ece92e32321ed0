//! What becomes of an input that is larger than its model takes, or of another size.
//!
//! Owns: the words of it. Must not: cut or scale; `coreml-rt` does.
//! Flow: `longer` and `resize` of the manifest → the index → `coreml-macros`, which opens the types
//! and tells the runtime.

use serde::{Deserialize, Serialize};

/// What is done to one input of a model before each prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputFitting {
    /// The function, of a package of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The input.
    pub input: String,
    /// What is done.
    #[serde(flatten)]
    pub fitting: Fitting,
}

/// How an input that does not fit is made to fit. One that fits is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fitting {
    /// A dimension that is larger than `max` is cut to it.
    Cut {
        /// The dimension.
        axis: usize,
        /// Its largest size.
        max: usize,
        /// What is kept.
        keep: Kept,
    },
    /// A picture of another size becomes one of this size.
    Resize {
        /// How.
        how: Resize,
        /// Columns of pixels.
        width: usize,
        /// Rows of pixels.
        height: usize,
        /// Red, green and blue of what [`Resize::Fit`] adds; of a grayscale picture the first.
        padding: [f32; 3],
    },
}

/// The end of a dimension that is kept when it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// The first elements.
    Start,
    /// The last ones.
    End,
}

/// How a picture becomes one of another size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// The whole picture is scaled, and bars are added at two sides.
    Fit,
    /// The picture is scaled until it covers everything, and what stands over is cut off at two
    /// sides.
    Fill,
    /// The centre is taken as it is.
    Crop,
}
