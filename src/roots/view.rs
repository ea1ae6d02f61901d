//! What the replay and the truth say to a person: the answer, then the two side by side, then the evidence.

use super::oracle::Outcome;
use super::report::{Cause, RootsReport};
use crate::render::count;
use crate::report::{Block, Cell, Table, View};

/// Depths shown line by line; a longer histogram is drawn together from there on.
const DEPTHS_SHOWN: usize = 30;

/// The report as a person reads it.
pub(super) fn view(report: &RootsReport) -> View {
    let mut blocks = vec![Block::Table(comparison(report))];
    if !report.replay.differences.is_empty() {
        blocks.push(Block::Table(differences(report)));
    }
    if !report.depth_histogram.is_empty() {
        blocks.push(Block::Table(depths(report)));
    }
    blocks.extend(plan(report).map(Block::Table));
    blocks.push(Block::Facts(facts(report)));
    let title = format!(
        "Roots: {} backfill, depth limit {}",
        report.replay.variant.as_str(),
        count(report.replay.depth_limit.into())
    );
    View { title, headline: headline(report), blocks }
}

fn headline(report: &RootsReport) -> Vec<String> {
    let replay = &report.replay;
    let fills = format!(
        "The {} backfill fills {} of {} rows and leaves {} NULL.",
        replay.variant.as_str(),
        count(replay.filled_rows),
        count(report.rows),
        count(replay.null_rows)
    );
    let mut lines = if replay.differing_rows == 0 {
        vec![format!("{fills} Every root it writes is the true one.")]
    } else {
        let causes: Vec<String> =
            replay.differences.iter().map(|d| format!("{} {}", count(d.rows), in_words(d.cause))).collect();
        let (verb, their) = if replay.differing_rows == 1 { ("doesn't", "its") } else { ("don't", "their") };
        vec![
            fills,
            format!(
                "{} of these rows {verb} get {their} true root: {}.",
                count(replay.differing_rows),
                causes.join(", ")
            ),
        ]
    };
    if replay.plan_dependent_rows > 0 {
        lines.push(format!("For {} of them the server's query plan decides which.", count(replay.plan_dependent_rows)));
    }
    lines
}

fn in_words(cause: Cause) -> &'static str {
    match cause {
        Cause::DepthLimit => "beyond the depth limit",
        Cause::Cycle => "on cycles or leading into them",
        Cause::Dangling => "below a missing parent",
        Cause::Ambiguous => "with several possible roots",
        Cause::OneHopShort => "stopped one hop short",
    }
}

fn meaning(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Root => "its own job",
        Outcome::Child => "the one root job above",
        Outcome::Orphan => "NULL: neither job nor parent",
        Outcome::Dangling => "NULL: ends at a missing parent",
        Outcome::Cyclic => "NULL: never ends",
        Outcome::Ambiguous => "NULL: several possible roots",
    }
}

fn comparison(report: &RootsReport) -> Table {
    let mut table = Table::new(
        "Truth beside replay: rows that get the true root, and rows that don't",
        &["outcome", "true root", "rows", "same", "differs", "NULL", "plan-dependent"],
    );
    for line in &report.comparison {
        table.push(vec![
            line.outcome.as_str().into(),
            meaning(line.outcome).into(),
            line.rows.into(),
            line.same_rows.into(),
            line.differing_rows.into(),
            line.null_rows.into(),
            line.plan_dependent_rows.into(),
        ]);
    }
    table
}

fn differences(report: &RootsReport) -> Table {
    let mut table = Table::new("Differences by cause", &["cause", "rows", "what the backfill writes"]);
    for difference in &report.replay.differences {
        let writes = match difference.cause {
            Cause::DepthLimit => "a job in mid-chain",
            Cause::Cycle => "a job of the cycle, or of a way out of it",
            Cause::Dangling => "the missing id, or the last job that exists",
            Cause::Ambiguous => "the end of the longest way",
            Cause::OneHopShort => "the job below the root",
        };
        table.push(vec![difference.cause.as_str().into(), difference.rows.into(), writes.into()]);
    }
    table
}

fn depths(report: &RootsReport) -> Table {
    let limit = report.replay.resolvable_hops;
    let mut table = Table::new("Hops to the root", &["depth", "rows", "share", "head-room to the limit"]);
    let total: u64 = report.depth_histogram.iter().map(|d| d.rows).sum();
    let share = |rows: u64| Cell::Share(rows as f64 / total.max(1) as f64);
    let room = |depth: u32| match limit.checked_sub(depth) {
        Some(room) => Cell::from(count(room.into())),
        None => Cell::from(format!("{} beyond", count((depth - limit).into()))),
    };
    let (shown, rest) = report.depth_histogram.split_at(report.depth_histogram.len().min(DEPTHS_SHOWN));
    for line in shown {
        table.push(vec![Cell::Count(line.depth.into()), line.rows.into(), share(line.rows), room(line.depth)]);
    }
    if let [first, .., last] | [first @ last] = rest {
        let rows = rest.iter().map(|d| d.rows).sum();
        let range = format!("{} to {}", count(first.depth.into()), count(last.depth.into()));
        table.push(vec![range.into(), Cell::Count(rows), share(rows), room(last.depth)]);
    }
    table
}

/// The plan's count beside what the SQL does; only where the two part.
fn plan(report: &RootsReport) -> Option<Table> {
    let plan = report.plan?;
    if plan.expected_filled_rows == report.replay.filled_rows {
        return None;
    }
    let mut table =
        Table::new("What a count by is_root_job expects, and what the SQL fills", &["", "expected", "filled"]);
    let with_parent =
        plan.rows_with_parent - (report.replay.null_rows - report.outcomes.orphan).min(plan.rows_with_parent);
    table.push(vec![
        "roots: marked is_root_job / a job and no parent".into(),
        plan.root_flag_rows.into(),
        report.outcomes.root.into(),
    ]);
    table.push(vec!["rows with a parent".into(), plan.rows_with_parent.into(), with_parent.into()]);
    table.push(vec!["together".into(), plan.expected_filled_rows.into(), report.replay.filled_rows.into()]);
    table.push(vec![
        "left NULL".into(),
        report.rows.saturating_sub(plan.expected_filled_rows).into(),
        report.replay.null_rows.into(),
    ]);
    Some(table)
}

fn facts(report: &RootsReport) -> Vec<(String, Cell)> {
    let replay = &report.replay;
    let mut facts = vec![
        ("jobs".to_owned(), Cell::Count(report.jobs)),
        ("longest chain".to_owned(), format!("{} hops", count(report.max_depth.into())).into()),
        ("the backfill climbs".to_owned(), format!("{} hops", count(replay.resolvable_hops.into())).into()),
        ("rows of the recursive query".to_owned(), Cell::Count(replay.fan_out_rows)),
        ("split families".to_owned(), format!("{} rows", count(replay.split_family_rows)).into()),
    ];
    if let Some(stored) = report.stored {
        let stale = format!("{} stale, {} not filled yet", count(stored.stale_rows), count(stored.unfilled_rows));
        facts.push(("stored root_job_id".to_owned(), stale.into()));
    }
    facts
}
