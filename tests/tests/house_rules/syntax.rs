//! What one source file names: its items, imports and paths.
//!
//! Owns: reading Rust, with code of tests, comments and the text of strings left out.
//! Must not: know other files.
//! Flow: `graph.rs` → [`read`].

use crate::graph::Path;
use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens as _;
use std::collections::{BTreeMap, BTreeSet};
use syn::visit_mut::{self, VisitMut};

/// Macros whose content is code of another crate.
const QUOTES: &[&str] = &["quote", "quote_spanned", "parse_quote", "format_ident"];

/// A name that a `use` brings into a module.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// What it is called there; `*` for everything.
    pub(crate) name: String,
    /// The path, as it is written.
    pub(crate) path: Vec<String>,
    /// Whether it is a re-export, to whomever.
    pub(crate) public: bool,
}

/// What the code of a module names.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// Names of the items that it defines.
    pub(crate) items: BTreeSet<String>,
    /// What its `use` declarations bring in, those inside functions too.
    pub(crate) imports: Vec<Import>,
    /// Every path of two or more segments in its code.
    pub(crate) paths: BTreeSet<Vec<String>>,
}

/// A file that was read.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// Its module, and the modules that are written inside it.
    pub(crate) scopes: BTreeMap<Path, Scope>,
    /// Modules in other files that only tests have.
    pub(crate) tests: Vec<Path>,
}

/// Reads the file of the module `path`.
pub(crate) fn read(path: &Path, text: &str) -> syn::Result<File> {
    let mut syntax = syn::parse_file(text)?;
    let mut reader = Reader { scope: path.clone(), file: File::default() };
    reader.file.scopes.insert(path.clone(), Scope::default());
    reader.visit_file_mut(&mut syntax);
    let mut file = reader.file;
    note_paths(syntax.to_token_stream(), path, &mut file);
    Ok(file)
}

/// Notes items and imports, and takes imports and code of tests out of the tree.
struct Reader {
    /// The module that is being read.
    scope: Path,
    /// What was found.
    file: File,
}

impl Reader {
    /// Handles one item; returns whether it stays in the tree.
    fn keep(&mut self, item: &syn::Item) -> bool {
        let (attributes, name) = attributes_and_name(item);
        if attributes.iter().any(is_of_tests) {
            if let syn::Item::Mod(module) = item {
                let mut path = self.scope.clone();
                path.push(module.ident.to_string());
                self.file.tests.push(path);
            }
            return false;
        }
        let scope = self.file.scopes.entry(self.scope.clone()).or_default();
        if let syn::Item::Use(import) = item {
            let public = !matches!(import.vis, syn::Visibility::Inherited);
            // `use ::name` is another crate.
            if import.leading_colon.is_none() {
                spread(&import.tree, &mut Vec::new(), public, &mut scope.imports);
            }
            return false;
        }
        scope.items.extend(name);
        true
    }
}

impl VisitMut for Reader {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(|item| self.keep(item));
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            self.scope.push(module.ident.to_string());
            self.file.scopes.entry(self.scope.clone()).or_default();
            items.retain(|item| self.keep(item));
            visit_mut::visit_item_mod_mut(self, module);
            self.scope.pop();
        }
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain(|statement| match statement {
            syn::Stmt::Item(item) => self.keep(item),
            _ => true,
        });
        visit_mut::visit_block_mut(self, block);
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        block.items.retain(|item| match item {
            syn::ImplItem::Fn(function) => !function.attrs.iter().any(is_of_tests),
            syn::ImplItem::Const(constant) => !constant.attrs.iter().any(is_of_tests),
            _ => true,
        });
        visit_mut::visit_item_impl_mut(self, block);
    }
}

/// Returns the attributes of an item, and the name that it defines.
fn attributes_and_name(item: &syn::Item) -> (&[syn::Attribute], Option<String>) {
    let (attributes, name) = match item {
        syn::Item::Const(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        syn::Item::Impl(item) => (&item.attrs, None),
        syn::Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        syn::Item::Mod(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Static(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::TraitAlias(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Type(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Union(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Use(item) => (&item.attrs, None),
        _ => return (&[], None),
    };
    (attributes, name.map(ToString::to_string))
}

/// Returns whether an attribute is `#[cfg(test)]` or demands it among other things.
fn is_of_tests(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let words: Vec<String> = words(list.tokens.clone());
    list.path.is_ident("cfg")
        && words.iter().any(|word| word == "test")
        && !words.iter().any(|word| word == "not" || word == "any")
}

/// Returns every identifier of `tokens`, at any depth.
fn words(tokens: TokenStream) -> Vec<String> {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Ident(name) => vec![name.to_string()],
            TokenTree::Group(group) => words(group.stream()),
            _ => Vec::new(),
        })
        .collect()
}

/// Adds an import for every leaf of a `use` tree.
fn spread(tree: &syn::UseTree, before: &mut Vec<String>, public: bool, found: &mut Vec<Import>) {
    let (last, name) = match tree {
        syn::UseTree::Path(path) => {
            before.push(path.ident.to_string());
            spread(&path.tree, before, public, found);
            before.pop();
            return;
        }
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                spread(tree, before, public, found);
            }
            return;
        }
        syn::UseTree::Name(name) => (name.ident.to_string(), name.ident.to_string()),
        syn::UseTree::Rename(name) => (name.ident.to_string(), name.rename.to_string()),
        syn::UseTree::Glob(_) => ("*".to_owned(), "*".to_owned()),
    };
    let mut path = before.clone();
    // `use module::{self}` means the module.
    let (path, name) = match (last.as_str(), path.last().cloned()) {
        ("self", Some(module)) => (path, if name == "self" { module } else { name }),
        _ => {
            path.push(last);
            (path, name)
        }
    };
    found.push(Import { name, path, public });
}

/// Notes the paths of `tokens`, in which neither imports nor tests are left.
fn note_paths(tokens: TokenStream, scope: &Path, file: &mut File) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        let start = index;
        index += 1;
        let first = match token {
            TokenTree::Ident(first) => first,
            TokenTree::Group(group) => {
                note_paths(group.stream(), scope, file);
                continue;
            }
            _ => continue,
        };
        let mut path = vec![first.to_string()];
        while separates(&tokens, index)
            && let Some(TokenTree::Ident(next)) = tokens.get(index + 2)
        {
            path.push(next.to_string());
            index += 3;
        }
        match (tokens.get(index), tokens.get(index + 1)) {
            (Some(TokenTree::Ident(name)), Some(TokenTree::Group(content)))
                if first == "mod" && content.delimiter() == Delimiter::Brace =>
            {
                let mut inner = scope.clone();
                inner.push(name.to_string());
                note_paths(content.stream(), &inner, file);
                index += 2;
            }
            (Some(TokenTree::Punct(mark)), Some(TokenTree::Group(_)))
                if mark.as_char() == '!'
                    && path.last().is_some_and(|name| QUOTES.contains(&name.as_str())) =>
            {
                index += 2;
            }
            _ => {}
        }
        // After a `::`, the path is another crate's or a type's.
        let begins = start < 2 || !separates(&tokens, start - 2);
        if path.len() > 1 && begins {
            file.scopes.entry(scope.clone()).or_default().paths.insert(path);
        }
    }
}

/// Returns whether `::` stands at `index`.
fn separates(tokens: &[TokenTree], index: usize) -> bool {
    let colon = |index: usize| match tokens.get(index) {
        Some(TokenTree::Punct(mark)) if mark.as_char() == ':' => Some(mark.spacing()),
        _ => None,
    };
    colon(index) == Some(Spacing::Joint) && colon(index + 1).is_some()
}
