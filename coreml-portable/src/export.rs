//! A program as an ONNX file, for every platform that runs ONNX.
//!
//! Owns: where the weights of the file stand: inside, or beside it when protobuf's limit of 2 GB is
//! near.
//! Flow: `cargo coreml export` → [`to_onnx`] → `translate.rs`.

use crate::error::Error;
use crate::onnx::{DATA_LOCATION_EXTERNAL, ModelProto, TensorProto};
use crate::session::chosen;
use crate::translate::{Settings, translate};
use coreml_spec::Package;
use prost::Message;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Most bytes of weights that go into the file itself. Protobuf ends at 2 GiB.
const LARGEST_INSIDE: usize = 1 << 30;

/// A function of a package as ONNX.
///
/// Inputs and outputs have the features' names. A state is an input of its name, and, when the
/// function writes it, an output called `NAME/after`. Half precision has become single precision. A
/// classifier's label is an output with its position among the labels.
#[derive(Debug)]
pub struct Onnx {
    /// The model; its large constants are external.
    model: ModelProto,
    /// The large constants.
    weights: Vec<u8>,
}

/// Translates a function to ONNX.
///
/// Parameters: `function` — of a multifunction package; `None` for its default.
/// Errors: [`Error::Unsupported`] names everything that ONNX cannot express at once;
/// [`Error::Options`] says which functions there are.
pub fn to_onnx(package: &Package, function: Option<&str>) -> Result<Onnx, Error> {
    let interface = package.interface()?;
    let function = chosen(&interface, function)?;
    let translation =
        translate(package, function, Settings { engine: None, round_to_half: false })?;
    Ok(Onnx { model: translation.model, weights: translation.weights.into_bytes() })
}

impl Onnx {
    /// Returns the version of ONNX's operator set that the model is written in.
    pub fn opset(&self) -> i64 {
        self.model.opset_import.first().map_or(0, |opset| opset.version)
    }

    /// Returns the number of bytes of weights.
    pub fn weight_bytes(&self) -> usize {
        self.weights.len()
    }

    /// Returns the names of the inputs, states among them.
    pub fn inputs(&self) -> Vec<&str> {
        self.model
            .graph
            .iter()
            .flat_map(|graph| &graph.input)
            .map(|input| input.name.as_str())
            .collect()
    }

    /// Returns the names of the outputs, states after the run among them.
    pub fn outputs(&self) -> Vec<&str> {
        self.model
            .graph
            .iter()
            .flat_map(|graph| &graph.output)
            .map(|output| output.name.as_str())
            .collect()
    }

    /// Writes the file, and beside it `<file>.data` when there is more than 1 GiB of weights.
    ///
    /// Each file is written under another name and renamed when it is complete, so that no
    /// reader sees half of it; an older one is replaced.
    /// Returns: the files with their sizes in bytes, the model first.
    /// Errors: [`Error::Io`] when a file cannot be written, [`Error::Invalid`] when the path is no
    /// file name.
    pub fn write(self, path: &Path) -> Result<Vec<(PathBuf, u64)>, Error> {
        self.write_with(path, LARGEST_INSIDE)
    }

