//! Shapes of tensors and sizes of images, from the forms in which Core ML records them.
//!
//! Owns: the checks that make a [`Shape`] consistent. Must not: know where a feature stands.
//! Flow: called by `describe.rs`; an error is the end of a sentence that begins with the feature's
//! name.

use crate::proto::{
    ArrayFeatureType, ImageFeatureType, ShapeFlexibilityKind, SizeBounds, SizeFlexibilityKind,
    TensorType,
};
use crate::{ColorSpace, Flexibility, ImageSize, Shape, SizeRange};

/// Returns the shape of an input, a state, or an output whose shape is described.
pub(crate) fn of_array(array: &ArrayFeatureType) -> Result<Shape, String> {
    let default = dims(&array.shape)?;
    match &array.shape_flexibility {
        None => Ok(Shape::fixed(default)),
        Some(ShapeFlexibilityKind::Range(range)) => {
            let ranges: Vec<SizeRange> = range
                .size_ranges
                .iter()
                .map(|bounds| size_range(*bounds))
                .collect::<Result<_, _>>()?;
            // A model may describe the ranges alone.
            let default = if default.is_empty() {
                ranges.iter().map(|range| range.min).collect()
            } else {
                default
            };
            if default.len() != ranges.len()
                || !default.iter().zip(&ranges).all(|(dim, range)| contains(*range, *dim))
            {
                return Err(format!(
                    "has the default shape {default:?}, which is not within its ranges"
                ));
            }
            if ranges.iter().all(|range| range.max == Some(range.min)) {
                return Ok(Shape::fixed(default));
            }
            Ok(Shape { default, flexibility: Flexibility::Ranges(ranges) })
        }
        Some(ShapeFlexibilityKind::Enumerated(enumerated)) => {
            let mut shapes: Vec<Vec<usize>> = enumerated
                .shapes
                .iter()
                .map(|shape| dims(&shape.shape))
                .collect::<Result<_, _>>()?;
            let Some(first) = shapes.first() else {
                return Err("has an empty list of shapes".into());
            };
            let default = if default.is_empty() { first.clone() } else { default };
            if shapes.iter().any(|shape| shape.len() != default.len()) {
                return Err("has shapes of different ranks".into());
            }
            let Some(position) = shapes.iter().position(|shape| *shape == default) else {
                return Err(format!(
                    "has the default shape {default:?}, which is not among its shapes"
                ));
            };
            // The default first, the others in order.
            shapes[..=position].rotate_right(1);
            if shapes.len() == 1 {
                return Ok(Shape::fixed(default));
            }
            Ok(Shape { default, flexibility: Flexibility::Enumerated(shapes) })
        }
    }
}

/// Returns the shape of an output that only the program knows.
pub(crate) fn of_output(tensor: &TensorType) -> Result<Shape, String> {
    let dims = tensor.dims().ok_or("has no known number of dimensions")?;
    let default: Vec<usize> = dims.iter().map(|dim| dim.unwrap_or(0)).collect();
    check_count(&default)?;
    if dims.iter().all(Option::is_some) {
        return Ok(Shape::fixed(default));
    }
    let range = |dim: &Option<usize>| SizeRange { min: dim.unwrap_or(0), max: *dim };
    Ok(Shape { default, flexibility: Flexibility::Ranges(dims.iter().map(range).collect()) })
}

/// Returns the size of an image.
pub(crate) fn image_size(image: &ImageFeatureType) -> Result<ImageSize, String> {
    let side = |side: i64| {
        usize::try_from(side).map_err(|_| format!("has an image side of {side} pixels"))
    };
    let mut size = ImageSize {
        width: side(image.width)?,
        height: side(image.height)?,
        ranges: None,
        enumerated: Vec::new(),
    };
    match &image.size_flexibility {
        None => {}
        Some(SizeFlexibilityKind::Range(range)) => {
            let bounds = range
                .width_range
                .zip(range.height_range)
                .ok_or("has a size range without width or height")?;
            let (width, height) = (size_range(bounds.0)?, size_range(bounds.1)?);
            if !contains(width, size.width) || !contains(height, size.height) {
                return Err(format!(
                    "has the default size {}x{}, not within its ranges",
                    size.width, size.height
                ));
            }
            size.ranges = Some((width, height));
        }
        Some(SizeFlexibilityKind::Enumerated(enumerated)) => {
            for pixels in &enumerated.sizes {
                let sides =
                    usize::try_from(pixels.width).ok().zip(usize::try_from(pixels.height).ok());
                size.enumerated.push(sides.ok_or("has an impossible image size")?);
            }
            if !size.enumerated.contains(&(size.width, size.height)) {
                return Err(format!(
                    "has the default size {}x{}, not among its sizes",
                    size.width, size.height
                ));
            }
        }
    }
    Ok(size)
}

/// Returns the pixel layout for its code.
pub(crate) fn color_space(code: i32) -> Result<ColorSpace, String> {
    match code {
        10 => Ok(ColorSpace::Grayscale),
        20 => Ok(ColorSpace::Rgb),
        30 => Ok(ColorSpace::Bgr),
        40 => Ok(ColorSpace::GrayscaleFloat16),
        _ => Err(format!("has the unknown color space {code}")),
    }
}

/// Returns sizes that fit in memory, each and all together.
fn dims(shape: &[i64]) -> Result<Vec<usize>, String> {
    let dims: Option<Vec<usize>> = shape.iter().map(|dim| usize::try_from(*dim).ok()).collect();
    let dims = dims.ok_or_else(|| format!("has the impossible shape {shape:?}"))?;
    check_count(&dims)?;
    Ok(dims)
}

/// Refuses a shape whose elements could not be counted: users of a shape multiply its dimensions.
fn check_count(dims: &[usize]) -> Result<(), String> {
    // Zeros do not hide the other factors: an unknown dimension stands as 0 and becomes a number
    // later.
    let count = dims
        .iter()
        .filter(|dim| **dim != 0)
        .try_fold(1_usize, |count, dim| count.checked_mul(*dim));
    match count {
        Some(_) => Ok(()),
        None => Err(format!("has the impossible shape {dims:?}")),
    }
}

/// Returns a dimension's range; a negative upper bound means none.
fn size_range(bounds: SizeBounds) -> Result<SizeRange, String> {
    let impossible =
        || format!("has the impossible range {} to {}", bounds.lower_bound, bounds.upper_bound);
    let min = usize::try_from(bounds.lower_bound).map_err(|_| impossible())?;
    let max = if bounds.upper_bound < 0 {
        None
    } else {
        Some(usize::try_from(bounds.upper_bound).map_err(|_| impossible())?)
    };
    if max.is_some_and(|max| max < min) {
        return Err(impossible());
    }
    Ok(SizeRange { min, max })
}

/// Returns whether a size is within a range.
fn contains(range: SizeRange, size: usize) -> bool {
    range.min <= size && range.max.is_none_or(|max| size <= max)
}
