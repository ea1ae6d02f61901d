//! Sums of what a body's own statements did.
//!
//! Input: their reports. Output: the figures of the one statement that the body is, and a sentence. Invariant: what was undone isn't
//! counted.

use std::collections::BTreeMap;

use crate::dry_run::findings::plural;
use crate::dry_run::report::StatementReport;
use crate::render::count;

/// What a body has done so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    statements: u64,
    inserted: BTreeMap<String, u64>,
    updated: BTreeMap<String, u64>,
    deleted: BTreeMap<String, u64>,
    cascaded: u64,
    /// Definitions by what they are.
    defined: BTreeMap<String, u64>,
    plan_dependent: u64,
    unchanged: u64,
}
impl Sums {
    pub(super) fn add(&mut self, report: &StatementReport) {
        self.statements += 1;
        let table = report.table.clone().unwrap_or_default();
        let add = |to: &mut BTreeMap<String, u64>, rows: Option<u64>| {
            if let Some(rows) = rows.filter(|rows| *rows > 0) {
                *to.entry(table.clone()).or_default() += rows;
            }
        };
        add(&mut self.inserted, report.rows_inserted);
        add(&mut self.deleted, report.rows_deleted);
        if report.rows_changed.is_some() {
            let inserted = report.rows_inserted.unwrap_or(0);
            add(&mut self.updated, report.rows_affected.map(|rows| rows.saturating_sub(inserted)));
        }
        if !["INSERT", "UPDATE", "DELETE", "SELECT"].contains(&report.kind.as_str()) {
            *self.defined.entry(report.kind.clone()).or_default() += 1;
        }
        self.cascaded += report.rows_cascaded.unwrap_or(0);
        self.plan_dependent += report.plan_dependent_rows;
        self.unchanged += report.rows_unchanged.unwrap_or(0);
    }

    /// The sums as figures of the one statement, and in a sentence.
    pub(super) fn tell(&self, report: &mut StatementReport, rounds: u64) {
        let total = |of: &BTreeMap<String, u64>| Some(of.values().sum::<u64>()).filter(|rows| *rows > 0);
        report.rows_inserted = total(&self.inserted);
        report.rows_deleted = total(&self.deleted);
        if let Some(updated) = total(&self.updated) {
            report.rows_changed = Some(updated.saturating_sub(self.unchanged));
            report.rows_unchanged = Some(self.unchanged.min(updated));
        }
        report.rows_cascaded = Some(self.cascaded).filter(|rows| *rows > 0);
        report.plan_dependent_rows += self.plan_dependent;
        let mut tables: Vec<&String> =
            self.inserted.keys().chain(self.updated.keys()).chain(self.deleted.keys()).collect();
        tables.sort_unstable();
        tables.dedup();
        if let [table] = tables.as_slice() {
            report.table = Some((*table).clone());
        }
        let mut did = Vec::new();
        for (verb, word, sums) in
            [("inserts", "into", &self.inserted), ("updates", "of", &self.updated), ("deletes", "from", &self.deleted)]
        {
            did.extend(sums.iter().map(|(table, rows)| format!("{verb} {} {word} {table}", plural(*rows, "row"))));
        }
        did.extend(self.defined.iter().map(|(kind, times)| match times {
            1 => kind.clone(),
            times => format!("{kind} {} times", count(*times)),
        }));
        let rounds = match rounds {
            0 => String::new(),
            rounds => format!(" in {} of its loops", plural(rounds, "round")),
        };
        if self.statements > 0 || !rounds.is_empty() {
            let did = if did.is_empty() { "changes nothing".to_owned() } else { did.join(", ") };
            let ran = plural(self.statements, "statement");
            report.notes.insert(0, format!("Its body runs {ran}{rounds}: {did}."));
        }
    }
}
