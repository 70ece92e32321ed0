//! One probability per class.
//!
//! Owns: [`Probabilities`]. Must not: normalise; the numbers are the model's.
//! Flow: a field of the generated `Output` of a classifier.

use crate::label::ClassLabel;
use std::marker::PhantomData;

/// The probability that a classifier predicts for each of its labels.
#[derive(Clone, PartialEq)]
pub struct Probabilities<L> {
    /// One per label, in the order of [`ClassLabel::ALL`].
    values: Vec<f32>,
    /// The labels exist in the type only.
    labels: PhantomData<L>,
}

impl<L: ClassLabel> Probabilities<L> {
    /// Returns zero for each label.
    pub fn zeros() -> Self {
        Self { values: vec![0.0; L::ALL.len()], labels: PhantomData }
    }

    /// Returns the probability of `label`.
    pub fn get(&self, label: L) -> f32 {
        self.values.get(label.index()).copied().unwrap_or_default()
    }

    /// Returns each label with its probability, in the order of [`ClassLabel::ALL`].
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (L, f32)> + '_ {
        L::ALL.iter().copied().zip(self.values.iter().copied())
    }

    /// Returns the `count` most probable labels, the best first; equal ones keep their order and a
    /// NaN comes last.
    pub fn top(&self, count: usize) -> Vec<(L, f32)> {
        let mut ranked: Vec<(L, f32)> = self.iter().collect();
        let rank = |value: f32| if value.is_nan() { f32::NEG_INFINITY } else { value };
        ranked.sort_by(|(_, left), (_, right)| rank(*right).total_cmp(&rank(*left)));
        ranked.truncate(count);
        ranked
    }

    /// Returns the probabilities in the order of [`ClassLabel::ALL`].
    pub fn as_slice(&self) -> &[f32] {
        &self.values
    }

    /// Returns the probabilities for a backend to write.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.values
    }
}

impl<L: ClassLabel> Default for Probabilities<L> {
    fn default() -> Self {
        Self::zeros()
    }
}

impl<L: ClassLabel> std::fmt::Debug for Probabilities<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::parse;

    /// As a macro would generate it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Pet {
        Cat,
        Dog,
        Fish,
    }

    impl ClassLabel for Pet {
        const ALL: &'static [Self] = &[Pet::Cat, Pet::Dog, Pet::Fish];
        fn index(self) -> usize {
            self as usize
        }
    }

    impl std::fmt::Display for Pet {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(["cat", "dog", "gold fish"][self.index()])
        }
    }

    #[test]
    fn top_orders_by_probability() {
        let mut probabilities = Probabilities::<Pet>::zeros();
        probabilities.as_mut_slice().copy_from_slice(&[0.2, f32::NAN, 0.7]);
        assert_eq!(probabilities.top(2), [(Pet::Fish, 0.7), (Pet::Cat, 0.2)]);
        assert!(probabilities.top(9)[2].1.is_nan());
        assert_eq!(probabilities.get(Pet::Fish), 0.7);
        assert_eq!(probabilities.iter().len(), 3);
    }

    #[test]
    fn labels_parse_by_their_text() {
        assert_eq!(parse::<Pet>("gold fish"), Ok(Pet::Fish));
        let error = parse::<Pet>("Cat").unwrap_err().to_string();
        assert_eq!(error, "`Cat` is not one of the 3 labels: cat, dog, gold fish");
    }
}
