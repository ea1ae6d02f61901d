//! Grid: aligned columns of text under a rule, cut or turned upright to fit a terminal.
//!
//! Input: headings and cells. Output: lines. Invariants: numbers, times and ids are never cut, only prose and nested values;
//! where that isn't enough, rows are written as records, one line a value. No control character reaches the terminal.

use std::io::Write;

use anyhow::Result;
use console::Style;

use super::Layout;

/// A column of a grid.
#[derive(Debug, Clone)]
pub struct Heading {
    /// Its name.
    pub name: String,
    /// Aligned to the right.
    pub numeric: bool,
    /// May be cut to fit.
    pub elastic: bool,
}

/// A cell: its text, free of control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What is shown.
    pub text: String,
    /// It is SQL's NULL.
    pub null: bool,
}

/// Narrowest that an elastic column gets.
const NARROWEST: usize = 12;

/// A grid whose widths are decided.
pub struct Grid {
    headings: Vec<Heading>,
    widths: Vec<usize>,
    upright: bool,
    layout: Layout,
    rows: u64,
    /// Something had to be cut.
    pub cut: bool,
}

impl Grid {
    /// Would these rows fit without a cut?
    pub fn fits(headings: &[Heading], rows: &[Vec<Cell>], layout: Layout) -> bool {
        let widths = natural_widths(headings, rows);
        layout.width.is_none_or(|room| widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1) <= room)
    }

    /// Decides widths from these rows; more may follow.
    pub fn new(headings: Vec<Heading>, sample: &[Vec<Cell>], layout: Layout) -> Self {
        let natural = natural_widths(&headings, sample);
        let fitted = layout.width.map_or(Some(natural.clone()), |room| fit(&headings, &natural, room));
        let upright = fitted.is_none();
        let widths = fitted.unwrap_or_else(|| vec![headings.iter().map(|h| width(&h.name)).max().unwrap_or(0)]);
        let cut = !upright && widths.iter().zip(&natural).any(|(w, n)| w < n);
        Grid { headings, widths, upright, layout, rows: 0, cut }
    }

    /// Writes the headings.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn head(&self, out: &mut dyn Write) -> Result<()> {
        if self.upright {
            return Ok(());
        }
        let cells: Vec<Cell> = self.headings.iter().map(|h| Cell { text: h.name.clone(), null: false }).collect();
        let line = self.line(&cells, |text, _| self.paint(text, Style::new().bold()));
        writeln!(out, "{line}")?;
        let rule = self.widths.iter().sum::<usize>() + 2 * self.widths.len().saturating_sub(1);
        writeln!(out, "{}", "-".repeat(rule))?;
        Ok(())
    }

    /// Writes a row.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn row(&mut self, out: &mut dyn Write, cells: &[Cell]) -> Result<()> {
        self.rows += 1;
        let dim =
            |text: &str, cell: &Cell| if cell.null { self.paint(text, Style::new().dim()) } else { text.to_owned() };
        if !self.upright {
            writeln!(out, "{}", self.line(cells, dim))?;
            return Ok(());
        }
        let title = format!("-- row {} ", self.rows);
        let rule = "-".repeat(self.layout.width.unwrap_or(60).min(60).saturating_sub(title.len()));
        writeln!(out, "{}", self.paint(&format!("{title}{rule}"), Style::new().dim()))?;
        for (heading, cell) in self.headings.iter().zip(cells) {
            let gap = " ".repeat(self.widths[0] - width(&heading.name));
            writeln!(out, "{}{gap}  {}", self.paint(&heading.name, Style::new().bold()), dim(&cell.text, cell))?;
        }
        Ok(())
    }

    fn line(&self, cells: &[Cell], paint: impl Fn(&str, &Cell) -> String) -> String {
        let mut line = String::new();
        let last = cells.len().saturating_sub(1);
        for (index, (cell, heading)) in cells.iter().zip(&self.headings).enumerate() {
            let room = self.widths[index];
            let text = shorten(&cell.text, if self.layout.width.is_some() { room } else { usize::MAX });
            let pad = " ".repeat(room.saturating_sub(width(&text)));
            let painted = paint(&text, cell);
            if index > 0 {
                line.push_str("  ");
            }
            if heading.numeric {
                line.push_str(&pad);
                line.push_str(&painted);
            } else {
                line.push_str(&painted);
                if index < last {
                    line.push_str(&pad);
                }
            }
        }
        line.truncate(line.trim_end().len());
        line
    }

    fn paint(&self, text: &str, style: Style) -> String {
        if self.layout.color && !text.is_empty() {
            style.force_styling(true).apply_to(text).to_string()
        } else {
            text.to_owned()
        }
    }
}

