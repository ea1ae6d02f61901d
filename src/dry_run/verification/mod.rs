//! Verification: do the rows keep what the schema demands?
//!
//! Input: rows that a statement wrote, or a constraint, index or NOT NULL that it adds. Output: nothing, or a [`Violation`] with
//! the server's SQLSTATE and words, the number of rows and some of them. Invariants: only rows written are judged, and only by rules
//! that read a column written, or that older rows needn't keep; every question is one scan or one join. The server stops at the first row it meets; here all are
//! counted and the DETAIL names the least.

mod exclusion;
pub(super) mod keys;
mod references;
mod routing;
mod rows;
mod unique;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::engine::{Halt, Ran, Violation};
use super::execution::{Run, Touched, describe_row};
use super::store::{column, columns_in};
use crate::catalog::problem::ServerError;
use crate::catalog::{AttNum, Constraint, ConstraintKind, Index, Oid, Timing, Type};
use crate::render::count;
use crate::translate::{column_name, table_name};

/// A violation of the schema, without samples.
pub(super) fn violation(sqlstate: &'static str, message: String, detail: Option<String>, rows: u64) -> Violation {
    let error = ServerError { sqlstate, message, detail, hint: None, position: None };
    Violation { error, rows, samples: Vec::new(), first: None }
}

/// Goes on after a violation, so that the one of the first row is found: of rows that come in the server judges one after the other. Of
/// others the violation found first stays.
fn go_on(found: &mut Option<Box<Violation>>, judged: Ran<()>) -> Ran<()> {
    match judged {
        Err(Halt::Violation(next)) => {
            if found.as_ref().is_none_or(|known| next.first < known.first) {
                *found = Some(next);
            }
            Ok(())
        }
        judged => judged,
    }
}

fn refused(found: Option<Box<Violation>>) -> Ran<()> {
    found.map_or(Ok(()), |violation| Err(Halt::Violation(violation)))
}

/// From so many rows on it matters how a question is put.
const MANY: u64 = 10_000;

/// Does a rule that reads `columns` concern these rows?
fn concerns(touched: &Touched, columns: &BTreeSet<AttNum>) -> bool {
    touched.columns.as_ref().is_none_or(|written| !written.is_disjoint(columns))
}

impl Run<'_, '_> {
    /// Judges all rows that the statement wrote.
    pub(super) fn verify_touched(&mut self) -> Ran<()> {
        for touched in self.touched.clone() {
            // A table that the same statement dropped keeps no rule.
            if self.catalog.tables.contains_key(&touched.table) {
                self.verify_routing(&touched)?;
                let mut found = None;
                go_on(&mut found, self.verify_not_null_rows(&touched))?;
                if found.is_none() || touched.columns.is_none() {
                    go_on(&mut found, self.verify_checks(&touched))?;
                }
                if found.is_none() || touched.columns.is_none() {
                    go_on(&mut found, self.verify_unique_rows(&touched))?;
                    go_on(&mut found, self.verify_exclusions(&touched))?;
                }
                refused(found)?;
            }
        }
        // Foreign keys come last: another part of the statement may have brought the parent.
        for touched in self.touched.clone() {
            self.verify_foreign_keys(&touched).map_err(|halt| match halt {
                Halt::Violation(mut violation) => {
                    violation.first = None;
                    Halt::Violation(violation)
                }
                halt => halt,
            })?;
        }
        Ok(())
    }

    fn relation(&self, table: Oid) -> String {
        self.catalog.tables.get(&table).map_or_else(|| format!("t{table}"), |t| t.name.clone())
    }

    /// Some of the rows of `from`, where the table goes by `t`.
    pub(super) fn samples_of(&mut self, table: Oid, columns: &[AttNum], from: &str) -> Ran<Vec<Map<String, Value>>> {
        if self.samples == 0 {
            return Ok(Vec::new());
        }
        let shown = describe_row(self.catalog, table, columns, "t");
        self.store.engine.objects(&format!("SELECT {shown} {from} ORDER BY t._r LIMIT {}", self.samples))
    }

