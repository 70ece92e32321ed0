//! A copy of a package that also gives values inside its program as outputs.
//!
//! Owns: the change to the specification, which keeps every byte that this crate does not read.
//! Must not: choose the values.
//! Flow: where a backend's outputs differ from PyTorch's, `coreml-rt`'s `parity/departure.rs` asks
//! with [`Package::intermediate_values`] what there is, and runs a
//! [`Package::write_with_outputs`].

use crate::proto::{
    ArrayFeatureType, Block, FeatureDescription, FeatureType, FeatureTypeKind, FunctionDescription,
    ModelDescription, NamedValueType,
};
use crate::{DataType, Error, Package, manifest};
use prost::Message;
use std::fs;
use std::path::Path;

/// Number of the field `description` of a `Model`.
const DESCRIPTION: usize = 2;
/// Number of the field `mlProgram` of a `Model`.
const ML_PROGRAM: usize = 502;
/// Number of the field `functions` of a `ModelDescription`.
const DESCRIBED_FUNCTIONS: usize = 20;
/// Number of the field `functions` of a `Program`.
const PROGRAM_FUNCTIONS: usize = 2;
/// Number of the field `blockSpecializations` of a `Function`.
const BLOCKS: usize = 3;
/// Number of an entry's value in a map.
const MAP_VALUE: usize = 2;

/// Wire type of integers.
const VARINT: usize = 0;
/// Wire type of doubles.
const EIGHT_BYTES: usize = 1;
/// Wire type of messages, texts and packed numbers.
const DELIMITED: usize = 2;
/// Wire type of floats.
const FOUR_BYTES: usize = 5;

/// A result of an operation, which the package can be made to give as an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntermediateValue {
    /// MIL's name of the operation: `conv`, `add`, …
    pub operation: String,
    /// Name of the operation's first output, which says where it comes from.
    pub operation_output: String,
    /// Name of the value.
    pub name: String,
    /// Number of elements; `None` where it is only known at run time.
    pub elements: Option<usize>,
}

/// A field to go into: its number, and the text in field 1 of the message that is meant, where
/// there are several.
type Inside<'a> = (usize, Option<&'a str>);

