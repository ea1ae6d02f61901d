//! Verification: do the rows keep what the schema demands?
//!
//! Input: rows that a statement wrote, or a constraint, index or NOT NULL that it adds. Output: nothing, or a [`Violation`] with
//! the server's SQLSTATE and words, the number of rows and some of them. Invariants: only rows written are judged, and only by rules
//! that read a column written, or that older rows needn't keep; every question is one scan or one join. The server stops at the first row it meets; here all are
//! counted and the DETAIL names the least. Left out: EXCLUDE.

pub(super) mod keys;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::engine::{Halt, Ran, Violation};
use super::execution::{Run, Touched, describe_row};
use super::store::{column, columns_in, columns_of};
use crate::catalog::partition::Routing;
use crate::catalog::problem::ServerError;
use crate::catalog::{AttNum, Constraint, ConstraintKind, Expression, ForeignKey, Index, Oid, Problem, Timing, Type};
use crate::render::count;
use crate::translate::{column_name, equality, has_equality, refusal_in, table_name};
use keys::{KeySql, quoted_where_needed, text_of};

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

    /// Every row of a partitioned table has a partition.
    fn verify_routing(&mut self, touched: &Touched) -> Ran<()> {
        let Some(partitioning) = self.catalog.partitioned.get(&touched.table).cloned() else { return Ok(()) };
        if !concerns(touched, &partitioning.key.iter().copied().collect()) {
            return Ok(());
        }
        let condition = match self.catalog.routing(touched.table) {
            Routing::All => return Ok(()),
            Routing::Rows(condition) => condition,
            Routing::Unknown => {
                let any = self.store.engine.count(&format!("SELECT count(*) FROM {}", touched.rows))?;
                return match any {
                    0 => Ok(()),
                    _ => Err(Problem::unsupported("which partition rows go to by their hash").into()),
                };
            }
        };
        let (sql, _) = self.translator().table_expression(touched.table, &condition.node, Some(&Type::Bool))?;
        self.store.ensure(touched.table, columns_in(&sql))?;
        let name = table_name(touched.table);
        let lost = format!(
            "FROM (SELECT * FROM {name} WHERE _r IN (SELECT _r FROM {}) AND ({sql}) IS NOT TRUE) AS t",
            touched.rows
        );
        let rows = self.store.engine.count(&format!("SELECT count(*) {lost}"))?;
        if rows == 0 {
            return Ok(());
        }
        let message = format!("no partition of relation \"{}\" found for row", self.relation(touched.table));
        self.refuse(touched.table, &partitioning.key, &lost, violation("23514", message, None, rows))
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

    /// The partition that the least of these rows is in.
    fn partition_of_rows(&mut self, table: Oid, from: &str) -> Ran<Option<Oid>> {
        if !self.catalog.partitioned.contains_key(&table) {
            return Ok(None);
        }
        let partitions: Vec<(Oid, Option<Expression>)> = self
            .catalog
            .partitions_of(table)
            .map(|(oid, partition)| (oid, self.catalog.partition_condition(partition)))
            .collect();
        for (oid, condition) in partitions {
            let Some(condition) = condition else { continue };
            let (sql, _) = self.translator().table_expression(table, &condition.node, Some(&Type::Bool))?;
            self.store.ensure(table, columns_in(&sql))?;
            let rows =
                format!("SELECT count(*) FROM {} WHERE _r = (SELECT min(t._r) {from}) AND {sql}", table_name(table));
            if self.store.engine.count(&rows)? > 0 {
                return Ok(Some(oid));
            }
        }
        Ok(None)
    }

    /// A message about a partitioned table, as the server words it: of the partition that the row is in.
    fn of_partition(&self, table: Oid, partition: Oid, message: &str) -> String {
        let named = |word: &str, oid: Oid| format!("{word} \"{}\"", self.relation(oid));
        let mut message = message.to_owned();
        for word in ["relation", "on table"] {
            message = message.replacen(&named(word, table), &named(word, partition), 1);
        }
        for index in self.catalog.indexes_of(table) {
            let columns = index.key_columns();
            let same = self.catalog.indexes_of(partition).find(|own| {
                own.unique == index.unique
                    && own.key_columns() == columns
                    && own.constraint.is_some() == index.constraint.is_some()
            });
            if let Some(own) = same {
                message = message.replacen(&format!("\"{}\"", index.name), &format!("\"{}\"", own.name), 1);
            }
        }
        message
    }

    fn verify_not_null_rows(&mut self, touched: &Touched) -> Ran<()> {
        let required: Vec<(AttNum, String)> = columns_of(self.catalog, touched.table)
            .iter()
            .filter(|c| c.not_null && concerns(touched, &BTreeSet::from([c.attnum])))
            .map(|c| (c.attnum, c.name.clone()))
            .collect();
        // Nearly always none is NULL: that is asked once for all columns.
        let nulls: Vec<String> = required
            .iter()
            .map(|(attnum, _)| format!("count(*) FILTER (t.{} IS NULL)", column_name(*attnum)))
            .collect();
        if nulls.is_empty()
            || self.store.engine.count(&format!("SELECT {} {}", nulls.join(" + "), written(touched, "true")))? == 0
        {
            return Ok(());
        }
        let mut found = None;
        for (attnum, name) in required {
            let from = written(touched, &format!("t.{} IS NULL", column_name(attnum)));
            let rows = self.store.engine.count(&format!("SELECT count(*) {from}"))?;
            if rows > 0 {
                let null = self.null_value(touched.table, &name, rows);
                go_on(&mut found, self.refuse(touched.table, &[attnum], &from, null))?;
            }
        }
        refused(found)
    }

    fn verify_checks(&mut self, touched: &Touched) -> Ran<()> {
        let exclusions = self.catalog.constraints.values().filter(|c| c.table == touched.table);
        let exclusions = exclusions.filter(|c| matches!(c.kind, ConstraintKind::Exclusion(_)));
        for name in exclusions.map(|constraint| constraint.name.clone()).collect::<Vec<_>>() {
            self.unverified(&format!("exclusion constraint {name}"), "operators that aren't evaluated here");
        }
        let mut found = None;
        for (constraint, check) in self.checks_of(touched.table) {
            let Some(sql) = self.check_sql(&constraint, &check)? else { continue };
            let columns = columns_in(&sql);
            // A row that broke a NOT VALID check from the start fails at any update of it.
            if constraint.validated && !concerns(touched, &columns) {
                continue;
            }
            self.store.ensure(touched.table, columns.iter().copied())?;
            let name = table_name(touched.table);
            let broken = format!(
                "FROM (SELECT * FROM {name} WHERE _r IN (SELECT _r FROM {}) AND NOT ({sql})) AS t",
                touched.rows
            );
            let rows = self.store.engine.count(&format!("SELECT count(*) {broken}"))?;
            if rows > 0 {
                let shown: Vec<AttNum> = columns.into_iter().collect();
                let check = self.broken_check(touched.table, &constraint, rows);
                go_on(&mut found, self.refuse(touched.table, &shown, &broken, check))?;
            }
        }
        refused(found)
    }

    fn null_value(&self, table: Oid, name: &str, rows: u64) -> Violation {
        let relation = self.relation(table);
        let message =
            format!("null value in column \"{name}\" of relation \"{relation}\" violates not-null constraint");
        violation("23502", message, None, rows)
    }

    fn broken_check(&self, table: Oid, constraint: &Constraint, rows: u64) -> Violation {
        let (relation, name) = (self.relation(table), &constraint.name);
        let message = format!("new row for relation \"{relation}\" violates check constraint \"{name}\"");
        violation("23514", message, None, rows)
    }

    /// Judges rows that are proposed for insertion, before it is known which of them come in: a stage with `n<attnum>`.
    pub(super) fn verify_proposed(&mut self, table: Oid, stage: &str) -> Ran<()> {
        let shape = self.in_table_shape(table, stage);
        let required: Vec<(AttNum, String)> = (columns_of(self.catalog, table).iter())
            .filter(|c| c.not_null)
            .map(|c| (c.attnum, c.name.clone()))
            .collect();
        let mut found = None;
        for (attnum, name) in required {
            let from = format!("FROM {shape} AS t WHERE t.{} IS NULL", column_name(attnum));
            let rows = self.store.engine.count(&format!("SELECT count(*) {from}"))?;
            if rows > 0 {
                let null = self.null_value(table, &name, rows);
                go_on(&mut found, self.refuse(table, &[attnum], &from, null))?;
            }
        }
        for (constraint, check) in self.checks_of(table) {
            let Some(sql) = self.check_sql(&constraint, &check)? else { continue };
            let from = format!("FROM (SELECT * FROM {shape} AS {} WHERE NOT ({sql})) AS t", table_name(table));
            let rows = self.store.engine.count(&format!("SELECT count(*) {from}"))?;
            if rows > 0 {
                let shown: Vec<AttNum> = columns_in(&sql).into_iter().collect();
                let check = self.broken_check(table, &constraint, rows);
                go_on(&mut found, self.refuse(table, &shown, &from, check))?;
            }
        }
        refused(found)
    }

    /// A table's checks in the order of their names, which is the server's.
    fn checks_of(&self, table: Oid) -> Vec<(Constraint, Expression)> {
        let of_table = self.catalog.constraints.values().filter(|constraint| constraint.table == table);
        let mut checks: Vec<(Constraint, Expression)> = of_table
            .filter_map(|constraint| match &constraint.kind {
                ConstraintKind::Check(check) => Some((constraint.clone(), check.clone())),
                _ => None,
            })
            .collect();
        checks.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        checks
    }

    /// A check as SQL; one that can't be read is said not to be verified.
    fn check_sql(&mut self, constraint: &Constraint, check: &Expression) -> Ran<Option<String>> {
        let what = match self.translator().table_expression(constraint.table, &check.node, Some(&Type::Bool)) {
            Ok((sql, _)) => match refusal_in(&sql) {
                Some(what) => what,
                None => return Ok(Some(sql)),
            },
            Err(Problem::Unsupported(unsupported)) => unsupported.what,
            Err(problem) => return Err(problem.into()),
        };
        self.unverified(&format!("check constraint {}", constraint.name), &what);
        Ok(None)
    }

    fn unverified(&mut self, rule: &str, what: &str) {
        let note = format!("The {rule} isn't verified: it uses {what}.");
        if !self.report.notes.contains(&note) {
            self.report.notes.push(note);
        }
    }

    fn verify_unique_rows(&mut self, touched: &Touched) -> Ran<()> {
        let indexes: Vec<Index> =
            self.catalog.indexes.values().filter(|i| i.unique && i.table == touched.table).cloned().collect();
        let mut found = None;
        for index in indexes {
            let Some(key) = self.key_sql(&index)? else { continue };
            if !concerns(touched, &key.columns) {
                continue;
            }
            let message = format!("duplicate key value violates unique constraint \"{}\"", index.name);
            // Where most rows were written, the keys of all are counted faster than those of some are looked up.
            let written = self.store.engine.count(&format!("SELECT count(*) FROM {}", touched.rows))?;
            let constraint = index.constraint.and_then(|oid| self.catalog.constraints.get(&oid));
            let waits = constraint.is_some_and(|constraint| self.catalog.is_deferred(constraint));
            let most = !waits && written > MANY && written * 2 > self.store.row_count(touched.table)?;
            let among = (!most).then_some(touched.rows.as_str());
            go_on(&mut found, self.verify_unique(&index, &key, among, message, "already exists"))?;
            if self.may_pend(touched, constraint) {
                self.pending.entry(index.table).or_insert(false);
            }
        }
        refused(found)
    }

    /// May a new value of a unique key that waits have met another for a moment, although it doesn't in the end?
    fn may_pend(&self, touched: &Touched, constraint: Option<&Constraint>) -> bool {
        touched.columns.is_some() && constraint.is_some_and(|constraint| self.waits(constraint))
    }

    fn key_sql(&mut self, index: &Index) -> Ran<Option<KeySql>> {
        match KeySql::of(&self.translator(), index) {
            Ok(key) => Ok(Some(key)),
            Err(Halt::Problem(Problem::Unsupported(unsupported))) => {
                self.unverified(&format!("unique index {}", index.name), &unsupported.what);
                Ok(None)
            }
            Err(halt) => Err(halt),
        }
    }

    /// No two rows agree on the key; with `among`, only keys that these rows have are looked at.
    fn verify_unique(
        &mut self,
        index: &Index,
        key: &KeySql,
        among: Option<&str>,
        message: String,
        verb: &str,
    ) -> Ran<()> {
        self.store.ensure(index.table, key.columns.iter().copied())?;
        let name = table_name(index.table);
        let (keys, names) = (key.select(&name, &name), key.names());
        let looked_at = match among {
            None => "SELECT * FROM k".to_owned(),
            Some(rows) => format!(
                "SELECT k.* FROM k SEMI JOIN (SELECT DISTINCT {names} FROM k WHERE _r IN (SELECT _r FROM {rows})) AS w ON {}",
                key.join("k", "w")
            ),
        };
        let repeated = format!(
            "WITH k AS MATERIALIZED ({keys}), seen AS ({looked_at}) SELECT {names}, count(*) AS rows{} FROM seen GROUP BY {names} HAVING count(*) > 1",
            key.shown()
        );
        let found = self
            .store
            .engine
            .rows(&format!("SELECT rows, {} AS key FROM ({repeated}) ORDER BY key", key.text()), |row| {
                Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, String>(1)?))
            })?;
        let Some((_, first)) = found.first() else { return Ok(()) };
        let constraint = index.constraint.and_then(|oid| self.catalog.constraints.get(&oid));
        if let Some(constraint) = constraint.filter(|c| among.is_some() && self.waits(c)) {
            self.deferred.insert(constraint.oid, Side::Own);
            self.pending.insert(index.table, true);
            return Ok(());
        }
        let rows = found.iter().map(|(rows, _)| rows).sum();
        let detail = format!("Key ({})=({first}) {verb}.", key.label);
        let shown: Vec<AttNum> = key.columns.iter().copied().collect();
        let from = format!(
            "FROM {name} AS t WHERE t._r IN (SELECT k._r FROM ({keys}) AS k SEMI JOIN ({repeated}) AS d ON {})",
            key.join("k", "d")
        );
        let mut violation = violation("23505", message, Some(detail), rows);
        // Of equal rows the first one that comes in is well.
        let second = format!(
            "SELECT min(_r) FROM (SELECT k._r, row_number() OVER (PARTITION BY {names} ORDER BY k._r) AS n FROM ({keys}) AS k) WHERE n > 1"
        );
        violation.first = self.store.engine.rows(&second, |row| row.get(0))?.pop();
        self.refuse(index.table, &shown, &from, violation)
    }

    fn verify_foreign_keys(&mut self, touched: &Touched) -> Ran<()> {
        let keys: Vec<(Constraint, ForeignKey)> = self
            .catalog
            .constraints
            .values()
            .filter(|constraint| constraint.table == touched.table)
            .filter_map(|constraint| match &constraint.kind {
                ConstraintKind::ForeignKey(key) => Some((constraint.clone(), key.clone())),
                _ => None,
            })
            .collect();
        for (constraint, key) in keys {
            if concerns(touched, &key.columns.iter().copied().collect()) {
                if self.waits(&constraint) {
                    let rows = self.store.engine.count(&format!("SELECT count(*) FROM {}", touched.rows))?;
                    // Of an update nobody says here whether the key was another before.
                    if rows > 0 {
                        *self.pending.entry(touched.table).or_insert(false) |= touched.columns.is_none();
                    }
                }
                self.verify_foreign_key(&constraint, &key, Some(&touched.rows))?;
            }
        }
        Ok(())
    }

    fn verify_foreign_key(&mut self, constraint: &Constraint, key: &ForeignKey, among: Option<&str>) -> Ran<()> {
        let child = constraint.table;
        let types = key.columns.iter().map(|&attnum| column(self.catalog, child, attnum).map(|c| c.ty.clone()));
        if let Some(Ok(ty)) = types.into_iter().find(|ty| ty.as_ref().is_ok_and(|ty| !has_equality(ty))) {
            let what = format!("a comparison of {}", ty.name(self.catalog));
            self.unverified(&format!("foreign key {}", constraint.name), &what);
            return Ok(());
        }
        self.store.ensure(child, key.columns.iter().copied())?;
        self.store.ensure(key.parent, key.parent_columns.iter().copied())?;
        let mut pairs = Vec::new();
        for (c, p) in key.columns.iter().zip(&key.parent_columns) {
            let (own, parent) = (&column(self.catalog, child, *c)?.ty, &column(self.catalog, key.parent, *p)?.ty);
            pairs.push(equality((&format!("t.c{c}"), own), (&format!("p.c{p}"), parent)));
        }
        let present: Vec<String> = key.columns.iter().map(|c| format!("t.c{c} IS NOT NULL")).collect();
        let of_rows = among.is_some();
        let among = among.map(|rows| format!(" AND t._r IN (SELECT _r FROM {rows})")).unwrap_or_default();
        let from = format!(
            "FROM {} AS t ANTI JOIN {} AS p ON {} WHERE {}{among}",
            table_name(child),
            table_name(key.parent),
            pairs.join(" AND "),
            present.join(" AND ")
        );
        let rows = self.store.engine.count(&format!("SELECT count(*) {from}"))?;
        if rows == 0 {
            return Ok(());
        }
        if of_rows && self.waits(constraint) {
            self.deferred.insert(constraint.oid, Side::Own);
            return Ok(());
        }
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for &attnum in &key.columns {
            let column = column(self.catalog, child, attnum)?;
            names.push(quoted_where_needed(&column.name));
            values.push(text_of(&column.ty, &format!("t.c{attnum}")));
        }
        let least = format!("SELECT concat_ws(', ', {}) {from} ORDER BY 1 LIMIT 1", values.join(", "));
        let least = self.store.engine.rows(&least, |row| row.get::<_, String>(0))?;
        let detail = format!(
            "Key ({})=({}) is not present in table \"{}\".",
            names.join(", "),
            least.first().map_or("", String::as_str),
            self.relation(key.parent)
        );
        let message = format!(
            "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
            self.relation(child),
            constraint.name
        );
        self.refuse(child, &key.columns, &from, violation("23503", message, Some(detail), rows))
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
            ConstraintKind::Exclusion(_) => {
                self.unverified(&format!("exclusion constraint {}", constraint.name), "an exclusion");
                Ok(())
            }
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
