//! The files that belong to a model, as typed access.
//!
//! Owns: `Files`, with a method for each file, and `FILES`. Must not: hold logic; `coreml_rt`'s
//! `file.rs` does.
//! Flow: `expand.rs` → [`items`]; `model.rs` and `buckets.rs` → [`getter`].

use super::docs;
use super::model::symbols;
use super::names::{NamedModel, Paths, identifier};
use coreml_spec::{files_folder, rust_identifiers};
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

/// Generates the getter of `Model`, if the model has files.
pub(super) fn getter(model: &NamedModel<'_>) -> TokenStream {
    if model.indexed.files.is_empty() {
        return TokenStream::new();
    }
    quote! {
        /// Returns the files that belong to the model.
        pub fn files(&self) -> Files {
            Files(self.0.files())
        }
    }
}

/// Generates the type of the files, if the model has any.
pub(super) fn items(model: &NamedModel<'_>, paths: &Paths) -> TokenStream {
    let files = &model.indexed.files;
    if files.is_empty() {
        return TokenStream::new();
    }
    let count = Literal::usize_unsuffixed(files.len());
    let names = rust_identifiers(files.iter().map(|file| file.name.as_str()));
    let (manifest, folder) = (&paths.manifest, files_folder(model.name));
    let (mut methods, mut rows, mut functions) =
        (TokenStream::new(), TokenStream::new(), TokenStream::new());
    for (at, (file, method)) in files.iter().zip(&names).enumerate() {
        let (name, method) = (&file.name, identifier(method));
        let position = Literal::usize_unsuffixed(at);
        let about = format!(
            "Reads `{}`.\n\nErrors: it is not there, or is not the one of the build.",
            docs::code(name)
        );
        methods.extend(quote! {
            #[doc = #about]
            pub fn #method(
                &self,
            ) -> ::core::result::Result<::coreml_rt::ModelFile, ::coreml_rt::Error> {
                self.0.open(&FILES[#position])
            }
        });
        let digest = match &file.digest {
            Some(digest) => quote!(::core::option::Option::Some(#digest)),
            None => quote!(::core::option::Option::None),
        };
        let embedded = match &file.symbol {
            Some(symbol) => {
                let function = format_ident!("embedded_file_{at}");
                let (declared, bytes) = symbols(std::slice::from_ref(symbol));
                functions.extend(quote! {
                    /// Returns the file, which the linker put into the program.
                    #[allow(unsafe_code, non_upper_case_globals)]
                    fn #function() -> &'static [::core::primitive::u8] {
                        #declared
                        // SAFETY: the build script assembled the file between its two symbols, in
                        // read-only data.
                        unsafe { #(#bytes)* }
                    }
                });
                quote!(::core::option::Option::Some(#function))
            }
            None => quote!(::core::option::Option::None),
        };
        rows.extend(quote! {
            ::coreml_rt::private::FileDescription {
                name: #name,
                folder: #folder,
                manifest: #manifest,
                digest: #digest,
                embedded: #embedded,
            },
        });
    }
    let about = format!(
        "The files that belong to the model. They lie where it was found.\n\nManifest key: \
         `{}.files`.",
        docs::code(&model.table)
    );
    quote! {
        #[doc = #about]
        #[derive(Clone, Debug)]
        pub struct Files(::coreml_rt::private::Files);

        impl Files { #methods }

        /// How the runtime finds and checks each file.
        static FILES: [::coreml_rt::private::FileDescription; #count] = [#rows];

        #functions
    }
}
