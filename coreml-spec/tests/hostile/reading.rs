//! Reading all of a package, and what must hold of everything that was read without an error.
//!
//! Flow: the tests beside it harm files and read them here; the fuzz target of `fuzz/` shares it.

use coreml_spec::{Error, Interface, Package, proto, rust_identifiers};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The files of a package by path.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Opens a package and reads all that can be read of it, errors or not; the first error is
/// returned.
pub(crate) fn read_everything(files: &Files) -> Result<usize, Error> {
    let package = Package::from_files(
        files.iter().map(|(path, bytes)| (path.clone(), Cow::Owned(bytes.clone()))),
    )?;
    let mut first = Ok(0);
    let mut keep = |result: Result<usize, Error>| match (&mut first, result) {
        (Ok(sum), Ok(more)) => *sum += more,
        (Ok(_), Err(error)) => first = Err(error),
        (Err(_), _) => {}
    };
    keep(package.interface().map(|interface| {
        check_interface(&interface);
        interface.functions.len()
    }));
    keep(package.summary().map(|summary| summary.functions.len()));
    for block in package
        .program()?
        .functions
        .values()
        .flat_map(|function| function.block_specializations.values())
    {
        block.visit(&mut |operation| {
            for value in operation.values() {
                // Lists, as of class labels, are no tensors; the interface has read them.
                let is_list = |value: &proto::ImmediateValue| {
                    matches!(value.kind, Some(proto::ImmediateKind::List(_)))
                };
                if matches!(&value.kind, Some(proto::ValueKind::Immediate(value)) if is_list(value))
                {
                    continue;
                }
                keep(package.constant(value).map(|constant| {
                    let floats = constant.to_f32s().map_or(0, |floats| floats.len());
                    let integers = constant.to_i64s().map_or(0, |integers| integers.len());
                    assert!(floats == 0 || floats == constant.len(), "{constant:?}");
                    assert!(integers == 0 || integers == constant.len(), "{constant:?}");
                    constant.strings.len() + floats
                }));
            }
        });
    }
    // A message that cannot be shown is as bad as a panic.
    if let Err(error) = &first {
        assert!(error.to_string().contains("; "), "{error} says no way out");
    }
    first
}

/// Checks what the index, the macro and the messages rely on.
fn check_interface(interface: &Interface) {
    let json = serde_json::to_string(interface).unwrap();
    assert_eq!(&serde_json::from_str::<Interface>(&json).unwrap(), interface);
    assert!(interface.function(None).is_some(), "{interface:?}");
    for function in &interface.functions {
        for features in [&function.inputs, &function.outputs, &function.states] {
            let names = rust_identifiers(features.iter().map(|feature| feature.name.as_str()));
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), features.len(), "{names:?}");
            for feature in features {
                assert!(!feature.kind.to_string().is_empty());
            }
        }
    }
}
