//! One sample: a safetensors file of inputs and reference outputs.
//!
//! Owns: [`Sample`], the keys `in/NAME` and `out/NAME`, and the conversion of element types.
//! Flow: read by `parity.rs`; written by the conversion.

use crate::buffer::Buffer;
use crate::error::Error;
use crate::shape::element_count;
use coreml_spec::{DataType, Feature, FeatureKind};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::Path;

/// What the keys of inputs start with.
const INPUT_PREFIX: &str = "in/";

/// What the keys of reference outputs start with.
const OUTPUT_PREFIX: &str = "out/";

/// Inputs as PyTorch was fed, and its outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The file's name, for messages.
    name: String,
    /// Every tensor of the file by its key.
    tensors: BTreeMap<String, Array>,
}

/// A tensor of any type, as numbers that hold each of its values exactly.
#[derive(Clone, Debug, PartialEq)]
struct Array {
    /// Sizes.
    dims: Vec<usize>,
    /// The elements, in row-major order.
    values: Vec<f64>,
}

impl Sample {
    /// Reads a file.
    ///
    /// Errors: [`Error::Sample`] when it is no safetensors file or holds a type that is no number.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| {
            let problem = format!("it cannot be read ({error}); build again after `cargo clean`");
            Error::Sample { sample: name.clone(), problem }
        })?;
        let short = path.file_name().map_or(name.clone(), |file| file.to_string_lossy().into_owned());
        Self::from_bytes(&short, &bytes)
    }

    /// Reads the bytes of a file.
    ///
    /// Parameters: `name` — what messages call the sample.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let error = |problem: String| Error::Sample { sample: name.to_owned(), problem };
        let file = SafeTensors::deserialize(bytes)
            .map_err(|problem| error(format!("it is no safetensors file ({problem}); write it again")))?;
        let mut tensors = BTreeMap::new();
        for (key, tensor) in file.iter() {
            if !key.starts_with(INPUT_PREFIX) && !key.starts_with(OUTPUT_PREFIX) {
                return Err(error(format!("its key `{key}` is neither `in/NAME` nor `out/NAME`; rename or remove it")));
            }
            let values = values(tensor.dtype(), tensor.data()).ok_or_else(|| {
                error(format!("`{key}` is of type {:?}; use a float or integer type up to 64 bits", tensor.dtype()))
            })?;
            tensors.insert(key.to_owned(), Array { dims: tensor.shape().to_vec(), values });
        }
        Ok(Self { name: name.to_owned(), tensors })
    }

    /// Returns the file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns sizes and elements to feed for `input`, or `None` when the sample leaves an optional input out.
    pub(super) fn input(&self, input: &Feature) -> Result<Option<(Vec<usize>, Buffer)>, Error> {
        let key = format!("{INPUT_PREFIX}{}", input.name);
        let Some(array) = self.tensors.get(&key) else {
            let missing = || self.error(format!("it lacks `{key}`, which the model needs; it has {}", self.keys()));
            return if input.default.is_some() { Ok(None) } else { Err(missing()) };
        };
        let data_type = match &input.kind {
            FeatureKind::MultiArray { data_type, .. } => *data_type,
            // Of an image the planes, 0 to 255.
            _ => DataType::Float32,
        };
        let buffer = Buffer::from_f64s(data_type, &array.values)
            .ok_or_else(|| self.error(format!("`{key}` has values that do not fit the input's type {data_type}")))?;
        Ok(Some((array.dims.clone(), buffer)))
    }

    /// Refuses a sample with inputs that the model does not have.
    pub(super) fn refuse_unknown_inputs(&self, inputs: &[Feature]) -> Result<(), Error> {
        let known = |name: &str| inputs.iter().any(|input| input.name == name);
        match self.tensors.keys().filter_map(|key| key.strip_prefix(INPUT_PREFIX)).find(|name| !known(name)) {
            Some(name) => Err(self.error(format!("it has `in/{name}`, but the model has no input `{name}`"))),
            None => Ok(()),
        }
    }

    /// Returns the reference for the output `name`, which the model gave with the sizes `dims`.
    pub(super) fn output(&self, name: &str, dims: &[usize]) -> Result<Vec<f64>, Error> {
        let array = self.reference(name)?;
        // PyTorch's scalars have no dimension where Core ML has one of size 1.
        let same = array.dims == dims || (array.values.len() == 1 && element_count(dims) == Some(1));
        if !same {
            let expected = &array.dims;
            return Err(self.error(format!("`out/{name}` has shape {expected:?}, the model gave {dims:?}")));
        }
        Ok(array.values.clone())
    }

    /// Returns the position of the reference class for the label output `name`.
    pub(super) fn label(&self, name: &str) -> Result<usize, Error> {
        match self.reference(name)?.values[..] {
            [value] if value >= 0.0 && value.fract() == 0.0 => Ok(value as usize),
            _ => Err(self.error(format!("`out/{name}` must hold one number, the position of the class"))),
        }
    }

    /// Returns the tensor `out/NAME`.
    fn reference(&self, name: &str) -> Result<&Array, Error> {
        let key = format!("{OUTPUT_PREFIX}{name}");
        let missing = || self.error(format!("it lacks `{key}`, which the model gives; it has {}", self.keys()));
        self.tensors.get(&key).ok_or_else(missing)
    }

    /// Returns all keys, for a message.
    fn keys(&self) -> String {
        self.tensors.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Makes an error about this sample.
    fn error(&self, problem: String) -> Error {
        Error::Sample { sample: self.name.clone(), problem }
    }
}

