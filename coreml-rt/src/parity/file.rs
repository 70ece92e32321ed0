//! Reading safetensors files.
//!
//! Owns: the format: eight bytes with the length of a JSON header, the header, the tensors' bytes.
//! Must not: know what the keys of a sample mean. The crate `safetensors` would add five crates to
//! every app for this one file.
//! Flow: `sample.rs` → here; `array.rs` converts the bytes.

use serde_json::Value;
use std::collections::BTreeMap;

/// Bytes of the length of the header.
const LENGTH_SIZE: usize = 8;

/// The key of the metadata, which is not a tensor.
const METADATA: &str = "__metadata__";

/// A tensor in a file.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// The format's name of its type: `F32`.
    pub(super) dtype: String,
    /// Sizes.
    pub(super) dims: Vec<usize>,
    /// The elements, little-endian, as many as `dims` says.
    pub(super) bytes: &'a [u8],
}

/// Reads a file.
///
/// Returns: the tensors by key, or what is wrong.
pub(super) fn read(file: &[u8]) -> Result<BTreeMap<String, Entry<'_>>, String> {
    let short = || "it ends too early".to_owned();
    let (length, rest) = file.split_first_chunk::<LENGTH_SIZE>().ok_or_else(short)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| short())?;
    let (header, data) = rest.split_at_checked(length).ok_or_else(short)?;
    let header: BTreeMap<String, Value> = serde_json::from_slice(header)
        .map_err(|error| format!("its header is not JSON: {error}"))?;
    let mut entries = BTreeMap::new();
    for (key, value) in header {
        if key == METADATA {
            continue;
        }
        let wrong = || format!("its header is wrong about `{key}`");
        let dtype = value["dtype"].as_str().ok_or_else(wrong)?.to_owned();
        let (shape, offsets) =
            (numbers(&value["shape"]).ok_or_else(wrong)?, numbers(&value["data_offsets"]));
        let [start, end] = offsets.and_then(|offsets| offsets.try_into().ok()).ok_or_else(wrong)?;
        let size =
            size_of(&dtype).ok_or_else(|| format!("`{key}` has the unknown type {dtype}"))?;
        let len = shape.iter().try_fold(size, |len, &dim| len.checked_mul(dim));
        let bytes = data.get(start..end).filter(|bytes| Some(bytes.len()) == len);
        let bytes =
            bytes.ok_or_else(|| format!("`{key}` does not have the bytes of {dtype} {shape:?}"))?;
        entries.insert(key, Entry { dtype, dims: shape, bytes });
    }
    Ok(entries)
}

/// Returns a list of sizes.
fn numbers(value: &Value) -> Option<Vec<usize>> {
    value.as_array()?.iter().map(|number| usize::try_from(number.as_u64()?).ok()).collect()
}

/// Returns the bytes of an element.
fn size_of(dtype: &str) -> Option<usize> {
    match dtype {
        "BOOL" | "U8" | "I8" | "F8_E4M3" | "F8_E5M2" => Some(1),
        "U16" | "I16" | "F16" | "BF16" => Some(2),
        "U32" | "I32" | "F32" => Some(4),
        "U64" | "I64" | "F64" | "C64" => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a file.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn what_the_crate_writes_is_read() {
        let bytes: Vec<u8> = (0..24).collect();
        let view = |dtype, dims: &[usize], len| {
            safetensors::tensor::TensorView::new(dtype, dims.to_vec(), &bytes[..len]).unwrap()
        };
        let tensors = [
            ("in/x", view(safetensors::Dtype::F32, &[2, 3], 24)),
            ("out/y", view(safetensors::Dtype::I64, &[], 8)),
            ("none", view(safetensors::Dtype::U8, &[0, 5], 0)),
        ];
        let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let written =
            safetensors::serialize(tensors, Some(metadata.into_iter().collect())).unwrap();
        let read = read(&written).unwrap();
        assert_eq!(read.keys().collect::<Vec<_>>(), ["in/x", "none", "out/y"]);
        let x = &read["in/x"];
        assert_eq!((&*x.dtype, &x.dims[..], x.bytes), ("F32", &[2, 3][..], &bytes[..]));
        assert_eq!((&*read["out/y"].dtype, read["out/y"].bytes.len()), ("I64", 8));
    }

    #[test]
    fn damage_is_told() {
        let wrong = |file: &[u8]| read(file).unwrap_err();
        assert_eq!(wrong(b"no"), "it ends too early");
        assert_eq!(wrong(&u64::MAX.to_le_bytes()), "it ends too early");
        assert!(wrong(&file("[]", b"")).contains("is not JSON"));
        assert!(wrong(&file(r#"{"x":{"dtype":"F32"}}"#, b"")).contains("wrong about `x`"));
        let entry = |dtype: &str, shape: &str, offsets: &str| {
            file(
                &format!(
                    r#"{{"x":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#
                ),
                &[0; 8],
            )
        };
        assert!(read(&entry("F32", "[2]", "[0,8]")).is_ok());
        for (shape, offsets) in [
            ("[2]", "[0,7]"),
            ("[2]", "[4,12]"),
            ("[2]", "[8,0]"),
            ("[4611686018427387905]", "[0,4]"),
        ] {
            assert!(
                wrong(&entry("F32", shape, offsets)).contains("does not have the bytes"),
                "{shape} {offsets}"
            );
        }
        assert!(wrong(&entry("F3", "[2]", "[0,8]")).contains("unknown type F3"));
    }
}
