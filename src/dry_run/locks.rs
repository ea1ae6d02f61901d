//! Locks: which table is closed to whom, from which statement to the end of its transaction.
//!
//! Input: the locks that statements took. Output: one [`LockSpan`] for each table and transaction, from the statement that takes the
//! strongest mode. Left out: how long it lasts on the server, which only the server can tell; rows written meanwhile stand for it.

use std::collections::BTreeMap;

use super::report::{LockSpan, StatementReport};
use super::session::{Session, TakenLock};
use crate::catalog::locks::LockMode;

/// The spans, in order of their first statement; reading locks and those of writes alone block nobody worth naming.
pub(super) fn spans(session: &Session<'_>) -> Vec<LockSpan> {
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    let mut strongest: BTreeMap<(usize, &str), &TakenLock> = BTreeMap::new();
    for lock in session.locks() {
        last.insert(lock.transaction, lock.statement);
        let held = strongest.entry((lock.transaction, lock.table.as_str())).or_insert(lock);
        if lock.mode > held.mode {
            *held = lock;
        }
    }
    let mut spans: Vec<LockSpan> = strongest
        .into_values()
        .filter(|lock| lock.mode >= LockMode::Share)
        .map(|lock| {
            let to_statement = last[&lock.transaction];
            LockSpan {
                table: lock.table.clone(),
                mode: lock.mode.as_str().to_owned(),
                blocks: lock.mode.blocks().to_owned(),
                from_statement: lock.statement,
                to_statement,
                rows_written_meanwhile: written(session.reports(), lock.statement, to_statement),
            }
        })
        .collect();
    spans.sort_by(|a, b| (a.from_statement, &a.table).cmp(&(b.from_statement, &b.table)));
    spans
}

/// Rows that statements wrote, from one to another.
fn written(reports: &[StatementReport], from: usize, to: usize) -> u64 {
    reports.iter().filter(|report| (from..=to).contains(&report.index)).map(rows_written).sum()
}

/// Rows that a statement wrote, referential actions included.
pub(super) fn rows_written(report: &StatementReport) -> u64 {
    let own = if report.kind == "SELECT" { 0 } else { report.rows_affected.unwrap_or(0) };
    own + report.rows_cascaded.unwrap_or(0)
}
