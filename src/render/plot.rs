//! Plots made of characters: a grid with a labelled vertical axis and a legend.
//!
//! Input: a [`Plot`]. Output: lines of at most the width given. Later series cover earlier ones.

use super::text::{bytes, count};
use crate::report::{Plot, YUnit};

const ROWS: usize = 12;

/// Draws the plot into lines no wider than `width`.
pub fn draw(plot: &Plot, width: usize) -> Vec<String> {
    let points = || plot.series.iter().flat_map(|s| &s.points);
    let Some(x_range) = range(points().map(|p| p.0)) else {
        return vec!["(nothing to plot)".to_owned()];
    };
    // The axis begins at zero: a plot that cuts it off overstates growth.
    let top = points().map(|p| p.1).fold(0.0_f64, f64::max).max(f64::MIN_POSITIVE);
    let labels: Vec<String> =
        (0..ROWS).map(|row| label(top * (ROWS - 1 - row) as f64 / (ROWS - 1) as f64, plot.y_unit)).collect();
    let gutter = labels.iter().map(|l| l.chars().count()).max().unwrap_or(0);
    let columns = width.saturating_sub(gutter + 3).max(10);
    let mut grid = vec![vec![' '; columns]; ROWS];
    for series in &plot.series {
        for (x, y) in dense(&series.points, columns) {
            let column = scale(x, x_range, columns - 1);
            let row = ROWS - 1 - scale(y, (0.0, top), ROWS - 1);
            grid[row][column] = series.mark;
        }
    }
    let mut lines: Vec<String> = grid
        .iter()
        .zip(&labels)
        .enumerate()
        .map(|(row, (cells, label))| {
            // Every third line is labelled, and the last: more would be noise.
            let shown = if row % 3 == 0 || row + 1 == ROWS { label.as_str() } else { "" };
            format!("{shown:>gutter$} | {}", cells.iter().collect::<String>()).trim_end().to_owned()
        })
        .collect();
    let (left, right) = &plot.x_labels;
    let gap = columns.saturating_sub(left.chars().count() + right.chars().count());
    lines.push(format!("{:gutter$} +-{}", "", "-".repeat(columns)));
    lines.push(format!("{:gutter$}   {left}{}{right}", "", " ".repeat(gap)));
    let legend: Vec<String> = plot.series.iter().map(|s| format!("{} {}", s.mark, s.label)).collect();
    lines.push(format!("{:gutter$}   {}", "", legend.join("   ")));
    lines
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .fold(None, |range: Option<(f64, f64)>, v| Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v)))))
}

fn scale(value: f64, (low, high): (f64, f64), cells: usize) -> usize {
    if high <= low {
        return 0;
    }
    (((value - low) / (high - low) * cells as f64).round().max(0.0) as usize).min(cells)
}

/// Fills the gaps between neighbouring points by straight lines, one point a column.
fn dense(points: &[(f64, f64)], columns: usize) -> Vec<(f64, f64)> {
    let mut filled = Vec::new();
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        for step in 0..columns {
            let t = step as f64 / columns as f64;
            filled.push((x0 + (x1 - x0) * t, y0 + (y1 - y0) * t));
        }
    }
    filled.extend(points.last());
    filled
}

fn label(value: f64, unit: YUnit) -> String {
    match unit {
        YUnit::Bytes => bytes(value.round() as u64),
        YUnit::Count => count(value.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Series;

    #[test]
    fn a_rising_line_goes_from_bottom_left_to_top_right() {
        let plot = Plot {
            series: vec![Series { label: "rows".into(), mark: '*', points: vec![(0.0, 0.0), (10.0, 100.0)] }],
            x_labels: ("a".into(), "b".into()),
            ..Plot::default()
        };
        let lines = draw(&plot, 40);
        assert!(lines[0].starts_with("100 |") && lines[0].ends_with('*'), "{lines:#?}");
        assert!(lines[11].starts_with("  0 | *"), "{lines:#?}");
        assert!(lines.iter().all(|l| l.chars().count() <= 40), "{lines:#?}");
    }

    #[test]
    fn nothing_to_plot_says_so() {
        assert_eq!(draw(&Plot::default(), 40), ["(nothing to plot)"]);
    }
}
