//! Plots made of characters: areas, lines and bands over a labelled grid.
//!
//! Input: a [`Plot`]. Output: lines of at most the width given. Invariants: later series cover earlier ones; the vertical axis
//! begins at zero, because one that is cut off overstates growth; what rises above its top is cut, never squeezed in.
//! Only box-drawing and block characters, which are one column wide wherever they are shown.

use super::text::{bytes, count};
use crate::report::{Mark, Plot, Series, Shape, YUnit};

/// Rows from the axis to the top, both included: four steps of three rows.
const ROWS: usize = 13;
const STEPS: usize = 4;
/// A cell filled from below by this many eighths.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws the plot into lines no wider than `width`.
pub fn draw(plot: &Plot, width: usize) -> Vec<String> {
    let spread = plot.series.iter().filter(|s| s.shape != Shape::Level).flat_map(|s| &s.points);
    let Some(x_range) = range(spread.map(|p| p.0)) else {
        return vec!["(nothing to plot)".to_owned()];
    };
    let highest = plot.series.iter().flat_map(|s| &s.points).map(|p| p.1).fold(0.0_f64, f64::max);
    let step = nice_step(plot.top.unwrap_or(highest) / STEPS as f64);
    let labels: Vec<String> = (0..=STEPS).map(|i| label(step * i as f64, plot.y_unit)).collect();
    let gutter = labels.iter().map(|l| l.chars().count()).max().unwrap_or(0);
    let columns = width.saturating_sub(gutter + 2).max(10);
    let mut canvas = Canvas::new(columns, x_range, step * STEPS as f64);
    for series in &plot.series {
        canvas.draw(series);
    }
    let mut lines: Vec<String> = canvas
        .cells
        .iter()
        .enumerate()
        .map(|(row, cells)| {
            let from_axis = ROWS - 1 - row;
            let per_step = (ROWS - 1) / STEPS;
            let (shown, tick) = if from_axis.is_multiple_of(per_step) {
                (labels[from_axis / per_step].as_str(), '┤')
            } else {
                ("", '│')
            };
            let tick = if from_axis == 0 { '┼' } else { tick };
            format!("{shown:>gutter$} {tick}{}", cells.iter().collect::<String>()).trim_end().to_owned()
        })
        .collect();
    lines.extend(axis(plot, &canvas, gutter));
    lines.extend(legend(plot, gutter, width));
    lines
}

/// The labels below the axis, with a tick at each mark.
fn axis(plot: &Plot, canvas: &Canvas, gutter: usize) -> Vec<String> {
    let columns = canvas.columns;
    let mut ticks = vec!['─'; columns];
    let mut text = vec![' '; columns];
    let (left, right) = &plot.x_labels;
    let right_at = columns.saturating_sub(right.chars().count());
    write_at(&mut text, 0, left);
    write_at(&mut text, right_at, right);
    for Mark { at, label } in &plot.x_marks {
        let column = canvas.column(*at);
        ticks[column] = '┬';
        let length = label.chars().count();
        // Under its tick, else ending or beginning there; where it would touch another label it is left out, and its tick stays.
        let places = [column.saturating_sub(length / 2), (column + 1).saturating_sub(length), column];
        let free = places.into_iter().find(|from| {
            let room = from.saturating_sub(2)..(from + length + 2).min(columns);
            from + length <= columns && text[room].iter().all(|c| *c == ' ')
        });
        if let Some(from) = free {
            write_at(&mut text, from, label);
        }
    }
    let lines = [
        format!("{:gutter$} └{}", "", ticks.iter().collect::<String>()),
        format!("{:gutter$}  {}", "", text.iter().collect::<String>()),
    ];
    lines.into_iter().map(|l| l.trim_end().to_owned()).collect()
}

fn write_at(cells: &mut [char], from: usize, text: &str) {
    for (cell, c) in cells[from..].iter_mut().zip(text.chars()) {
        *cell = c;
    }
}

