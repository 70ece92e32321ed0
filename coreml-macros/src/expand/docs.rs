//! Documentation of generated items.
//!
//! Owns: every sentence that depends on the model, and escaping an author's text for rustdoc.
//! Flow: the other files of this folder → here.

use super::fittings;
use super::names::{NamedModel, NamedPackage, key};
use coreml_spec::{
    ColorSpace, DataType, Feature, FeatureKind, Flexibility, ImageSize, Shape, SizeRange,
};

/// Describes the module of a manifest.
pub(super) fn module(manifest: &str, packages: &[NamedPackage<'_>]) -> String {
    let models = packages.iter().flat_map(|package| &package.functions);
    let list: Vec<String> = models.map(|model| format!("- {}", model_summary(model))).collect();
    let manifest = code(manifest);
    format!("\n\nGenerated from `{manifest}`:\n\n{}", list.join("\n"))
}

/// Describes a model in one line.
pub(super) fn model_summary(model: &NamedModel<'_>) -> String {
    let name = code(model.name);
    let what = if model.is_one_of_several {
        format!("`{}` of `{name}`", code(&model.function.name))
    } else {
        format!("`{name}`")
    };
    sentences(&[
        format!("{what}, made from `{}`", code(&model.indexed.source)),
        prose(&model.indexed.description),
    ])
}

/// Describes the module of a package with several functions.
pub(super) fn package_module(package: &NamedPackage<'_>) -> String {
    let functions: Vec<String> =
        package.functions.iter().map(|model| format!("- {}", model_summary(model))).collect();
    format!("Several functions of one package, which share weights:\n\n{}", functions.join("\n"))
}

/// Describes the module of one of several models.
pub(super) fn model_module(model: &NamedModel<'_>) -> String {
    format!("{}\n\nManifest key: `{}`.", model_summary(model), code(&model.key))
}

/// Describes a field of `Input` or `Output`, or a state.
///
/// Parameters: `table` — the manifest's name for the role: `inputs`, `outputs` or `states`.
pub(super) fn feature(model: &NamedModel<'_>, table: &str, feature: &Feature) -> String {
    let what = match &feature.kind {
        FeatureKind::MultiArray { data_type, shape } => tensor(*data_type, shape),
        FeatureKind::StringLabel | FeatureKind::Int64Label => "the most probable class".to_owned(),
        FeatureKind::Probabilities => "one probability per class".to_owned(),
        FeatureKind::Image { size, color_space } => image(size, *color_space),
    };
    let optional = feature
        .default
        .map(|value| format!("Optional; `None` stands for {value} in every element"));
    let key = match feature.kind {
        FeatureKind::StringLabel | FeatureKind::Int64Label | FeatureKind::Probabilities => {
            format!("{}.classifier", model.key)
        }
        _ => format!("{}.{table}.{}", model.key, key(&feature.name)),
    };
    let fitting =
        if table == "inputs" { fittings::text(model, &feature.name) } else { String::new() };
    let text = [
        format!("`{}`: {what}", code(&feature.name)),
        equal_sizes(model, feature),
        fitting,
        optional.unwrap_or_default(),
        prose(&feature.description),
    ];
    format!("{}\n\nManifest key: `{}`.", sentences(&text), code(&key))
}

/// Describes which dimensions of a feature have the size of another's.
fn equal_sizes(model: &NamedModel<'_>, feature: &Feature) -> String {
    let mut texts = Vec::new();
    for symbol in &model.function.symbols {
        let first = symbol.inputs.first();
        for dimension in symbol.inputs.iter().skip(1).chain(&symbol.outputs) {
            let Some(first) = first.filter(|_| dimension.feature == feature.name) else { continue };
            let (axis, name) = (dimension.axis, code(&first.feature));
            texts.push(format!(
                "Dimension {axis} has the size of dimension {} of `{name}`",
                first.axis
            ));
        }
    }
    texts.join(". ")
}

/// Describes the sizes of a tensor.
fn tensor(data_type: DataType, shape: &Shape) -> String {
    match &shape.flexibility {
        Flexibility::Fixed => format!("{data_type} `{:?}`", shape.default),
        Flexibility::Ranges(ranges) => {
            let ranges: Vec<String> = ranges.iter().map(|range| span(*range)).collect();
            format!("{data_type} `[{}]`", ranges.join(", "))
        }
        Flexibility::Enumerated(shapes) => {
            let shapes: Vec<String> = shapes.iter().map(|shape| format!("`{shape:?}`")).collect();
            format!("{data_type} {}", shapes.join(" or "))
        }
    }
}

/// Describes the colors and the size of an image.
fn image(size: &ImageSize, color_space: ColorSpace) -> String {
    let color = match color_space {
        ColorSpace::Grayscale => "grayscale",
        ColorSpace::GrayscaleFloat16 => "half-precision grayscale",
        ColorSpace::Rgb | ColorSpace::Bgr => "color",
    };
    if let Some((width, height)) = size.ranges {
        return format!("{color} image, {} × {} pixels", span(width), span(height));
    }
    if size.enumerated.is_empty() {
        return format!("{color} image, {} × {} pixels", size.width, size.height);
    }
    let sizes: Vec<String> =
        size.enumerated.iter().map(|(width, height)| format!("{width} × {height}")).collect();
    format!("{color} image, {} pixels", sizes.join(" or "))
}

/// Returns the sizes of one dimension: `5`, `1..=512` or `1..`.
fn span(range: SizeRange) -> String {
    match range.max {
        Some(max) if max == range.min => max.to_string(),
        Some(max) => format!("{}..={max}", range.min),
        None => format!("{}..", range.min),
    }
}

/// Returns text as the content of a code span.
pub(super) fn code(text: &str) -> String {
    one_line(text).replace('`', "'")
}

/// Returns an author's text as plain text: one line, nothing in it being markup, so that it is
/// neither a heading nor a link nor a code block (which rustdoc would run as a test).
fn prose(text: &str) -> String {
    let mut escaped = String::new();
    for char in one_line(text).chars() {
        if char.is_ascii_punctuation()
            && !matches!(char, '.' | ',' | ';' | ':' | '\'' | '"' | '/' | '%' | '?' | '(' | ')')
        {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

/// Joins what is not empty, each as a sentence.
fn sentences(parts: &[String]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .filter(|part| !part.is_empty())
        .map(|part| if part.ends_with(['.', '!', '?']) { part.clone() } else { format!("{part}.") })
        .collect();
    parts.join(" ")
}

/// Replaces line ends and repeated blanks by one blank.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_no_markup() {
        assert_eq!(
            prose("Log-mel.\n\n    let x = 1;\n```\npanic!()\n```"),
            r"Log\-mel. let x \= 1; \`\`\` panic\!() \`\`\`"
        );
        assert_eq!(prose("see [here] <b>"), r"see \[here\] \<b\>");
        assert_eq!(code("a`b\nc"), "a'b c");
    }

    #[test]
    fn sentences_end_once() {
        let parts = ["One".to_owned(), String::new(), "Two!".to_owned()];
        assert_eq!(sentences(&parts), "One. Two!");
    }
}
