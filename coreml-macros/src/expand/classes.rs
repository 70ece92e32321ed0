//! The `Label` of a classifier.
//!
//! Owns: the enum, its texts or numbers, and parsing.
//! Flow: `expand.rs` → here, for each model.

use super::docs;
use super::names::{NamedModel, identifier};
use coreml_spec::{Labels, rust_type_names};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

/// Generates the enum, or nothing when the model is no classifier.
pub(super) fn items(model: &NamedModel<'_>) -> TokenStream {
    let Some(classifier) = &model.function.classifier else { return TokenStream::new() };
    let (texts, values): (Vec<String>, TokenStream) = match &classifier.labels {
        Labels::Strings(labels) => (labels.clone(), text_items(labels)),
        Labels::Int64s(labels) => {
            (labels.iter().map(i64::to_string).collect(), number_items(labels))
        }
    };
    let variants: Vec<Ident> = rust_type_names(texts.iter().map(String::as_str))
        .iter()
        .map(|name| identifier(name))
        .collect();
    let abouts = texts.iter().map(|text| format!("`{}`", docs::code(text)));
    let about = format!(
        "A class of `{}`, in the order of the network's output.\n\nManifest key: `{}.classifier`.",
        docs::code(model.name),
        docs::code(&model.key)
    );
    let count = Literal::usize_unsuffixed(variants.len());
    quote! {
        #[doc = #about]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Label { #(#[doc = #abouts] #variants,)* }

        impl Label {
            /// Every class.
            pub const ALL: [Self; #count] = [#(Self::#variants),*];

            /// Returns the position in [`Self::ALL`].
            pub const fn index(self) -> usize {
                self as usize
            }
        }

        impl ::coreml_rt::ClassLabel for Label {
            const ALL: &'static [Self] = &Self::ALL;

            fn index(self) -> usize {
                self as usize
            }
        }

        impl ::core::str::FromStr for Label {
            type Err = ::coreml_rt::UnknownLabel;

            fn from_str(text: &str) -> ::core::result::Result<Self, Self::Err> {
                ::coreml_rt::private::parse_label(text)
            }
        }

        #values
    }
}

/// Generates what text labels have.
fn text_items(labels: &[String]) -> TokenStream {
    quote! {
        impl Label {
            /// Returns the text of the class.
            pub const fn as_str(self) -> &'static str {
                [#(#labels),*][self as usize]
            }
        }

        impl ::core::fmt::Display for Label {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(self.as_str())
            }
        }
    }
}

/// Generates what number labels have.
fn number_items(labels: &[i64]) -> TokenStream {
    let labels = labels.iter().map(|&label| Literal::i64_unsuffixed(label));
    quote! {
        impl Label {
            /// Returns the number of the class.
            pub const fn value(self) -> i64 {
                [#(#labels),*][self as usize]
            }
        }

        impl ::core::fmt::Display for Label {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Display::fmt(&self.value(), f)
            }
        }
    }
}
