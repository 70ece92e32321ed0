//! The modules of a crate and the arrows between them, read off its sources.
//!
//! Owns: which module's file an expression or a `use` means.
//! Must not: judge the graph.
//! Flow: `directions.rs` and `links.rs` → [`Crate::read`] → `syntax.rs` for each file → [`Graph`].

use crate::syntax::{self, Scope};
use std::collections::{BTreeMap, BTreeSet};

/// The path of a module below the crate's root, which itself is empty.
pub(crate) type Path = Vec<String>;

/// What a name that a module re-exports counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReExport {
    /// An arrow to the module that defines the item.
    Followed,
    /// An arrow to the module that the path names.
    Literal,
}

/// The modules of one crate that have a file of their own, without those of tests.
pub(crate) struct Graph {
    /// For each module those that its file uses.
    arrows: BTreeMap<Path, BTreeSet<Path>>,
}

/// The sources of a crate, read.
pub(crate) struct Crate {
    /// What each module contains, those without a file of their own too.
    scopes: BTreeMap<Path, Scope>,
    /// The module whose file each of them is written in.
    files: BTreeMap<Path, Path>,
}

impl Crate {
    /// Reads the files of a crate.
    ///
    /// Parameters: `files` — each path relative to `src/`, with the text.
    pub(crate) fn read<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, String> {
        let mut found = Self { scopes: BTreeMap::new(), files: BTreeMap::new() };
        let mut tests = BTreeSet::new();
        for (file, text) in files {
            let path = module_of(file);
            let read = syntax::read(&path, text).map_err(|error| format!("{file}: {error}"))?;
            tests.extend(read.tests);
            for (scope, content) in read.scopes {
                found.files.insert(scope.clone(), path.clone());
                found.scopes.insert(scope, content);
            }
        }
        let of_tests = |path: &Path| tests.iter().any(|test| path.starts_with(test));
        found.scopes.retain(|path, _| !of_tests(path));
        found.files.retain(|path, _| !of_tests(path));
        Ok(found)
    }

    /// Returns the arrows between the files.
    pub(crate) fn graph(&self, re_export: ReExport) -> Graph {
        let names = Names { scopes: &self.scopes, re_export };
        let mut arrows: BTreeMap<Path, BTreeSet<Path>> = BTreeMap::new();
        for (scope, content) in &self.scopes {
            let file = &self.files[scope];
            let used = names.used_by(scope, content);
            let others = used.iter().map(|module| &self.files[module]).filter(|used| *used != file);
            arrows.entry(file.clone()).or_default().extend(others.cloned());
        }
        Graph { arrows }
    }
}

impl Graph {
    /// Returns the same modules without the arrows between a parent and its direct children.
    pub(crate) fn apart(&self) -> Self {
        let family = |one: &Path, other: &Path| one.split_last().is_some_and(|(_, up)| up == other);
        let mut apart = Self { arrows: self.arrows.clone() };
        for (from, arrows) in &mut apart.arrows {
            arrows.retain(|to| !family(from, to) && !family(to, from));
        }
        apart
    }

    /// Returns the modules.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &Path> {
        self.arrows.keys()
    }

    /// Returns the modules that `from` uses.
    pub(crate) fn used_by(&self, from: &Path) -> impl Iterator<Item = &Path> {
        self.arrows.get(from).into_iter().flatten()
    }

    /// Returns every module that `from` uses, by itself or through others.
    pub(crate) fn reached_from(&self, from: &Path) -> BTreeSet<&Path> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&Path> = self.used_by(from).collect();
        while let Some(module) = open.pop() {
            if reached.insert(module) {
                open.extend(self.used_by(module));
            }
        }
        reached
    }
}

/// Returns the path of the module in a file, whose own path is relative to `src/`.
pub(crate) fn module_of(file: &str) -> Path {
    let mut path: Path =
        file.trim_end_matches(".rs").split('/').map(std::borrow::ToOwned::to_owned).collect();
    if matches!(path.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        path.pop();
    }
    path
}

