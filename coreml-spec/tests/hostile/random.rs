//! Files cut short and flipped bits.

use crate::files::packages;
use crate::reading::read_everything;

#[test]
fn sound_packages_are_read_to_the_end() {
    for (name, files) in packages() {
        assert!(read_everything(&files).unwrap() > 1, "{name}");
    }
}

#[test]
fn every_truncation_is_survived() {
    for (name, files) in packages() {
        for file in files.keys() {
            let mut errors = 0;
            let whole = &files[file];
            for size in 0..whole.len() {
                let mut files = files.clone();
                files.insert(file.clone(), whole[..size].to_vec());
                errors += usize::from(read_everything(&files).is_err());
            }
            // A file may end in bytes that nothing needs; a specification may be cut between two
            // fields.
            assert!(
                errors * 10 >= whole.len() * 9,
                "{name}: {file}: {errors} errors in {} truncations",
                whole.len()
            );
        }
    }
}

/// A generator of the numbers that decide which bits are flipped; the same on every run.
struct Random(u64);

impl Random {
    /// Returns a number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }
}

#[test]
fn flipped_bits_and_moved_bytes_are_survived() {
    let mut random = Random(0x5EED);
    let (mut errors, mut sound) = (0, 0);
    for (_, files) in packages() {
        let names: Vec<&String> = files.keys().collect();
        for round in 0..1_000 {
            let mut files = files.clone();
            let bytes = files.get_mut(names[random.below(names.len())]).unwrap();
            for _ in 0..1 + round % 4 {
                let at = random.below(bytes.len());
                match random.below(4) {
                    // A byte of all ones makes long lengths and negative numbers.
                    0 => bytes[at] = 0xFF,
                    1 => drop(bytes.splice(at..at, [0xFF, 0xFF, 0xFF, 0xFF, 0x0F])),
                    _ => bytes[at] ^= 1 << random.below(8),
                }
            }
            match read_everything(&files) {
                Ok(_) => sound += 1,
                Err(_) => errors += 1,
            }
        }
    }
    assert!(errors > 5_000 && sound > 1_000, "{errors} errors, {sound} sound");
}
