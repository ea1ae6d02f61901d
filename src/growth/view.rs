//! The capacity report as a person reads it.
//!
//! Input: [`GrowthReport`]. Output: a [`View`]: the sizes and dates asked for, the curve, then the evidence. Invariant: every date and
//! projected size has its range and its back-test beside it.

use super::{Basis, Crossing, Group, GrowthReport, Projection, Scenario, State};
use crate::render::{bytes, count};
use crate::report::{Block, Cell, Mark, Plot, Series, Table, View, YUnit};

/// The measured size is this many times the modelled one: worth a word on dead space.
const BLOATED_FROM: f64 = 1.3;

pub(super) fn of(report: &GrowthReport) -> View {
    let mut blocks = Vec::new();
    blocks.extend(plot(report).map(Block::Plot));
    if !report.projections.is_empty() {
        blocks.push(Block::Table(projections(report)));
    }
    if !report.thresholds.is_empty() {
        blocks.push(Block::Table(thresholds(report)));
    }
    blocks.extend(backtest(report));
    blocks.push(Block::Table(parts(report)));
    for (title, groups) in [
        ("By category", &report.by_category),
        ("By entity type", &report.by_entity_type),
        ("By operation family", &report.by_operation_family),
    ] {
        if !groups.is_empty() {
            let title = match (title, report.category_source) {
                ("By category", Some(source)) => format!("{title} ({source})"),
                _ => title.to_owned(),
            };
            blocks.push(Block::Table(breakdown(&title, groups, report)));
        }
    }
    blocks.extend(albums(report).map(Block::Table));
    blocks.extend(notes(report).into_iter().map(Block::Note));
    View { title: title(report), headline: headline(report), blocks }
}

fn title(report: &GrowthReport) -> String {
    let rate = report.rows_per_day.map_or_else(String::new, |rate| format!(", {rate:.1} rows a day"));
    format!(
        "Growth of {}: {} rows, {} ({}){rate}",
        report.table,
        count(report.rows),
        bytes(report.size_bytes),
        report.basis.as_str()
    )
}

fn headline(report: &GrowthReport) -> Vec<String> {
    let mut lines: Vec<String> =
        report.projections.iter().filter(|p| p.scenario != Scenario::Now).map(|p| projection_line(report, p)).collect();
    lines.extend(report.thresholds.iter().map(threshold_line));
    if let Some(backtest) = &report.backtest
        && let Some(wape) = backtest.wape
        && report.thresholds.iter().any(|t| t.state == State::Dated)
    {
        lines.push(format!(
            "Such forecasts were {:.0} % off on {} of {} days.",
            100.0 * wape,
            windows(backtest.origins),
            backtest.horizon_days
        ));
    }
    lines
}

fn projection_line(report: &GrowthReport, projection: &Projection) -> String {
    let logs = match projection.scenario {
        Scenario::LogsPerAlbum => format!("if {:.1} rows each", projection.logs_per_album),
        _ => format!("{:.1} rows each as now", projection.logs_per_album),
    };
    let other = projection.other_rows as f64 / projection.albums as f64;
    let other = if other >= 0.05 { format!(", {other:.1} of no album") } else { String::new() };
    format!(
        "At {} albums ({logs}{other}): {} ({} to {}), {:.0} B a row.",
        count(projection.albums),
        bytes(projection.size_bytes),
        bytes(projection.low_bytes),
        bytes(projection.high_bytes),
        report.bytes_per_row,
    )
}

fn threshold_line(crossing: &Crossing) -> String {
    let size = bytes(crossing.size_bytes);
    let albums = crossing.at_albums.map_or_else(String::new, |a| format!(", {} albums", count(a)));
    let at = format!("{} rows{albums}", count(crossing.at_rows));
    match (crossing.state, crossing.crossed_at) {
        (State::Above, _) => format!("{size} is crossed already: it was reached at about {at}."),
        (State::Dated, Some(date)) => format!(
            "{size} is crossed about {date} (80 %: {} to {}), at {at}.",
            date_or(crossing.earliest, "?"),
            date_or(crossing.latest, "beyond ten years")
        ),
        (State::Never, _) => format!("{size} isn't crossed within ten years at this rate; it takes {at}."),
        _ => format!("{size} takes {at}; the history is too short for a date."),
    }
}

fn date_or(date: Option<chrono::NaiveDate>, otherwise: &str) -> String {
    date.map_or_else(|| otherwise.to_owned(), |d| d.to_string())
}

