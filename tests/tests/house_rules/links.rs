//! Which files use which: Rust by paths, imports and `mod`, the driver's Python by imports.
//!
//! Owns: the graph of files.
//! Must not: judge it.
//! Flow: `comments.rs` → [`Links::of`] → `graph.rs` for a crate.

use crate::graph::{Crate, ReExport, module_of};
use crate::sources::of_crate;
use std::collections::{BTreeMap, BTreeSet};

/// For each file all that it uses, by itself or through others.
#[derive(Default)]
pub(crate) struct Links {
    /// Paths relative to the root.
    reached: BTreeMap<String, BTreeSet<String>>,
    /// Folders of the crates.
    crates: Vec<String>,
}

impl Links {
    /// Reads the sources of the workspace.
    pub(crate) fn of(crates: &[String], sources: &[(String, String)]) -> Self {
        let mut arrows = python(sources);
        for folder in crates {
            let files = of_crate(folder, sources);
            let read = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
            let read = Crate::read(read).expect("the sources are Rust");
            let graphs = [ReExport::Followed, ReExport::Literal].map(|kind| read.graph(kind));
            let place = |file: &str| format!("{folder}/src/{file}");
            let names: BTreeMap<_, _> =
                files.iter().map(|(file, _)| (module_of(file), place(file))).collect();
            for (module, file) in &names {
                let used = graphs.iter().flat_map(|graph| graph.used_by(module));
                let used = used.filter_map(|used| names.get(used)).cloned();
                arrows.entry(file.clone()).or_default().extend(used);
                let parent = module.split_last().and_then(|(_, parent)| names.get(parent));
                if let Some(parent) = parent {
                    arrows.entry(parent.clone()).or_default().insert(file.clone());
                }
            }
        }
        let closed = |file: &String| {
            let (mut reached, mut open) = (BTreeSet::new(), vec![file]);
            while let Some(next) = open.pop() {
                for used in arrows.get(next).into_iter().flatten() {
                    if reached.insert(used.clone()) {
                        open.push(used);
                    }
                }
            }
            reached
        };
        let reached = arrows.keys().map(|file| (file.clone(), closed(file))).collect();
        Self { reached, crates: crates.to_vec() }
    }

    /// Returns whether imports could connect two files: both are the same crate's, or the driver's.
    pub(crate) fn are_of_one_graph(&self, one: &str, other: &str) -> bool {
        let owner = |file: &str| {
            let folders =
                self.crates.iter().filter(|folder| file.starts_with(&format!("{folder}/")));
            (folders.max(), file.ends_with(".py"))
        };
        let known = |file: &str| self.reached.contains_key(file);
        known(one) && known(other) && owner(one) == owner(other)
    }

    /// Returns whether one of two files uses the other, by itself or through others.
    pub(crate) fn connect(&self, one: &str, other: &str) -> bool {
        let reaches = |from: &str, to: &str| {
            self.reached.get(from).is_some_and(|reached| reached.contains(to))
        };
        one == other || reaches(one, other) || reaches(other, one)
    }
}

/// Returns which modules of the driver import which.
fn python(sources: &[(String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let root = "coreml-build/python/";
    let driver: BTreeSet<&str> = sources
        .iter()
        .map(|(path, _)| path.as_str())
        .filter(|path| path.starts_with("coreml-build/python/coreml_driver/"))
        .collect();
    let file = |module: &str| {
        let path = format!("{root}{}", module.replace('.', "/"));
        [format!("{path}.py"), format!("{path}/__init__.py")]
            .into_iter()
            .find(|path| driver.contains(path.as_str()))
    };
    let mut arrows = BTreeMap::new();
    for (path, text) in sources.iter().filter(|(path, _)| driver.contains(path.as_str())) {
        let mut used = BTreeSet::new();
        for import in text.split("from coreml_driver").skip(1) {
            let Some((module, names)) = import.split_once(" import ") else { continue };
            let module = format!("coreml_driver{module}");
            let names = match names.strip_prefix('(') {
                Some(names) => names.split(')').next(),
                None => names.lines().next(),
            };
            for name in names.unwrap_or_default().split(',') {
                let name = name.split(" as ").next().unwrap_or_default().trim();
                used.extend(file(&format!("{module}.{name}")).or_else(|| file(&module)));
            }
        }
        arrows.insert(path.clone(), used);
    }
    arrows
}
