//! The plot of a ladder: size against error, as SVG.
//!
//! Owns: its look. Must not: measure.
//! Flow: `quantize.rs` → here → the crate `plotters`.

use crate::failure::Failure;
use plotters::prelude::*;
use std::path::Path;

/// Size of the picture in pixels.
const SIZE: (u32, u32) = (800, 500);

/// Room beyond the outermost points, as a share of the range.
const MARGIN: f64 = 0.12;

/// Draws a point for each rung.
///
/// Parameters: `points` — name, size of the package in bytes, signal-to-noise ratio in decibels.
pub(crate) fn size_against_error(
    path: &Path,
    model: &str,
    points: &[(&str, u64, f64)],
) -> Result<(), Failure> {
    if points.is_empty() {
        return Err("there is nothing to plot: no rung has a size and an error".into());
    }
    let kilobytes = |size: u64| size as f64 / 1000.0;
    let sizes = range(points.iter().map(|(_, size, _)| kilobytes(*size)));
    let ratios = range(points.iter().map(|(.., psnr)| *psnr));
    let drawn = || -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(format!("{model}: size against error"), ("sans-serif", 22))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(sizes.0..sizes.1, ratios.0..ratios.1)?;
        chart
            .configure_mesh()
            .x_desc("size of the package, kB")
            .y_desc("PSNR against PyTorch, dB")
            .draw()?;
        chart.draw_series(
            points
                .iter()
                .map(|(_, size, psnr)| Circle::new((kilobytes(*size), *psnr), 5, BLUE.filled())),
        )?;
        let label = ("sans-serif", 15).into_font();
        chart.draw_series(points.iter().map(|(name, size, psnr)| {
            EmptyElement::at((kilobytes(*size), *psnr))
                + Text::new((*name).to_owned(), (9, -14), label.clone())
        }))?;
        area.present()?;
        Ok(())
    };
    drawn().map_err(|error| format!("{} cannot be drawn: {error}", path.display()).into())
}

/// Returns a range around values, never empty.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let margin = ((high - low) * MARGIN).max(1e-3);
    (low - margin, high + margin)
}
