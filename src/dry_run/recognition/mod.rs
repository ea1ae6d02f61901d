//! Recognition: statements that are a ladder or a walk up a chain of parents, so that the truth can be told beside them.
//!
//! Input: the statements as they run, with the catalog they run on. Output: [`LadderReport`] and [`WalkReport`]: the whole
//! classification or roots report of the snapshot's rows, each finding pointing at the statement it is about. Invariants: what is
//! recognised reads only columns that no earlier statement has written, so the snapshot's rows are the rows it ran on; a form
//! that isn't exactly one of those known is left alone. Left out: the statements' own figures, which come from running them.

mod ladder;
pub(super) mod walk;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use pg_query::NodeEnum;
use pg_query::protobuf::RangeVar;

use super::report::{LadderReport, StatementReport, WalkReport};
use crate::catalog::{AttNum, Catalog, Oid, Table};
use crate::migration::{Migration, Statement};
use crate::report::{Finding, Location};
use crate::snapshot::Snapshot;
use ladder::Rung;

/// What has been recognised so far.
#[derive(Clone, Default)]
pub(super) struct Recognition {
    /// Runs of UPDATEs of one column, each with the table they write.
    ladders: Vec<Vec<Rung>>,
    /// Columns that statements have written; `None` where rows came or went.
    written: BTreeSet<(Oid, Option<AttNum>)>,
}

/// A table as the snapshot has it, under the names that a statement uses.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    oid: Oid,
    /// Its name in the snapshot.
    snapshot_table: String,
    /// Column names of the statement to those of the snapshot.
    columns: BTreeMap<String, String>,
    attnums: BTreeMap<String, AttNum>,
}

impl Seen {
    fn new(table: &Table) -> Option<Seen> {
        Some(Seen {
            oid: table.oid,
            snapshot_table: table.snapshot_table.clone()?,
            columns: table.columns.iter().filter_map(|c| Some((c.name.clone(), c.snapshot_column.clone()?))).collect(),
            attnums: table.columns.iter().map(|c| (c.name.clone(), c.attnum)).collect(),
        })
    }
}

fn target<'c>(relation: &RangeVar, catalog: &'c Catalog) -> Option<&'c Table> {
    let schema = Some(relation.schemaname.as_str()).filter(|s| !s.is_empty());
    catalog.table(schema, &relation.relname)
}

impl Recognition {
    /// Looks at a statement that has just run on this catalog.
    pub(super) fn observe(&mut self, statement: &Statement, catalog: &Catalog) {
        match &statement.node {
            NodeEnum::UpdateStmt(update) => {
                let Some(table) = update.relation.as_ref().and_then(|r| target(r, catalog)) else { return };
                if let Some(seen) = Seen::new(table)
                    && let Some(rung) = ladder::read(statement, update, &seen)
                    && !self.reads_written(&seen, rung.reads())
                {
                    self.add(rung);
                }
                for node in &update.target_list {
                    if let Some(NodeEnum::ResTarget(target)) = &node.node
                        && let Some(column) = table.column(&target.name)
                    {
                        self.written.insert((table.oid, Some(column.attnum)));
                    }
                }
            }
            NodeEnum::InsertStmt(insert) => self.note_rows(insert.relation.as_ref(), catalog),
            NodeEnum::DeleteStmt(delete) => self.note_rows(delete.relation.as_ref(), catalog),
            _ => {}
        }
    }

    /// Notes that a statement's table isn't the snapshot's any more.
    pub(super) fn note_written(&mut self, statement: &Statement, catalog: &Catalog) {
        match &statement.node {
            NodeEnum::InsertStmt(insert) => self.note_rows(insert.relation.as_ref(), catalog),
            NodeEnum::UpdateStmt(update) => self.note_rows(update.relation.as_ref(), catalog),
            NodeEnum::DeleteStmt(delete) => self.note_rows(delete.relation.as_ref(), catalog),
            _ => {}
        }
    }

    fn note_rows(&mut self, relation: Option<&RangeVar>, catalog: &Catalog) {
        if let Some(table) = relation.and_then(|r| target(r, catalog)) {
            self.written.insert((table.oid, None));
        }
    }

    fn reads_written<'n>(&self, seen: &Seen, mut columns: impl Iterator<Item = &'n str>) -> bool {
        self.written.contains(&(seen.oid, None))
            || columns.any(|name| self.written.contains(&(seen.oid, seen.attnums.get(name).copied())))
    }

    fn add(&mut self, rung: Rung) {
        match self.ladders.iter_mut().find(|l| l.first().is_some_and(|first| first.continues(&rung))) {
            Some(ladder) => ladder.push(rung),
            None => self.ladders.push(vec![rung]),
        }
    }

    /// Classifies the snapshot's rows by each ladder of two statements or more; a table without rows has nothing to classify.
    pub(super) fn ladders(
        &self,
        snapshot: &Snapshot,
        migration: &Migration,
        samples: usize,
    ) -> Result<Vec<LadderReport>> {
        let ladders = self.ladders.iter().filter(|rungs| rungs.len() > 1 && rungs[0].has_rows(snapshot));
        ladders.map(|rungs| ladder::report(rungs, snapshot, migration, samples)).collect()
    }
}

/// The reports of the walks among statements that have run.
pub(super) fn walks(migration: &Migration, reports: &mut [StatementReport]) -> Vec<WalkReport> {
    let walked = migration.statements.iter().zip(reports);
    walked
        .filter_map(|(statement, report)| {
            let roots = report.walk.take()?;
            let findings =
                roots.findings.iter().map(|finding| placed(finding, location(statement, migration))).collect();
            let column = report.columns.first().map_or_else(String::new, |change| change.column.clone());
            let table = report.table.clone().unwrap_or_default();
            Some(WalkReport { table, column, statement: statement.index, roots, findings })
        })
        .collect()
}

/// The place of a statement.
fn location(statement: &Statement, migration: &Migration) -> Location {
    Location {
        file: migration.files[statement.place.file].name.clone(),
        line: statement.place.line,
        column: Some(statement.place.column),
        end_line: Some(statement.end_line),
    }
}

/// The same finding at a statement, unless it has a place already.
fn placed(finding: &Finding, location: Location) -> Finding {
    let mut finding = finding.clone();
    if finding.location.is_none() {
        finding.location = Some(location);
    }
    finding
}
