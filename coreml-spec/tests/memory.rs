//! Memory that a hostile package can make the reader take, counted by an allocator.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use coreml_spec::Package;
use std::alloc::{GlobalAlloc, Layout, System};
use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, counting.
struct Counting;

/// Bytes that are allocated.
static LIVE: AtomicUsize = AtomicUsize::new(0);
/// Largest value of [`LIVE`] since it was reset.
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator is unsafe to write")]
// SAFETY: every call is passed on unchanged to the system's allocator, whose contract is the same.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Opens a package with this specification and returns the most bytes that were allocated
/// meanwhile.
fn peak(specification: Vec<u8>) -> usize {
    let manifest = r#"{"fileFormatVersion":"1.0.0","itemInfoEntries":{"A":{"path":"m"}},
        "rootModelIdentifier":"A"}"#;
    let files = [
        ("Manifest.json".to_owned(), Cow::Borrowed(manifest.as_bytes())),
        ("Data/m".to_owned(), Cow::Owned(specification)),
    ];
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let package = Package::from_files(files);
    if let Ok(package) = &package {
        let _ = (package.interface(), package.summary());
    }
    PEAK.load(Ordering::Relaxed) - before
}

/// Encodes a length-delimited field.
fn field(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_key(tag, prost::encoding::WireType::LengthDelimited, &mut bytes);
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend(content);
    bytes
}

/// Wraps content in the fields that lead from the specification to it, outermost first.
fn at(tags: &[u32], content: Vec<u8>) -> Vec<u8> {
    tags.iter().rev().fold(content, |content, tag| field(*tag, &content))
}

/// The only test: another one would allocate at the same time.
#[test]
fn memory_is_bounded_by_the_size_of_the_specification() {
    let size = 1 << 20;
    // From a program's function `""` to its block `""`: map entries have the value as field 2.
    let block = [502, 2, 2, 3, 2];
    let constant = [&block[..], &[3, 5, 2]].concat();
    let empty = |tag: u8| [tag << 3 | 2, 0].repeat(size / 2);
    let in_value = |tags: &[u32], tag: u8| at(&[&constant[..], tags].concat(), empty(tag));
    let cases = [
        ("inputs", at(&[2], empty(1))),
        ("functions", at(&[2], field(20, &[]).repeat(size / 3))),
        ("operations", at(&block, empty(3))),
        ("results", at(&[&block[..], &[3]].concat(), empty(3))),
        ("nested blocks", at(&[&block[..], &[3]].concat(), empty(4))),
        ("bindings", at(&[&block[..], &[3, 2, 2]].concat(), empty(1))),
        ("list values", in_value(&[3, 3], 1)),
        ("tuple values", in_value(&[3, 2], 1)),
        ("map values", in_value(&[3, 4], 1)),
        ("dimensions", in_value(&[2, 1], 3)),
        ("tuple types", in_value(&[2, 3], 1)),
        ("texts", in_value(&[3, 1, 4], 1)),
        ("numbers", at(&constant, field(3, &field(1, &field(2, &field(1, &vec![1; size])))))),
    ];
    let mut largest = 0;
    for (name, specification) in cases {
        let factor = peak(specification.clone()) / specification.len();
        // 80 times for the messages, and twice that again while a list of them grows.
        assert!(factor <= 240, "{name}: {factor}");
        largest = largest.max(factor);
    }
    // The cases do reach what they are meant to reach.
    assert!(largest > 40, "{largest}");

    // Lengths that nothing backs allocate nothing.
    for tags in
        [&[2][..], &[2, 1], &[502], &block, &constant, &[&constant[..], &[3, 1, 1]].concat()]
    {
        for claimed in [1 << 20, 1 << 31, 1 << 40, u64::MAX] {
            let mut content = Vec::new();
            for tag in [1, 2, 3, 7] {
                prost::encoding::encode_key(
                    tag,
                    prost::encoding::WireType::LengthDelimited,
                    &mut content,
                );
                prost::encoding::encode_varint(claimed, &mut content);
            }
            let peak = peak(at(tags, content));
            assert!(peak < 64 << 10, "{tags:?}: {peak} bytes for a claim of {claimed}");
        }
    }
}
