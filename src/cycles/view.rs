//! What the cycles say to a person: how many, how many rows, which jobs, and the repair.

use serde_json::{Map, Value, json};

use super::{CircularComponent, CyclesReport, Kind};
use crate::render::count;
use crate::report::{Block, Finding, Severity, Table, View, sort_findings};

/// Components shown in the terminal; JSON has all.
const SHOWN: usize = 20;
/// Jobs of a cycle that are spelt out.
const JOBS_SHOWN: usize = 6;

pub(super) fn findings(report: &CyclesReport, samples: usize) -> Vec<Finding> {
    if report.components.is_empty() {
        return Vec::new();
    }
    let n = report.components.len() as u64;
    let finding = Finding::new(
        "circular-reference",
        Severity::Warning,
        n,
        format!(
            "{} of jobs: {} on them and {} leading into them have no root, and a backfill with a depth limit gives them an arbitrary one.",
            cycles(n),
            rows(report.rows_on_cycles),
            rows(report.rows_leading_in)
        ),
        "Look at the jobs below; where the youngest edge is indeed the wrong one, run its repair, and look again.",
    );
    let mut findings = vec![finding.with_samples(report.components.iter().take(samples).map(sample).collect())];
    sort_findings(&mut findings);
    findings
}

fn cycles(n: u64) -> String {
    if n == 1 {
        "There is 1 circular reference".to_owned()
    } else {
        format!("There are {} circular references", count(n))
    }
}

fn rows(n: u64) -> String {
    if n == 1 { "1 row".to_owned() } else { format!("{} rows", count(n)) }
}

fn sample(component: &CircularComponent) -> Map<String, Value> {
    let sample = json!({
        "kind": component.kind.as_str(),
        "jobs": path(component),
        "rows": component.rows,
        "rows_leading_in": component.rows_leading_in,
    });
    match sample {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// `a -> b -> a`, cut where it is long.
fn path(component: &CircularComponent) -> String {
    let cycle = &component.witness;
    let mut steps: Vec<&str> = cycle.iter().take(JOBS_SHOWN).map(|job| shown(job)).collect();
    let left_out = cycle.len() - steps.len();
    let more = format!("({} more)", count(left_out as u64));
    if left_out > 0 {
        steps.push(&more);
    }
    steps.extend(cycle.first().map(|job| shown(job)));
    let mut path = steps.join(" -> ");
    if component.kind == Kind::SeveralCycles {
        path += &format!(", within {} jobs", count(component.jobs.len() as u64));
    }
    path
}

/// An id as it can be read: the empty one would be invisible.
fn shown(job: &str) -> &str {
    if job.is_empty() { "''" } else { job }
}

pub(super) fn view(report: &CyclesReport) -> View {
    let title = "Cycles".to_owned();
    if report.components.is_empty() {
        let answer = format!(
            "No circular references: every chain of the {} jobs in {} ends.",
            count(report.jobs),
            rows(report.rows)
        );
        return View { title, headline: vec![answer], blocks: Vec::new() };
    }
    let n = report.components.len();
    let headline = vec![format!(
        "{}: {} on them, and {} leading into them.",
        if n == 1 { "1 circular reference".to_owned() } else { format!("{} circular references", count(n as u64)) },
        rows(report.rows_on_cycles),
        rows(report.rows_leading_in)
    )];
    let mut table =
        Table::new("Circular references", &["kind", "jobs", "rows", "leading in", "a shortest cycle, child -> parent"]);
    for component in report.components.iter().take(SHOWN) {
        table.push(vec![
            component.kind.as_str().into(),
            (component.jobs.len() as u64).into(),
            component.rows.into(),
            component.rows_leading_in.into(),
            path(component).into(),
        ]);
    }
    let mut blocks = vec![Block::Table(table)];
    let repairs = report.components.iter().take(SHOWN).flat_map(|c| &c.repair).map(|cut| cut.sql.clone());
    blocks.push(Block::Text {
        title: "Suggested repair: cut the youngest edge of each (nothing is run)".to_owned(),
        lines: repairs.collect(),
    });
    if n > SHOWN {
        blocks.push(Block::Note(format!("{} more are in the JSON report (--format json).", count((n - SHOWN) as u64))));
    }
    View { title, headline, blocks }
}