/// Size over time: what was, what is expected, and the bands; the nearest threshold as a level.
fn plot(report: &GrowthReport) -> Option<Plot> {
    let history = report.history.as_ref()?;
    let last = history.rows_per_day.len() as f64;
    let mut rows = report.undated_rows as f64;
    let size = |rows: f64| rows * report.bytes_per_row;
    let mut past = vec![(0.0, size(rows))];
    for (day, written) in history.rows_per_day.iter().enumerate() {
        rows += *written as f64;
        past.push((day as f64 + 1.0, size(rows)));
    }
    past.push((last + 1.0, report.size_bytes as f64));
    let now = (last + 1.0, report.size_bytes as f64);
    let mut series = Vec::new();
    let mut end = history.last_day;
    let mut top = now.1;
    if let Some(forecast) = &report.forecast {
        let x = |day: chrono::NaiveDate| last + 1.0 + (day - history.last_day).num_days() as f64;
        let line = |of: fn(&super::ProjectedDay) -> u64| -> Vec<(f64, f64)> {
            std::iter::once(now).chain(forecast.days.iter().map(|d| (x(d.day), of(d) as f64))).collect()
        };
        let expected = line(|d| d.size_bytes);
        top = expected.last().map_or(top, |p| p.1);
        end = forecast.days.last().map_or(end, |d| d.day);
        series.push(Series::band("95 %", '░', line(|d| d.low_95_bytes), line(|d| d.high_95_bytes)));
        series.push(Series::band("80 %", '▒', line(|d| d.low_80_bytes), line(|d| d.high_80_bytes)));
        series.push(Series::line("expected", '*', expected));
    }
    let ahead = report.thresholds.iter().filter(|t| t.state != State::Above).map(|t| t.size_bytes).min();
    // A threshold far above the curve would press it flat.
    if let Some(threshold) = ahead.filter(|t| (*t as f64) < 3.0 * top) {
        top = top.max(threshold as f64);
        // Over the bands, under the curves.
        let curve = series.len().saturating_sub(1);
        series.insert(curve, Series::level(format!("{} threshold", bytes(threshold)), '─', threshold as f64));
    }
    series.push(Series::area("so far", past));
    Some(Plot {
        title: format!("Size by day ({})", report.basis.as_str()),
        series,
        x_labels: (history.first_day.to_string(), end.to_string()),
        x_marks: if end > history.last_day {
            vec![Mark { at: last + 1.0, label: history.last_day.to_string() }]
        } else {
            vec![]
        },
        y_unit: YUnit::Bytes,
        // Room above the expected curve for its band, which may rise out of the picture.
        top: Some(top * 1.25),
    })
}

fn projections(report: &GrowthReport) -> Table {
    let mut table = Table::new(
        "Size at a number of albums",
        &["scenario", "albums", "rows an album", "rows", "size", "low", "high"],
    );
    for p in &report.projections {
        let scenario = match p.scenario {
            Scenario::Now => "now",
            Scenario::CurrentMix => "current mix",
            Scenario::LogsPerAlbum => "what if",
        };
        table.push(vec![
            scenario.into(),
            p.albums.into(),
            Cell::Number(p.logs_per_album, 1),
            p.rows.into(),
            Cell::Bytes(p.size_bytes),
            Cell::Bytes(p.low_bytes),
            Cell::Bytes(p.high_bytes),
        ]);
    }
    table
}

fn thresholds(report: &GrowthReport) -> Table {
    let mut table =
        Table::new("Thresholds", &["size", "at rows", "at albums", "crossed about", "80 % of 100", "95 % of 100"]);
    let range = |from: Option<chrono::NaiveDate>, to: Option<chrono::NaiveDate>| match from {
        Some(from) => Cell::Text(format!("{from} to {}", date_or(to, "beyond"))),
        None => Cell::Empty,
    };
    for t in &report.thresholds {
        let when = match t.state {
            State::Above => "already".to_owned(),
            State::Never => "not in ten years".to_owned(),
            State::Unknown => "history too short".to_owned(),
            State::Dated => date_or(t.crossed_at, ""),
        };
        table.push(vec![
            Cell::Bytes(t.size_bytes),
            t.at_rows.into(),
            t.at_albums.map_or(Cell::Empty, Cell::Count),
            when.into(),
            range(t.earliest, t.latest),
            range(t.earliest_95, t.latest_95),
        ]);
    }
    table.columns[4] = "80 % range".to_owned();
    table.columns[5] = "95 % range".to_owned();
    table
}

/// `1 held-out window`, `4 held-out windows`.
fn windows(origins: u64) -> String {
    format!("{origins} held-out {}", if origins == 1 { "window" } else { "windows" })
}