/// The widest of each column.
fn natural_widths(headings: &[Heading], rows: &[Vec<Cell>]) -> Vec<usize> {
    let cells = |index: usize| rows.iter().map(move |row| width(&row[index].text));
    headings.iter().enumerate().map(|(i, h)| cells(i).chain([width(&h.name)]).max().unwrap_or(0)).collect()
}

/// Widths that fit the room, or `None` where only records do.
fn fit(headings: &[Heading], natural: &[usize], room: usize) -> Option<Vec<usize>> {
    let mut widths = natural.to_vec();
    let gaps = 2 * widths.len().saturating_sub(1);
    // One long cell needn't be counted down from its whole length.
    for (width, heading) in widths.iter_mut().zip(headings) {
        if heading.elastic {
            *width = (*width).min(room.max(NARROWEST));
        }
    }
    while widths.iter().sum::<usize>() + gaps > room {
        let (_, widest) = widths
            .iter()
            .zip(headings)
            .enumerate()
            .filter(|(_, (width, heading))| heading.elastic && **width > NARROWEST)
            .map(|(index, (width, _))| (*width, index))
            .max()?;
        widths[widest] -= 1;
    }
    Some(widths)
}

fn shorten(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    console::truncate_str(text, room, "…").into_owned()
}

fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// A text as a cell: control characters are written as escapes, so that a table stays one and a terminal obeys nobody's data.
pub fn printable(text: String) -> String {
    if !text.contains(|c: char| c.is_control() || c == '\u{202e}') {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if c.is_control() || c == '\u{202e}' => shown.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(columns: &[(&str, bool, bool)], rows: &[&[&str]], width: usize, expected: &str) {
        let headings: Vec<Heading> = columns
            .iter()
            .map(|(name, numeric, elastic)| Heading { name: (*name).to_owned(), numeric: *numeric, elastic: *elastic })
            .collect();
        let cells: Vec<Vec<Cell>> = rows
            .iter()
            .map(|row| row.iter().map(|text| Cell { text: (*text).to_owned(), null: *text == "NULL" }).collect())
            .collect();
        let mut grid = Grid::new(headings, &cells, Layout { width: Some(width), max_rows: None, color: false });
        let mut out = Vec::new();
        grid.head(&mut out).expect("a vector takes all");
        for row in &cells {
            grid.row(&mut out, row).expect("a vector takes all");
        }
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text, expected);
        assert!(text.lines().all(|l| super::width(l) <= width), "{text}");
    }

    #[test]
    fn numbers_stand_to_the_right_and_prose_is_cut() {
        check(
            &[("n", true, false), ("message", false, true)],
            &[&["1", "short"], &["1000", "a message that goes on and on"]],
            24,
            "   n  message\n------------------------\n   1  short\n1000  a message that go…\n",
        );
    }

    #[test]
    fn what_does_not_fit_becomes_records() {
        let headings: Vec<Heading> = ["id", "status"]
            .iter()
            .map(|name| Heading { name: (*name).to_owned(), numeric: false, elastic: false })
            .collect();
        let row =
            ["574a2587-8931-4d20", "NULL"].map(|text| Cell { text: text.to_owned(), null: text == "NULL" }).to_vec();
        let layout = Layout { width: Some(20), max_rows: None, color: false };
        let mut grid = Grid::new(headings, std::slice::from_ref(&row), layout);
        let mut out = Vec::new();
        grid.head(&mut out).expect("a vector takes all");
        grid.row(&mut out, &row).expect("a vector takes all");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text, "-- row 1 -----------\nid      574a2587-8931-4d20\nstatus  NULL\n");
    }

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        assert_eq!(printable("a\tb\n\u{1b}[31m".to_owned()), "a\\tb\\n\\u{1b}[31m");
    }
}
