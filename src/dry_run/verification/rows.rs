//! Rules that each row keeps or breaks by itself: NOT NULL and CHECK.

use std::collections::BTreeSet;

use super::{concerns, go_on, refused, violation, written};
use crate::catalog::{AttNum, Constraint, ConstraintKind, Expression, Oid, Problem, Type};
use crate::dry_run::engine::{Ran, Violation};
use crate::dry_run::execution::{Run, Touched};
use crate::dry_run::store::{columns_in, columns_of};
use crate::translate::{column_name, refusal_in, table_name};

impl Run<'_, '_> {
    pub(super) fn verify_not_null_rows(&mut self, touched: &Touched) -> Ran<()> {
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

    pub(super) fn verify_checks(&mut self, touched: &Touched) -> Ran<()> {
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

    pub(super) fn null_value(&self, table: Oid, name: &str, rows: u64) -> Violation {
        let relation = self.relation(table);
        let message =
            format!("null value in column \"{name}\" of relation \"{relation}\" violates not-null constraint");
        violation("23502", message, None, rows)
    }

    pub(super) fn broken_check(&self, table: Oid, constraint: &Constraint, rows: u64) -> Violation {
        let (relation, name) = (self.relation(table), &constraint.name);
        let message = format!("new row for relation \"{relation}\" violates check constraint \"{name}\"");
        violation("23514", message, None, rows)
    }

    /// Judges rows that are proposed for insertion, before it is known which of them come in: a stage with `n<attnum>`.
    pub(in crate::dry_run) fn verify_proposed(&mut self, table: Oid, stage: &str) -> Ran<()> {
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
    pub(super) fn checks_of(&self, table: Oid) -> Vec<(Constraint, Expression)> {
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
    pub(super) fn check_sql(&mut self, constraint: &Constraint, check: &Expression) -> Ran<Option<String>> {
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
}