    fn refuse(&mut self, table: Oid, columns: &[AttNum], from: &str, mut violation: Violation) -> Ran<()> {
        violation.samples = self.samples_of(table, columns, from)?;
        if violation.first.is_none() {
            violation.first = self.store.engine.rows(&format!("SELECT min(t._r) {from}"), |row| row.get(0))?.pop();
        }
        if let Some(partition) = self.partition_of_rows(table, from)? {
            violation.error.message = self.of_partition(table, partition, &violation.error.message);
        }
        Err(Halt::Violation(Box::new(violation)))
    }

    fn unverified(&mut self, rule: &str, what: &str) {
        self.remark(format!("The {rule} isn't verified: it uses {what}."));
    }

    fn remark(&mut self, note: String) {
        if !self.report.notes.contains(&note) {
            self.report.notes.push(note);
        }
    }

    /// SET NOT NULL, or a new column that may not be NULL.
    pub(super) fn verify_not_null(&mut self, table: Oid, attnum: AttNum) -> Ran<()> {
        self.store.ensure(table, [attnum])?;
        let from = format!("FROM {} AS t WHERE t.{} IS NULL", table_name(table), column_name(attnum));
        let rows = self.store.engine.count(&format!("SELECT count(*) {from}"))?;
        if rows == 0 {
            return Ok(());
        }
        let name = &column(self.catalog, table, attnum)?.name;
        let message = format!("column \"{name}\" of relation \"{}\" contains null values", self.relation(table));
        self.refuse(table, &[attnum], &from, violation("23502", message, None, rows))
    }

    /// A new unique index.
    pub(super) fn verify_index(&mut self, index: Oid) -> Ran<()> {
        let Some(index) = self.catalog.indexes.get(&index).cloned() else { return Ok(()) };
        let Some(key) = self.key_sql(&index)? else { return Ok(()) };
        let message = format!("could not create unique index \"{}\"", index.name);
        self.verify_unique(&index, &key, None, message, "is duplicated")
    }

    /// Is a constraint checked at the end of the transaction only? What is run again was all well in the end.
    pub(super) fn waits(&self, constraint: &Constraint) -> bool {
        let deferrable = self.replaying && constraint.timing != Timing::Immediate;
        self.holds_deferred && (deferrable || self.catalog.is_deferred(constraint))
    }

    /// A constraint that waited for the end of its transaction.
    pub(super) fn verify_deferred(&mut self, oid: Oid, side: Side) -> Ran<()> {
        let Some(constraint) = self.catalog.constraints.get(&oid).cloned() else { return Ok(()) };
        match (&constraint.kind, side) {
            (ConstraintKind::PrimaryKey(index) | ConstraintKind::Unique(index), _) => {
                let Some(index) = self.catalog.indexes.get(index).cloned() else { return Ok(()) };
                let Some(key) = self.key_sql(&index)? else { return Ok(()) };
                let message = format!("duplicate key value violates unique constraint \"{}\"", index.name);
                self.verify_unique(&index, &key, None, message, "already exists")
            }
            (ConstraintKind::ForeignKey(key), Side::Own) => self.verify_foreign_key(&constraint, key, None),
            (ConstraintKind::ForeignKey(key), Side::Parent) => match self.verify_foreign_key(&constraint, key, None) {
                Err(Halt::Violation(mut violation)) => {
                    violation.error.message = format!(
                        "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
                        self.relation(key.parent),
                        constraint.name,
                        self.relation(constraint.table)
                    );
                    violation.error.detail = None;
                    Err(Halt::Violation(violation))
                }
                other => other,
            },
            _ => Ok(()),
        }
    }