impl Package {
    /// Returns the values that a function computes in its own block, in the program's order, as far
    /// as they can be outputs: tensors of float16, float32 or int32 with at least one dimension.
    ///
    /// Errors: [`Error::Damaged`] when there is no such function; [`Error::Unsupported`] when the
    /// model is no ML Program.
    pub fn intermediate_values(&self, function: &str) -> Result<Vec<IntermediateValue>, Error> {
        let mut found = Vec::new();
        for operation in &block(self, function)?.operations {
            if operation.r#type == "const" || operation.r#type.starts_with("constexpr_") {
                continue;
            }
            let Some(first) = operation.outputs.first() else { continue };
            for output in &operation.outputs {
                let Some(array) = array(output) else { continue };
                let dims = output.r#type.as_ref().and_then(|kind| kind.tensor()?.dims());
                let elements = dims.and_then(|dims| dims.into_iter().product::<Option<usize>>());
                if array.shape.is_empty() && elements.is_some() {
                    continue;
                }
                found.push(IntermediateValue {
                    operation: operation.r#type.clone(),
                    operation_output: first.name.clone(),
                    name: output.name.clone(),
                    elements,
                });
            }
        }
        Ok(found)
    }

    /// Writes a package to `folder` that also gives `values` as outputs of a function.
    ///
    /// Weight files are linked, so that they are not there twice; where the file system cannot do
    /// that they are copied.
    /// Parameters: `folder` — ends in `.mlpackage` and does not exist; `values` — names of
    /// [`Package::intermediate_values`] that are no outputs yet.
    /// Errors: [`Error::Io`], also for a package in memory; [`Error::Damaged`] when there is no
    /// such function or value.
    pub fn write_with_outputs(
        &self,
        folder: &Path,
        function: &str,
        values: &[&str],
    ) -> Result<(), Error> {
        let specification = self.specification();
        let bytes = fs::read(specification).map_err(|error| Error::io(specification, error))?;
        let changed = self.with_outputs(&bytes, function, values)?;
        let inside = |path: &Path| {
            let inside = path.strip_prefix(self.path()).map(|inside| folder.join(inside));
            inside.map_err(|_| self.damaged(format!("{} is outside of it", path.display())))
        };
        let written = inside(specification)?;
        let parent = written.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
        fs::write(&written, changed).map_err(|error| Error::io(&written, error))?;
        let manifest = self.path().join(manifest::FILE_NAME);
        let weights = self.weight_files();
        for file in weights.iter().map(|file| file.path()).chain([manifest.as_path()]) {
            let to = inside(file)?;
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
            }
            fs::hard_link(file, &to)
                .or_else(|_| fs::copy(file, &to).map(drop))
                .map_err(|error| Error::io(file, error))?;
        }
        Ok(())
    }

    /// Returns the specification with more outputs.
    fn with_outputs(
        &self,
        specification: &[u8],
        function: &str,
        values: &[&str],
    ) -> Result<Vec<u8>, Error> {
        let block = block(self, function)?;
        let find = |name: &&str| {
            let outputs = block.operations.iter().flat_map(|operation| &operation.outputs);
            let array = outputs.into_iter().find(|output| output.name == **name).and_then(array);
            let array = array.ok_or_else(|| self.damaged(format!("it has no tensor {name:?}")))?;
            Ok(FeatureDescription {
                name: (*name).to_owned(),
                r#type: Some(FeatureType {
                    kind: Some(FeatureTypeKind::MultiArray(array)),
                    ..FeatureType::default()
                }),
                ..FeatureDescription::default()
            })
        };
        let output = values.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let outputs = values.iter().map(|name| (*name).to_owned()).collect();
        let opset = self.program()?.functions.get(function).map(|function| function.opset.as_str());
        let description = self.model().description.as_ref();
        let (described, addition) = if description.is_some_and(|one| one.functions.is_empty()) {
            let added = ModelDescription { output, ..ModelDescription::default() };
            (vec![(DESCRIPTION, None)], added.encode_to_vec())
        } else {
            let added = FunctionDescription { output, ..FunctionDescription::default() };
            let path = vec![(DESCRIPTION, None), (DESCRIBED_FUNCTIONS, Some(function))];
            (path, added.encode_to_vec())
        };
        let in_program = [
            (ML_PROGRAM, None),
            (PROGRAM_FUNCTIONS, Some(function)),
            (MAP_VALUE, None),
            (BLOCKS, opset),
            (MAP_VALUE, None),
        ];
        let given = Block { outputs, ..Block::default() }.encode_to_vec();
        let changed = extended(specification, &described, &addition)
            .and_then(|changed| extended(&changed, &in_program, &given));
        changed.ok_or_else(|| self.damaged(format!("it does not describe {function:?}")))
    }
}

/// Returns the body of a function.
fn block<'a>(package: &'a Package, function: &str) -> Result<&'a Block, Error> {
    let block = package.program()?.functions.get(function).and_then(|function| function.block());
    block.ok_or_else(|| package.damaged(format!("it has no function {function:?}")))
}

/// Returns the type of a value as an output of a model has it; `None` for what cannot be one.
fn array(value: &NamedValueType) -> Option<ArrayFeatureType> {
    let tensor = match &value.r#type.as_ref()?.kind {
        Some(crate::proto::ValueTypeKind::Tensor(tensor)) => tensor,
        _ => return None,
    };
    let data_type = match tensor.element_type()? {
        DataType::Float16 => 65552,
        DataType::Float32 => 65568,
        DataType::Int32 => 131_104,
        _ => return None,
    };
    let size = |dim: Option<usize>| dim.and_then(|size| i64::try_from(size).ok());
    // A description says no shape where a size is only known at run time.
    let shape = tensor.dims().and_then(|dims| dims.into_iter().map(size).collect::<Option<_>>());
    Some(ArrayFeatureType {
        shape: shape.unwrap_or_default(),
        data_type,
        ..ArrayFeatureType::default()
    })
}

