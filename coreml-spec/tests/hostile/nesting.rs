//! Messages within messages: the stack is never at a file's mercy.

use crate::files::{MANIFEST, MODEL, package};
use crate::reading::read_everything;
use coreml_spec::proto;
use prost::Message;

/// Wraps nothing in length-delimited fields: first those of `path`, outermost first, inside them
/// `cycle` over and over.
fn nest(path: &[u32], cycle: &[u32], levels: usize) -> Vec<u8> {
    // Built backwards, so that a million levels take linear time.
    let mut reversed: Vec<u8> = Vec::new();
    let inside_out = (0..levels).rev().map(|level| cycle[level % cycle.len()]);
    for tag in inside_out.chain(path.iter().rev().copied()) {
        let mut header = Vec::new();
        prost::encoding::encode_key(tag, prost::encoding::WireType::LengthDelimited, &mut header);
        prost::encoding::encode_varint(reversed.len() as u64, &mut header);
        reversed.extend(header.iter().rev());
    }
    reversed.reverse();
    reversed
}

#[test]
fn nesting_is_limited() {
    let nested = |levels: usize| {
        let mut files = package("fixed");
        let mut model = proto::Model::decode(&files[MODEL][..]).unwrap();
        for _ in 0..levels {
            let function = model.ml_program.as_mut().unwrap().functions.get_mut("main").unwrap();
            let block = function.block_specializations.values_mut().next().unwrap();
            let inner = block.clone();
            block.operations = vec![proto::Operation { blocks: vec![inner], ..Default::default() }];
        }
        files.insert(MODEL.into(), model.encode_to_vec());
        read_everything(&files)
    };
    // Loops within loops, deeper than anyone writes them.
    nested(40).unwrap();
    let error = nested(60).unwrap_err().to_string();
    assert!(error.contains("recursion limit"), "{error}");
    let decode = |specification: Vec<u8>| {
        let mut files = package("fixed");
        files.insert(MODEL.into(), specification);
        read_everything(&files).unwrap_err().to_string()
    };
    // From the program's function `""` to its block `""`, and on to a constant of an operation.
    let (block, constant) = (&[502, 2, 2, 3, 2][..], &[502, 2, 2, 3, 2, 3, 5, 2][..]);
    let in_type = [block, &[1, 2]].concat();
    for (what, path, cycle) in [
        ("operations in blocks", block, &[3, 4][..]),
        ("states of states", &in_type, &[5, 1]),
        ("lists of lists", &in_type, &[2, 1]),
        ("tuples of tuples", &in_type, &[3, 1]),
        ("maps of maps", &in_type, &[4, 2]),
        ("values in lists", constant, &[3, 3, 1]),
        ("values in tuples", constant, &[3, 2, 1]),
        ("values in maps", constant, &[3, 4, 1, 1]),
        ("attributes of types", constant, &[2, 1, 4, 2]),
    ] {
        let shallow = decode(nest(path, cycle, 80));
        assert!(!shallow.contains("recursion limit"), "{what}: {shallow}");
        for levels in [110, 1_000_000] {
            let error = decode(nest(path, cycle, levels));
            assert!(
                error.contains("cannot be decoded") && error.contains("recursion limit"),
                "{what}: {error}"
            );
        }
    }
    // Groups of an unknown field, which a decoder skips by recursion too.
    let error = decode(vec![9 << 3 | 3; 1_000_000]);
    assert!(error.contains("recursion limit"), "{error}");
    // A manifest of brackets.
    let mut files = package("fixed");
    files.insert(MANIFEST.into(), "[".repeat(1_000_000).into_bytes());
    assert!(read_everything(&files).is_err());
}