/// The series by name, first drawn last; broken into as many lines as it takes.
fn legend(plot: &Plot, gutter: usize, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for series in plot.series.iter().rev() {
        let entry = format!("{} {}", series.mark, series.label);
        let line = lines.last_mut().expect("it begins with one line and never loses one");
        if line.is_empty() {
            *line = entry;
        } else if gutter + 2 + line.chars().count() + 3 + entry.chars().count() <= width {
            *line += &format!("   {entry}");
        } else {
            lines.push(entry);
        }
    }
    lines.into_iter().map(|line| format!("{:gutter$}  {line}", "")).collect()
}

struct Canvas {
    columns: usize,
    x_range: (f64, f64),
    top: f64,
    /// From the top row down.
    cells: Vec<Vec<char>>,
}

impl Canvas {
    fn new(columns: usize, x_range: (f64, f64), top: f64) -> Self {
        Canvas { columns, x_range, top, cells: vec![vec![' '; columns]; ROWS] }
    }

    fn draw(&mut self, series: &Series) {
        match &series.shape {
            Shape::Line => self.line(series),
            Shape::Area => self.area(series),
            Shape::Band(low) => self.band(low, series),
            Shape::Level => {
                if let Some(row) = series.points.first().and_then(|(_, y)| self.row(*y)) {
                    self.cells[row].fill(series.mark);
                }
            }
        }
    }

    /// One mark a column; where it jumps, marks in between, so that the line is whole.
    fn line(&mut self, series: &Series) {
        let mut before: Option<usize> = None;
        for column in 0..self.columns {
            let Some(y) = self.height(&series.points, column) else { continue };
            let Some(row) = self.row(y) else { break };
            let from = before.map_or(row, |before| if before > row { before - 1 } else { before.min(row) });
            for cells in &mut self.cells[row.min(from)..=row.max(from)] {
                cells[column] = series.mark;
            }
            before = Some(row);
        }
    }

    /// Filled from the axis up, to an eighth of a row.
    fn area(&mut self, series: &Series) {
        for column in 0..self.columns {
            let Some(y) = self.height(&series.points, column) else { continue };
            // The axis runs through the middle of the lowest row, which therefore is filled from half a row on.
            let eighths = ((self.rows_up(y) + 0.5).min(ROWS as f64) * 8.0).round() as usize;
            for up in 0..ROWS {
                let filled = eighths.saturating_sub(up * 8).min(8);
                if filled > 0 {
                    self.cells[ROWS - 1 - up][column] = EIGHTHS[filled];
                }
            }
        }
    }

    fn band(&mut self, low: &[(f64, f64)], series: &Series) {
        for column in 0..self.columns {
            let (Some(low), Some(high)) = (self.height(low, column), self.height(&series.points, column)) else {
                continue;
            };
            let (low, high) = (self.rows_up(low).round(), self.rows_up(high).round().min((ROWS - 1) as f64));
            for up in low as usize..=high as usize {
                if up < ROWS {
                    self.cells[ROWS - 1 - up][column] = series.mark;
                }
            }
        }
    }

    /// Rows above the axis, not rounded.
    fn rows_up(&self, y: f64) -> f64 {
        (y / self.top * (ROWS - 1) as f64).max(0.0)
    }

    /// The row from the top, or `None` above it.
    fn row(&self, y: f64) -> Option<usize> {
        (ROWS - 1).checked_sub(self.rows_up(y).round() as usize)
    }

    fn column(&self, x: f64) -> usize {
        let (low, high) = self.x_range;
        if high <= low {
            return 0;
        }
        (((x - low) / (high - low) * (self.columns - 1) as f64).round().max(0.0) as usize).min(self.columns - 1)
    }

    /// The height of a curve at a column, by straight lines between its points; `None` beside them.
    fn height(&self, points: &[(f64, f64)], column: usize) -> Option<f64> {
        let (low, high) = self.x_range;
        let x = low + (high - low) * column as f64 / (self.columns - 1) as f64;
        let half = (high - low) / (self.columns - 1) as f64 / 2.0;
        let (first, last) = (points.first()?, points.last()?);
        if x < first.0 - half || x > last.0 + half {
            return None;
        }
        let next = points.partition_point(|p| p.0 < x);
        let (Some(left), Some(right)) = (points.get(next.saturating_sub(1)), points.get(next)) else {
            return Some(last.1);
        };
        if right.0 <= left.0 {
            return Some(right.1);
        }
        Some(left.1 + (right.1 - left.1) * ((x - left.0) / (right.0 - left.0)).clamp(0.0, 1.0))
    }
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .fold(None, |range: Option<(f64, f64)>, v| Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v)))))
}

