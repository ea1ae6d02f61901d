//! What was recognised in the migration: ladders rule by rule, walks beside the truth; and who overrode whom.

use super::super::report::{DryRunReport, LadderReport, WalkReport};
use crate::render::count;
use crate::report::{Cell, Table};

/// A ladder's rules in the order they run.
pub(super) fn ladder(report: &DryRunReport, ladder: &LadderReport) -> Table {
    // The table's name now; the ladder knows the one in the snapshot.
    let first = ladder.statements.first().and_then(|index| report.statements.get(index - 1));
    let name = first.and_then(|statement| statement.table.as_deref()).unwrap_or(&ladder.table);
    let title = format!("Ladder that fills {name}.{}, rule by rule", ladder.column);
    let mut table = Table::new(title, &["no", "where", "category", "matched", "won", "lost", "its comment"]);
    for (rule, statement) in ladder.classification.rules.iter().zip(&ladder.statements) {
        let lost: Vec<String> = rule.lost_to.iter().map(|l| format!("{} to {}", count(l.rows), named(&l.id))).collect();
        table.push(vec![
            Cell::Count(*statement as u64),
            named(&rule.id).into(),
            rule.category.as_str().into(),
            rule.matched_rows.into(),
            rule.won_rows.into(),
            lost.join(", ").into(),
            rule.comment.as_deref().map_or(Cell::Empty, Cell::from),
        ]);
    }
    table
}

/// A rule's id as a person says it: `line-26` is line 26.
fn named(id: &str) -> String {
    id.replacen("line-", "line ", 1)
}

/// Each walk beside the truth; outcomes that no row has are left out.
pub(super) fn walks(walks: &[WalkReport]) -> Option<Table> {
    if walks.is_empty() {
        return None;
    }
    let outcomes = |walk: &WalkReport| {
        let o = &walk.roots.outcomes;
        [
            ("roots", o.root),
            ("children", o.child),
            ("orphans", o.orphan),
            ("dangling", o.dangling),
            ("cyclic", o.cyclic),
            ("ambiguous", o.ambiguous),
        ]
    };
    let shown: Vec<&str> =
        walks.iter().flat_map(outcomes).filter(|(_, rows)| *rows > 0).map(|(name, _)| name).collect();
    let shown: Vec<&str> =
        outcomes(&walks[0]).iter().map(|(name, _)| *name).filter(|name| shown.contains(name)).collect();
    let mut headings = vec!["no", "column"];
    headings.extend(&shown);
    headings.extend(["filled", "NULL", "wrong root", "deepest", "climbs", "rows made"]);
    let mut table = Table::new("Walk up the parents, beside the truth", &headings);
    for walk in walks {
        let mut row = vec![Cell::Count(walk.statement as u64), walk.column.as_str().into()];
        row.extend(outcomes(walk).iter().filter(|(name, _)| shown.contains(name)).map(|(_, rows)| Cell::Count(*rows)));
        let replay = &walk.roots.replay;
        row.extend([
            replay.filled_rows.into(),
            replay.null_rows.into(),
            replay.differing_rows.into(),
            Cell::Count(walk.roots.max_depth.into()),
            Cell::Count(replay.resolvable_hops.into()),
            replay.fan_out_rows.into(),
        ]);
        table.push(row);
    }
    Some(table)
}

/// Rows that a statement wrote after another of the same migration had.
pub(super) fn overlaps(report: &DryRunReport) -> Option<Table> {
    let mut table =
        Table::new("Rows that two statements write", &["column", "first", "then", "rows", "of them overridden"]);
    for statement in &report.statements {
        for overlap in &statement.overlaps {
            table.push(vec![
                overlap.column.as_str().into(),
                format!("statement {}", overlap.statement).into(),
                format!("statement {}", statement.index).into(),
                overlap.rows.into(),
                overlap.overridden_rows.into(),
            ]);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}
