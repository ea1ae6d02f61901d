//! BEFORE triggers that only compute: all rows at once.
//!
//! Input: a trigger function made of assignments to fields of NEW, IF and a last RETURN NEW. Output: the work table with the fields
//! computed. Invariant: a function that does anything else is left alone, and nothing has happened then.

use pg_query::NodeEnum;

use super::{Fired, Work};
use crate::catalog::{Problem, Type};
use crate::dry_run::engine::{Halt, Ran};
use crate::dry_run::report::StatementReport;
use crate::dry_run::session::Session;
use crate::plpgsql::parse;
use crate::plpgsql::tree::{Kind, Sql, Statement};
use crate::translate::physical_type;

/// Is a list of statements made of nothing but assignments to NEW and IF?
fn only_computes(list: &[Statement]) -> bool {
    list.iter().all(|statement| match &statement.kind {
        Kind::Assign(target, _) => {
            matches!(target.path.as_slice(), [new, _] if new == "new") && target.subscripts.is_empty()
        }
        Kind::If(branches, otherwise) => {
            branches.iter().all(|(_, body)| only_computes(body)) && only_computes(otherwise)
        }
        Kind::Nothing => true,
        _ => false,
    })
}

fn gives_new(sql: &Sql) -> bool {
    sql.text.trim().eq_ignore_ascii_case("new")
}

impl Session<'_> {
    /// Runs a trigger on all rows at once; false where it must be run row by row.
    pub(super) fn run_simple(
        &mut self,
        trigger: &Fired,
        work: &mut Work,
        condition: &str,
        kept: &mut Vec<String>,
        report: &mut StatementReport,
    ) -> Ran<bool> {
        let function = trigger.function()?;
        let text = function.definition.as_ref().and_then(|d| d.body.clone()).unwrap_or_default();
        let names = ["new", "old"].map(str::to_owned);
        let body = parse::body(&text, &names, parse::Kind::Trigger)?;
        let block = &body.block;
        // What depends on the trigger being under way is asked while it is.
        let plain = function.language == "plpgsql"
            && function.definition.as_ref().is_none_or(|definition| definition.search_path.is_none())
            && !text.contains("pg_trigger_depth")
            && block.declarations.is_empty()
            && block.handlers.is_empty();
        let Some((last, list)) = block.body.split_last().filter(|_| plain) else { return Ok(false) };
        if !matches!(&last.kind, Kind::Return(Some(sql)) if gives_new(sql)) || !only_computes(list) {
            return Ok(false);
        }
        let before = work.name.clone();
        let ran = self.compute(list, trigger, work, condition, kept, report);
        match ran {
            Ok(true) => Ok(true),
            // What can't be said for all rows may still be said for one.
            Ok(false) | Err(Halt::Problem(Problem::Unsupported(_))) => {
                work.name = before;
                Ok(false)
            }
            Err(halt) => Err(halt),
        }
    }

    fn compute(
        &mut self,
        list: &[Statement],
        trigger: &Fired,
        work: &mut Work,
        condition: &str,
        kept: &mut Vec<String>,
        report: &mut StatementReport,
    ) -> Ran<bool> {
        for statement in list {
            match &statement.kind {
                Kind::Assign(target, value) => {
                    let Some((attnum, _, ty)) = work.columns.iter().find(|(_, name, _)| *name == target.path[1]) else {
                        let message = format!("record \"new\" has no field \"{}\"", target.path[1]);
                        return Err(Problem::rejected("42703", message).into());
                    };
                    let (attnum, ty) = (*attnum, ty.clone());
                    let Some(sql) = self.over_rows(work, trigger, &value.node, &ty)? else { return Ok(false) };
                    let (name, held) = (&work.name, physical_type(&ty)?);
                    let sql = format!(
                        "SELECT w.* REPLACE (CASE WHEN {condition} THEN CAST({sql} AS {held}) ELSE w.n{attnum} END AS n{attnum}) FROM {name} AS w"
                    );
                    work.name = self.keep_table(&sql, kept, report)?.0;
                }
                Kind::If(branches, otherwise) => {
                    let mut open = condition.to_owned();
                    for (test, body) in branches {
                        let Some(flag) = self.flag(&test.node, trigger, work, &open, kept, report)? else {
                            return Ok(false);
                        };
                        if !self.compute(body, trigger, work, &format!("w.{flag}"), kept, report)? {
                            return Ok(false);
                        }
                        open = format!("({open} AND NOT w.{flag})");
                    }
                    if !self.compute(otherwise, trigger, work, &open, kept, report)? {
                        return Ok(false);
                    }
                }
                _ => {}
            }
        }
        Ok(true)
    }

    /// A condition as a column of the work table, false where it isn't asked.
    fn flag(
        &mut self,
        test: &NodeEnum,
        trigger: &Fired,
        work: &mut Work,
        open: &str,
        kept: &mut Vec<String>,
        report: &mut StatementReport,
    ) -> Ran<Option<String>> {
        let Some(sql) = self.over_rows(work, trigger, test, &Type::Bool)? else { return Ok(None) };
        let flag = format!("b{}", kept.len());
        let sql =
            format!("SELECT w.*, coalesce(CASE WHEN {open} THEN {sql} END, false) AS {flag} FROM {} AS w", work.name);
        work.name = self.keep_table(&sql, kept, report)?.0;
        Ok(Some(flag))
    }
}