/// The smallest round number that is at least `step`.
fn nice_step(step: f64) -> f64 {
    if step <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(step.log10().floor());
    let nice = [1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    nice.iter().map(|n| n * power).find(|n| *n >= step * 0.999_999).unwrap_or(10.0 * power)
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

    fn drawn(plot: &Plot, width: usize) -> Vec<String> {
        let lines = draw(plot, width);
        assert!(lines.iter().all(|l| l.chars().count() <= width), "wider than {width}: {lines:#?}");
        lines
    }

    #[test]
    fn a_rising_line_goes_from_bottom_left_to_top_right() {
        let plot = Plot {
            series: vec![Series::line("rows", '*', vec![(0.0, 0.0), (10.0, 100.0)])],
            x_labels: ("a".into(), "b".into()),
            ..Plot::default()
        };
        let lines = drawn(&plot, 40);
        assert!(lines[0].starts_with("100 ┤") && lines[0].ends_with('*'), "{lines:#?}");
        assert!(lines[12].starts_with("  0 ┼*"), "{lines:#?}");
        // The line is whole: each row has a mark.
        assert!(lines[..ROWS].iter().all(|l| l.contains('*')), "{lines:#?}");
    }

    #[test]
    fn nothing_to_plot_says_so() {
        assert_eq!(draw(&Plot::default(), 40), ["(nothing to plot)"]);
    }

    #[test]
    fn what_rises_above_the_top_is_cut() {
        let plot = Plot {
            series: vec![
                Series::band("wide", '░', vec![(0.0, 0.0), (10.0, 0.0)], vec![(0.0, 10.0), (10.0, 1e9)]),
                Series::line("gone", '*', vec![(0.0, 10.0), (10.0, 1e9)]),
            ],
            top: Some(100.0),
            ..Plot::default()
        };
        let lines = drawn(&plot, 60);
        assert!(lines[0].starts_with("100 ┤"), "{lines:#?}");
        assert!(lines[0].ends_with('░'), "{lines:#?}");
        assert!(!lines.iter().take(ROWS).any(|l| l.ends_with('*')), "{lines:#?}");
    }

    #[test]
    fn marks_and_labels_never_overlap() {
        let mark = |at: f64| Mark { at, label: "2026-01-01".into() };
        let mut plot = Plot {
            series: vec![Series::line("rows", '*', vec![(0.0, 1.0), (10.0, 1.0)])],
            x_labels: ("2025-01-01".into(), "2027-01-01".into()),
            x_marks: vec![mark(5.0)],
            ..Plot::default()
        };
        for width in [60, 80, 120] {
            let lines = drawn(&plot, width);
            assert!(lines[ROWS].contains('┬') && lines[ROWS + 1].contains("2026-01-01"), "{lines:#?}");
        }
        plot.x_marks = vec![mark(0.1)];
        let lines = drawn(&plot, 60);
        assert!(lines[ROWS].contains('┬') && !lines[ROWS + 1].contains("2026-01-01"), "{lines:#?}");
    }

    #[test]
    fn an_area_is_drawn_to_an_eighth_of_a_row() {
        let plot = Plot {
            series: vec![Series::area("rows", vec![(0.0, 100.0), (10.0, 100.0)])],
            top: Some(1200.0),
            ..Plot::default()
        };
        let lines = drawn(&plot, 40);
        // One row up is half a row more than one whole row.
        assert!(lines[12].contains('█') && lines[11].contains('▄') && !lines[10].contains('█'), "{lines:#?}");
    }

    #[test]
    fn steps_are_round_numbers() {
        for (step, nice) in [(0.9, 1.0), (1.1, 1.25), (156.2, 200.0), (625_000_001.0, 8e8), (0.0, 1.0)] {
            assert!((nice_step(step) - nice).abs() < 1e-9, "{step}: {}", nice_step(step));
        }
    }
}