/// Name resolution among the modules of a crate.
struct Names<'a> {
    /// What each module contains, those without a file of their own too.
    scopes: &'a BTreeMap<Path, Scope>,
    /// What re-exports count as.
    re_export: ReExport,
}

impl Names<'_> {
    /// Returns the modules that the code of `scope` uses.
    fn used_by(&self, scope: &Path, content: &Scope) -> BTreeSet<Path> {
        let mut found = BTreeSet::new();
        for import in &content.imports {
            // A re-export that is followed is an arrow of those who use it. A module's name alone
            // is none: the expressions that begin with it are.
            let counts = self.re_export == ReExport::Literal || !import.public;
            if let Some((module, rest)) = self.resolve(scope, &import.path, false)
                && counts
                && !rest.is_empty()
            {
                found.insert(self.home(module, rest));
            }
        }
        for path in &content.paths {
            if let Some((module, rest)) = self.resolve(scope, path, true) {
                found.insert(self.home(module, rest));
            }
        }
        found
    }

    /// Returns the deepest module of a path that is written in `scope`, and what follows it;
    /// `None` for what other crates or local items define.
    ///
    /// Parameters: `imported` — whether the path may begin with an imported name.
    fn resolve<'p>(
        &self,
        scope: &Path,
        path: &'p [String],
        imported: bool,
    ) -> Option<(Path, &'p [String])> {
        let (first, mut rest) = path.split_first()?;
        let mut module = match first.as_str() {
            "crate" => Path::new(),
            "self" => scope.clone(),
            "super" => {
                let mut up = scope.clone();
                up.pop();
                while let Some((next, after)) = rest.split_first()
                    && next == "super"
                {
                    up.pop();
                    rest = after;
                }
                up
            }
            name if self.scopes.contains_key(&child(scope, name)) => child(scope, name),
            name if imported => {
                let content = self.scopes.get(scope)?;
                let import = content.imports.iter().find(|import| import.name == name)?;
                let (module, after) = self.resolve(scope, &import.path, false)?;
                // An imported item is an arrow of its `use`; an imported module is not.
                if !after.is_empty() {
                    return None;
                }
                module
            }
            _ => return None,
        };
        while let Some((next, after)) = rest.split_first() {
            let deeper = child(&module, next);
            if !self.scopes.contains_key(&deeper) {
                break;
            }
            module = deeper;
            rest = after;
        }
        Some((module, rest))
    }

    /// Returns the module that an item belongs to: `module` itself, or the one it is re-exported
    /// from.
    fn home(&self, module: Path, item: &[String]) -> Path {
        let (ReExport::Followed, Some(name)) = (self.re_export, item.first()) else {
            return module;
        };
        self.definition(&module, name, &mut BTreeSet::new()).unwrap_or(module)
    }

    /// Returns the module that defines what `module` calls `name`.
    fn definition(
        &self,
        module: &Path,
        name: &str,
        seen: &mut BTreeSet<(Path, String)>,
    ) -> Option<Path> {
        if !seen.insert((module.clone(), name.to_owned())) {
            return None;
        }
        let content = self.scopes.get(module)?;
        if content.items.contains(name) {
            return Some(module.clone());
        }
        for import in content.imports.iter().filter(|import| import.name == name) {
            if let Some((next, rest)) = self.resolve(module, &import.path, false) {
                let Some(item) = rest.first() else { return Some(next) };
                return self.definition(&next, item, seen);
            }
        }
        content
            .imports
            .iter()
            .filter(|import| import.name == "*")
            .filter_map(|import| self.resolve(module, &import.path, false))
            .find_map(|(next, _)| self.definition(&next, name, seen))
    }
}

/// Returns the path of a child module.
fn child(module: &Path, name: &str) -> Path {
    let mut path = module.clone();
    path.push(name.to_owned());
    path
}