/// How wrong the forecast has been.
fn backtest(report: &GrowthReport) -> Option<Block> {
    let backtest = report.backtest.as_ref()?;
    let mut table = Table::new(
        format!(
            "Back-test: totals of {} days, {}, each forecast from the days before it",
            backtest.horizon_days,
            windows(backtest.origins)
        ),
        &["method", "error", "within 80 %", "within 95 %"],
    );
    let share = |wape: Option<f64>| wape.map_or(Cell::Empty, Cell::Share);
    table.push(vec![
        "as projected (best so far at each window)".into(),
        share(backtest.wape),
        Cell::Share(backtest.coverage_80),
        Cell::Share(backtest.coverage_95),
    ]);
    for candidate in &backtest.candidates {
        let used = if candidate.method == backtest.method { " (used now)" } else { "" };
        let name = format!("{}{used}", candidate.method.as_str());
        table.push(vec![name.into(), share(candidate.wape), Cell::Empty, Cell::Empty]);
    }
    Some(Block::Table(table))
}

fn parts(report: &GrowthReport) -> Table {
    let mut table = Table::new("Bytes a row", &["part", "bytes a row", "share", "basis"]);
    let parts = &report.bytes_per_row_parts;
    for (name, part, basis) in [
        ("heap", parts.heap, report.basis),
        ("indexes", parts.index, report.index_basis),
        ("TOAST", parts.toast, report.basis),
        ("free space and visibility maps", parts.maps, report.basis),
    ] {
        if part > 0.0 || name == "heap" {
            let share = Cell::Share(part / report.bytes_per_row.max(f64::MIN_POSITIVE));
            table.push(vec![name.into(), Cell::Number(part, 0), share, basis.as_str().into()]);
        }
    }
    let all = Cell::Number(report.bytes_per_row, 0);
    table.push(vec!["all".into(), all, Cell::Share(1.0), report.basis.as_str().into()]);
    table
}

fn breakdown(title: &str, groups: &[Group], report: &GrowthReport) -> Table {
    let name = title.trim_start_matches("By ").split(" (").next().unwrap_or_default().to_owned();
    let mut table = Table::new(title, &[&name, "rows", "size", "share", "bytes a row"]);
    for group in groups {
        table.push(vec![
            group.name.clone().into(),
            group.rows.into(),
            Cell::Bytes(group.size_bytes),
            Cell::Share(group.size_bytes as f64 / report.size_bytes.max(1) as f64),
            Cell::Number(group.size_bytes as f64 / group.rows as f64, 0),
        ]);
    }
    table
}

fn albums(report: &GrowthReport) -> Option<Table> {
    let albums = report.albums.as_ref()?;
    let mut table = Table::new(
        "Rows an album",
        &["albums", "mean", "95 % interval", "median", "p90", "p99", "most", "of no album"],
    );
    table.push(vec![
        albums.albums.into(),
        Cell::Number(albums.mean(), 2),
        format!("{:.2} to {:.2}", albums.mean_low, albums.mean_high).into(),
        albums.p50.into(),
        albums.p90.into(),
        albums.p99.into(),
        albums.max.into(),
        albums.other_rows.into(),
    ]);
    Some(table)
}

fn notes(report: &GrowthReport) -> Vec<String> {
    let mut notes = vec![
        "1 MB is 10^6 bytes. Sizes are the table with its indexes and TOAST, in the maintenance state they were captured in."
            .to_owned(),
    ];
    let ratio = report.bytes_per_row / report.modelled_bytes_per_row.max(f64::MIN_POSITIVE);
    if report.basis == Basis::Measured && ratio >= BLOATED_FROM {
        notes.push(format!(
            "A fresh load of these rows would take {} by the layout model; the table takes {ratio:.1} times that. Updates leave old row versions behind until the table is rewritten, so a further row takes less than the {:.0} B counted here.",
            bytes((report.modelled_bytes_per_row * report.rows as f64).round() as u64),
            report.bytes_per_row
        ));
    }
    if report.basis != Basis::Measured {
        notes.push(format!(
            "The snapshot has no sizes of the server's: they are modelled from the values by PostgreSQL's storage rules, as freshly loaded, and may be {:.0} % off. An export measures them.",
            100.0 * report.size_error.high_share
        ));
        if report.index_basis == Basis::Assumed {
            let names: Vec<&str> = report.indexes.iter().map(|i| i.name.as_str()).collect();
            notes.push(if names.is_empty() {
                "No index is counted: the file names none.".to_owned()
            } else {
                format!("A bare file names no indexes. Those assumed: {}.", names.join(", "))
            });
        }
    }
    if report.albums.is_some() && report.projections.len() > 1 {
        notes.push(
            "Size at N albums = N x (rows an album + rows of no album for each album) x bytes a row. Low and high join the 95 % bootstrap interval of the mean over albums with the error of the size basis."
                .to_owned(),
        );
    }
    notes.extend(report.omitted.iter().map(|o| format!("Left out: {}, because {}.", o.part, o.reason)));
    notes
}