/// Returns a message with more fields at the end of one inside it; `None` where that is not there.
///
/// Protobuf reads a repeated field from all its places, so that what is appended is added.
/// Parameters: `path` — of the message inside, from the outermost one.
fn extended(message: &[u8], path: &[Inside<'_>], addition: &[u8]) -> Option<Vec<u8>> {
    let Some(((wanted, key), rest)) = path.split_first() else {
        return Some([message, addition].concat());
    };
    let mut at = message;
    while !at.is_empty() {
        let start = message.len() - at.len();
        let (number, content) = field(&mut at)?;
        let Some(content) = content.filter(|_| number == *wanted) else { continue };
        if key.is_some_and(|key| first_text(content) != Some(key.as_bytes())) {
            continue;
        }
        let inner = extended(content, rest, addition)?;
        let mut changed = message.get(..start)?.to_vec();
        prost::encode_length_delimiter(number << 3 | DELIMITED, &mut changed).ok()?;
        prost::encode_length_delimiter(inner.len(), &mut changed).ok()?;
        changed.extend(inner);
        changed.extend(at);
        return Some(changed);
    }
    None
}

/// Takes a field off the front of a message.
///
/// Returns: its number, and its content when it is a message or a text.
fn field<'a>(at: &mut &'a [u8]) -> Option<(usize, Option<&'a [u8]>)> {
    let tag = prost::decode_length_delimiter(&mut *at).ok()?;
    let size = match tag & 7 {
        VARINT => {
            let end = at.iter().position(|byte| byte & 0x80 == 0)?;
            *at = at.get(end + 1..)?;
            return Some((tag >> 3, None));
        }
        EIGHT_BYTES => 8,
        FOUR_BYTES => 4,
        DELIMITED => prost::decode_length_delimiter(&mut *at).ok()?,
        _ => return None,
    };
    let (content, rest) = at.split_at_checked(size)?;
    *at = rest;
    Some((tag >> 3, (tag & 7 == DELIMITED).then_some(content)))
}

/// Returns the text in field 1 of a message: the key of a map's entry, or a name.
fn first_text(message: &[u8]) -> Option<&[u8]> {
    let mut at = message;
    while !at.is_empty() {
        if let (1, Some(text)) = field(&mut at)? {
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_is_not_read_stays() {
        // Field 9 is a varint, field 10 has four bytes, field 2 a map's entry each.
        let entry = |key: &[u8], value: &[u8]| {
            let length = u8::try_from(key.len()).unwrap();
            let inner = u8::try_from(value.len()).unwrap();
            [&[0x0a, length], key, &[0x12, inner], value].concat()
        };
        let framed =
            |entry: Vec<u8>| [&[0x12, u8::try_from(entry.len()).unwrap()][..], &entry].concat();
        let head: &[u8] = &[0x48, 0x96, 0x01, 0x55, 1, 2, 3, 4];
        let tail: &[u8] = &[0x48, 0x07];
        let message =
            [head, &framed(entry(b"a", b"")), &framed(entry(b"b", &[0x48, 1])), tail].concat();
        let changed = extended(&message, &[(2, Some("b")), (2, None)], &[0x0a, 1, b'x']).unwrap();
        let expected = [
            head,
            &framed(entry(b"a", b"")),
            &framed(entry(b"b", &[0x48, 1, 0x0a, 1, b'x'])),
            tail,
        ];
        assert_eq!(changed, expected.concat());
        assert_eq!(extended(&message, &[(2, Some("c")), (2, None)], b""), None);
        assert_eq!(extended(&message[..message.len() - 1], &[(3, None)], b""), None);
    }
}