/// Converts little-endian elements; `None` for a type that is no number or not exact in double precision.
fn values(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f64>> {
    /// Converts elements of `N` bytes each.
    fn each<const N: usize>(bytes: &[u8], element: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks::<N>().0.iter().map(|&chunk| element(chunk)).collect()
    }
    Some(match dtype {
        Dtype::BOOL | Dtype::U8 => each(bytes, |[byte]| f64::from(byte)),
        Dtype::I8 => each(bytes, |chunk| f64::from(i8::from_le_bytes(chunk))),
        Dtype::I16 => each(bytes, |chunk| f64::from(i16::from_le_bytes(chunk))),
        Dtype::I32 => each(bytes, |chunk| f64::from(i32::from_le_bytes(chunk))),
        // Indices: exact below 2⁵³, far more than any tensor has elements.
        Dtype::I64 => each(bytes, |chunk| i64::from_le_bytes(chunk) as f64),
        Dtype::F16 => each(bytes, |chunk| f16::from_le_bytes(chunk).to_f64()),
        Dtype::BF16 => each(bytes, |chunk| bf16::from_le_bytes(chunk).to_f64()),
        Dtype::F32 => each(bytes, |chunk| f64::from(f32::from_le_bytes(chunk))),
        Dtype::F64 => each(bytes, f64::from_le_bytes),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use coreml_spec::Shape;
    use safetensors::tensor::TensorView;

    /// A safetensors file of the given tensors.
    fn file(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Sample {
        let views = tensors
            .iter()
            .map(|(key, dtype, shape, bytes)| (*key, TensorView::new(*dtype, shape.to_vec(), bytes).unwrap()));
        Sample::from_bytes("0.safetensors", &safetensors::serialize(views, None).unwrap()).unwrap()
    }

    /// A feature of one dimension.
    fn input(name: &str, data_type: DataType, default: Option<f64>) -> Feature {
        let kind = FeatureKind::MultiArray { data_type, shape: Shape::fixed([2]) };
        Feature { name: name.to_owned(), description: String::new(), kind, default }
    }

    #[test]
    fn inputs_are_converted_to_the_type_of_the_model() {
        let sample =
            file(&[("in/x", Dtype::I64, &[2], &[7, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255])]);
        let fed = sample.input(&input("x", DataType::Int32, None)).unwrap();
        assert_eq!(fed, Some((vec![2], Buffer::Int32(vec![7, -1]))));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let sample = file(&[("in/x", Dtype::F32, &[1], &0.5f32.to_le_bytes()), ("out/y", Dtype::U8, &[2], &[1, 2])]);
        let message = |error: Error| error.to_string();
        assert_eq!(
            message(sample.input(&input("x", DataType::Int32, None)).unwrap_err()),
            "the parity sample 0.safetensors cannot be used: `in/x` has values that do not fit the input's type int32"
        );
        assert!(message(sample.input(&input("z", DataType::Int32, None)).unwrap_err()).contains("it has in/x, out/y"));
        assert_eq!(sample.input(&input("z", DataType::Int32, Some(0.0))).unwrap(), None);
        assert!(message(sample.refuse_unknown_inputs(&[]).unwrap_err()).contains("the model has no input `x`"));
        assert!(message(sample.output("y", &[3]).unwrap_err()).contains("has shape [2], the model gave [3]"));
        assert!(message(sample.label("y").unwrap_err()).contains("must hold one number"));
        assert!(message(sample.output("w", &[3]).unwrap_err()).contains("lacks `out/w`"));
    }

    #[test]
    fn other_files_and_keys_are_refused() {
        assert!(Sample::from_bytes("x", b"no").unwrap_err().to_string().contains("no safetensors file"));
        let views = [("y", TensorView::new(Dtype::U8, vec![1], &[1]).unwrap())];
        let bytes = safetensors::serialize(views, None).unwrap();
        assert!(Sample::from_bytes("x", &bytes).unwrap_err().to_string().contains("its key `y` is neither"));
        assert!(Sample::read(Path::new("/no/such/file")).unwrap_err().to_string().contains("/no/such/file"));
    }
}