    /// A new or newly validated foreign key or check.
    pub(super) fn verify_constraint(&mut self, oid: Oid) -> Ran<()> {
        let Some(constraint) = self.catalog.constraints.get(&oid).cloned() else { return Ok(()) };
        match &constraint.kind {
            ConstraintKind::ForeignKey(key) => self.verify_foreign_key(&constraint, key, None),
            ConstraintKind::PrimaryKey(index) | ConstraintKind::Unique(index) => self.verify_index(*index),
            ConstraintKind::Exclusion(_) => self.verify_exclusion(&constraint, None),
            ConstraintKind::AbsentForeignKey(key) => {
                let what = format!("the table {}, which the snapshot doesn't hold", key.parent);
                self.unverified(&format!("foreign key {}", constraint.name), &what);
                Ok(())
            }
            ConstraintKind::Check(check) => {
                let Some(sql) = self.check_sql(&constraint, check)? else { return Ok(()) };
                let columns = columns_in(&sql);
                self.store.ensure(constraint.table, columns.iter().copied())?;
                let name = table_name(constraint.table);
                let from = format!("FROM (SELECT * FROM {name} WHERE NOT ({sql})) AS t");
                let rows = self.store.engine.count(&format!("SELECT count(*) {from}"))?;
                if rows == 0 {
                    return Ok(());
                }
                let message = format!(
                    "check constraint \"{}\" of relation \"{}\" is violated by some row",
                    constraint.name,
                    self.relation(constraint.table)
                );
                let shown: Vec<AttNum> = columns.into_iter().collect();
                self.refuse(constraint.table, &shown, &from, violation("23514", message, None, rows))
            }
        }
    }

    /// An update whose new keys meet old keys of other rows: the server checks row by row and may stop on the way.
    pub(super) fn warn_of_shifted_keys(&mut self, table: Oid, stage: &str, columns: &[AttNum]) -> Ran<()> {
        let indexes: Vec<Index> =
            self.catalog.indexes.values().filter(|i| i.unique && i.table == table).cloned().collect();
        for index in indexes {
            let Some(plain) = index.key_columns() else { continue };
            if !plain.iter().any(|c| columns.contains(c)) {
                continue;
            }
            self.store.ensure(table, plain.iter().copied())?;
            let name = table_name(table);
            // Of a partial index only the rows that it holds are in the way.
            let held = match &index.predicate {
                None => name.clone(),
                Some(predicate) => {
                    let read = self.translator().table_expression(table, &predicate.node, Some(&Type::Bool));
                    let Ok((condition, _)) = read else { continue };
                    self.store.ensure(table, columns_in(&condition))?;
                    format!("(SELECT * FROM {name} WHERE {condition})")
                }
            };
            let new = |c: &AttNum| if columns.contains(c) { format!("s.n{c}") } else { format!("t.c{c}") };
            let equal: Vec<String> = plain.iter().map(|c| format!("o.c{c} = {}", new(c))).collect();
            let whole = plain.iter().all(|c| columns.contains(c));
            let old = if whole { String::new() } else { format!(" JOIN {name} AS t ON t._r = s._r") };
            let rows = self.store.engine.count(&format!(
                "SELECT count(*) FROM {stage} AS s{old} JOIN {held} AS o ON {} WHERE o._r <> s._r",
                equal.join(" AND ")
            ))?;
            if rows > 0 {
                self.report.notes.push(format!(
                    "{} new keys are still other rows' when they are written: the server checks the unique index {} row by row and may fail with 23505 on the way, although the end would be sound.",
                    count(rows),
                    index.name
                ));
            }
        }
        Ok(())
    }
}

/// The rows touched, as a FROM clause where the table goes by `t`.
fn written(touched: &Touched, condition: &str) -> String {
    format!("FROM {} AS t WHERE {condition} AND t._r IN (SELECT _r FROM {})", table_name(touched.table), touched.rows)
}
/// Which side of a constraint a row was written on that breaks it until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dry_run) enum Side {
    /// The constraint's own table.
    Own,
    /// The table that a foreign key refers to.
    Parent,
}
