//! How features and shapes are written where people read them: `float16 [1..=9, 3]`.
//!
//! Owns: `Display` of [`FeatureKind`], [`Shape`] and their parts. Must not: know where the text is
//! shown.
//! Flow: used by `cargo coreml inspect` and by messages.

use crate::{ColorSpace, FeatureKind, Flexibility, ImageSize, Shape, SizeRange};
use std::fmt::{Display, Formatter, Result};

impl Display for FeatureKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::MultiArray { data_type, shape } => write!(f, "{data_type} {shape}"),
            Self::Image { size, color_space } => write!(f, "image {color_space} {size}"),
            Self::StringLabel => f.write_str("class label, text"),
            Self::Int64Label => f.write_str("class label, number"),
            Self::Probabilities => f.write_str("probability per class"),
        }
    }
}

impl Display for Shape {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.flexibility {
            Flexibility::Fixed => write!(f, "{:?}", self.default),
            Flexibility::Ranges(ranges) => {
                write!(f, "[{}]", join(ranges, ", "))?;
                // Zero stands for what is not known: an output whose shape Core ML does not record
                // has no default.
                if !self.default.contains(&0) {
                    write!(f, ", default {:?}", self.default)?;
                }
                Ok(())
            }
            Flexibility::Enumerated(shapes) => {
                let shapes: Vec<String> = shapes.iter().map(|shape| format!("{shape:?}")).collect();
                f.write_str(&shapes.join(" or "))
            }
        }
    }
}

impl Display for SizeRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.max {
            Some(max) if max == self.min => write!(f, "{max}"),
            Some(max) => write!(f, "{}..={max}", self.min),
            None => write!(f, "{}..", self.min),
        }
    }
}

impl Display for ImageSize {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if let Some((width, height)) = self.ranges {
            return write!(f, "{width} x {height}, default {} x {}", self.width, self.height);
        }
        if self.enumerated.is_empty() {
            return write!(f, "{} x {}", self.width, self.height);
        }
        let sizes: Vec<String> =
            self.enumerated.iter().map(|(width, height)| format!("{width} x {height}")).collect();
        write!(f, "{}, default {} x {}", sizes.join(" or "), self.width, self.height)
    }
}

impl Display for ColorSpace {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Grayscale => "grayscale",
            Self::Rgb => "rgb",
            Self::Bgr => "bgr",
            Self::GrayscaleFloat16 => "grayscale-float16",
        })
    }
}

/// Joins what can be displayed.
fn join(parts: &[impl Display], separator: &str) -> String {
    parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataType;

    /// Displays a tensor.
    fn tensor(default: &[usize], flexibility: Flexibility) -> String {
        let shape = Shape { default: default.into(), flexibility };
        FeatureKind::MultiArray { data_type: DataType::Float16, shape }.to_string()
    }

    #[test]
    fn shapes_are_short() {
        let range = |min, max| SizeRange { min, max };
        assert_eq!(tensor(&[1, 16], Flexibility::Fixed), "float16 [1, 16]");
        assert_eq!(tensor(&[], Flexibility::Fixed), "float16 []");
        let ranges =
            Flexibility::Ranges(vec![range(1, Some(9)), range(3, Some(3)), range(2, None)]);
        assert_eq!(tensor(&[4, 3, 2], ranges), "float16 [1..=9, 3, 2..], default [4, 3, 2]");
        let unknown = Flexibility::Ranges(vec![range(0, None), range(3, Some(3))]);
        assert_eq!(tensor(&[0, 3], unknown), "float16 [0.., 3]");
        let shapes = Flexibility::Enumerated(vec![vec![1, 8], vec![2, 8]]);
        assert_eq!(tensor(&[1, 8], shapes), "float16 [1, 8] or [2, 8]");
    }

    #[test]
    fn images_are_short() {
        let mut size = ImageSize { width: 6, height: 8, ranges: None, enumerated: vec![] };
        let show = |size: &ImageSize| {
            FeatureKind::Image { size: size.clone(), color_space: ColorSpace::GrayscaleFloat16 }
                .to_string()
        };
        assert_eq!(show(&size), "image grayscale-float16 6 x 8");
        size.enumerated = vec![(6, 8), (4, 4)];
        assert_eq!(show(&size), "image grayscale-float16 6 x 8 or 4 x 4, default 6 x 8");
        let range = SizeRange { min: 2, max: Some(9) };
        size.ranges = Some((range, range));
        assert_eq!(show(&size), "image grayscale-float16 2..=9 x 2..=9, default 6 x 8");
    }
}