    /// Writes the file, and its weights beside it when there are more than `largest_inside` bytes.
    fn write_with(
        mut self,
        path: &Path,
        largest_inside: usize,
    ) -> Result<Vec<(PathBuf, u64)>, Error> {
        let mut files = Vec::new();
        if self.weights.len() <= largest_inside {
            self.each_external(|tensor, bytes| {
                tensor.raw_data = Some(bytes.to_vec());
                tensor.external_data.clear();
                tensor.data_location = 0;
            });
            // The weights are in the model now; the file is built in a third place.
            self.weights = Vec::new();
        } else {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| {
                Error::invalid(format!("{} is not the name of a file", path.display()))
            })?;
            let data = path.with_file_name(format!("{name}.data"));
            self.each_external(|tensor, _| {
                let location =
                    tensor.external_data.iter_mut().filter(|entry| entry.key == "location");
                location.for_each(|entry| entry.value = format!("{name}.data"));
            });
            files.push(Unfinished::write(&data, &self.weights)?);
        }
        files.push(Unfinished::write(path, &self.model.encode_to_vec())?);
        // The model last: where it stands, its data does too.
        let mut written =
            files.into_iter().map(Unfinished::finish).collect::<Result<Vec<_>, _>>()?;
        written.reverse();
        Ok(written)
    }

    /// Calls `change` with each external constant and its bytes.
    fn each_external(&mut self, mut change: impl FnMut(&mut TensorProto, &[u8])) {
        let tensors = self.model.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
        for tensor in tensors.filter(|tensor| tensor.data_location == DATA_LOCATION_EXTERNAL) {
            let number = |key: &str| {
                let entry = tensor.external_data.iter().find(|entry| entry.key == key);
                entry.and_then(|entry| entry.value.parse::<usize>().ok()).unwrap_or(0)
            };
            let (offset, length) = (number("offset"), number("length"));
            change(tensor, self.weights.get(offset..offset + length).unwrap_or_default());
        }
    }
}

/// A file that is complete, but under another name than it shall have; it is removed unless it is
/// finished.
struct Unfinished {
    /// Where it is.
    temporary: PathBuf,
    /// Where it shall be.
    path: PathBuf,
    /// Its size in bytes.
    size: u64,
}

impl Unfinished {
    /// Writes a file beside `path`.
    ///
    /// Errors: [`Error::Invalid`] when `path` is a folder or names no file, otherwise
    /// [`Error::Io`].
    fn write(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let name = path.file_name().filter(|_| !path.is_dir()).map(|name| name.to_string_lossy());
        let name = name.ok_or_else(|| {
            Error::invalid(format!("{} is not the name of a file", path.display()))
        })?;
        // The number of the process keeps two exports at once apart.
        let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let unfinished = Self { temporary, path: path.to_owned(), size: bytes.len() as u64 };
        let written = File::create(&unfinished.temporary).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(|source| unfinished.error(source))?;
        Ok(unfinished)
    }

    /// Gives the file its name.
    fn finish(self) -> Result<(PathBuf, u64), Error> {
        fs::rename(&self.temporary, &self.path).map_err(|source| self.error(source))?;
        Ok((self.path.clone(), self.size))
    }

    /// Makes the error about the file that was wanted.
    fn error(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After `finish` there is nothing left; nor is there anything to do when it cannot be
        // removed.
        let _ = fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn many_weights_go_into_a_file_beside_the_model() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../coreml-spec/tests/data/packages/fixed.mlpackage");
        let onnx = to_onnx(&Package::open(package).unwrap(), None).unwrap();
        let (weights, folder) = (onnx.weights.clone(), tempfile::tempdir().unwrap());
        assert!(!weights.is_empty());
        let path = folder.path().join("m.onnx");
        let data = folder.path().join("m.onnx.data");
        let written = onnx.write_with(&path, weights.len() - 1).unwrap();
        let size = fs::metadata(&path).unwrap().len();
        assert_eq!(written, [(path.clone(), size), (data.clone(), weights.len() as u64)]);
        assert_eq!(fs::read(&data).unwrap(), weights);
        let model = ModelProto::decode(fs::read(&path).unwrap().as_slice()).unwrap();
        let tensors = model.graph.unwrap().initializer;
        let external: Vec<_> = tensors
            .iter()
            .filter(|tensor| tensor.data_location == DATA_LOCATION_EXTERNAL)
            .collect();
        let location = |tensor: &&TensorProto| {
            tensor.external_data.iter().find(|entry| entry.key == "location").cloned()
        };
        assert!(!external.is_empty());
        assert!(external.iter().filter_map(location).all(|entry| entry.value == "m.onnx.data"));
    }
}
