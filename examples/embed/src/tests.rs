//! Tests: tokens and vectors against those of the package's own Python code, and search.
//!
//! `data/vectors.safetensors` holds the results of sentence-transformers for some texts
//! (`python/vectors.py`).

use super::*;
use safetensors::SafeTensors;

/// The cosine between our vector and the original's that half precision must reach.
const ALIKE: f32 = 0.9995;

/// A text with what the original code makes of it.
struct Reference {
    text: String,
    tokens: Vec<i32>,
    vector: Vec<f32>,
}

/// Reads the file that `python/vectors.py` wrote.
fn references() -> Vec<Reference> {
    let bytes = include_bytes!("../data/vectors.safetensors");
    let file = SafeTensors::deserialize(bytes).unwrap();
    let data = |name: &str| file.tensor(name).unwrap().data().to_vec();
    let integers = |name: &str| -> Vec<i32> {
        data(name).as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect()
    };
    let texts = String::from_utf8(data("texts")).unwrap();
    let vectors: Vec<f32> =
        data("vectors").as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let mut tokens = integers("tokens").into_iter();
    let rows = texts.split('\u{1f}').zip(integers("lengths")).zip(vectors.chunks(DIMENSIONS));
    rows.map(|((text, length), vector)| Reference {
        text: text.to_owned(),
        tokens: tokens.by_ref().take(usize::try_from(length).unwrap()).collect(),
        vector: vector.to_vec(),
    })
    .collect()
}

#[test]
fn tokens_are_those_of_the_original_tokenizer() {
    let words = Words::new().unwrap();
    let references = references();
    assert!(references.len() > 25);
    for Reference { text, tokens, .. } in &references {
        assert_eq!(&words.tokens(text).unwrap(), tokens, "{text:?}");
    }
    // Longer than the network's positions: cut, and still closed by the separator.
    let long = words.tokens(&"word ".repeat(1000)).unwrap();
    assert_eq!((long.len(), long.first(), long.last()), (512, Some(&101), Some(&102)));
    assert_eq!(words.tokens("").unwrap(), [101, 102]);
}

#[test]
fn vectors_are_those_of_the_original_in_every_bucket() {
    let embedder = Embedder::load(&LoadOptions::new()).unwrap();
    let references = references();
    let of = |bucket| {
        let fits = |one: &&Reference| model::Bucket::smallest(one.tokens.len()).unwrap() == bucket;
        references.iter().filter(fits).count()
    };
    for bucket in model::Bucket::ALL {
        assert!(of(bucket) > 0, "no text for {bucket:?}");
    }
    for Reference { text, vector, .. } in &references {
        let found = embedder.embed(text).unwrap();
        let length = cosine(&found, &found).sqrt();
        assert!((length - 1.0).abs() < 2e-3, "{text:?}: length {length}");
        let alike = cosine(&found, vector);
        assert!(alike > ALIKE, "{text:?}: {alike}");
    }
}

#[test]
fn what_is_near_in_meaning_is_found() {
    let embedder = Embedder::load(&LoadOptions::new()).unwrap();
    let texts = [
        "The cat sleeps on the warm radiator.",
        "The judge dismissed the case.",
        "Knead the dough.",
    ];
    let vectors: Vec<Vec<f32>> = texts.iter().map(|text| embedder.embed(text).unwrap()).collect();
    for (query, expected) in
        [("a pet takes a nap", 0), ("a trial at court", 1), ("making bread", 2)]
    {
        let found = nearest(&embedder.embed(query).unwrap(), &vectors, 2);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].0, expected, "{query}");
        assert!(found[0].1 > found[1].1 + 0.1, "{query}: {found:?}");
    }
}
