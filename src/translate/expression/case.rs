//! CASE, and where functions that give rows may not stand.

use pg_query::NodeEnum;
use pg_query::protobuf;

use super::{Site, required};
use crate::catalog::{Outcome, Problem, Type};
use crate::translate::cast::Context;
use crate::translate::reader::Reader;
use crate::translate::typed::Typed;

impl Reader<'_> {
    pub(super) fn case(&mut self, case: &protobuf::CaseExpr, site: Site<'_>) -> Outcome<Typed> {
        let subject = match case.arg.as_deref() {
            None => None,
            Some(arg) => {
                let (value, fixed) = self.fixed(|this| this.expression(arg, site));
                Some(match value? {
                    // A bare literal is text before anything is compared with it.
                    literal if literal.ty == Type::Unknown => {
                        (self.coerce(literal, &Type::Text, Context::Implicit, None)?, fixed)
                    }
                    value => (value, fixed),
                })
            }
        };
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        // What a constant condition decides: the server never looks at what comes after.
        let mut decided: Vec<String> = Vec::new();
        for when in &case.args {
            let Some(NodeEnum::CaseWhen(when)) = &when.node else { continue };
            let condition = required(&when.expr)?;
            let before = self.constants();
            let (condition, fixed) = self.fixed(|this| match &subject {
                Some((subject, _)) => {
                    let value = this.expression(condition, site)?;
                    Ok(this.operator("=", subject.clone(), value)?.sql)
                }
                None => this.condition(condition, Site { clause: "CASE/WHEN", ..site }),
            });
            let condition = condition?;
            let undecided = decided.join(" AND ");
            if !decided.is_empty() {
                self.guard_constants(before, &undecided);
            }
            let before = self.constants();
            results.push(self.expression(required(&when.result)?, site)?);
            if !decided.is_empty() {
                self.guard_constants(before, &undecided);
            }
            if fixed && subject.as_ref().is_none_or(|(_, fixed)| *fixed) {
                self.guard_constants(before, &format!("({condition}) IS TRUE"));
                decided.push(format!("({condition}) IS NOT TRUE"));
            }
            conditions.push(condition);
        }
        let before = self.constants();
        results.push(match case.defresult.as_deref() {
            Some(node) => self.expression(node, site)?,
            None => Typed::null(),
        });
        if !decided.is_empty() {
            self.guard_constants(before, &decided.join(" AND "));
        }
        no_rows(results.iter().map(|value| &value.sql), "CASE")?;
        // PostgreSQL's own order for choosing the type: ELSE first.
        results.rotate_right(1);
        let (mut results, ty) = self.unify(results, "CASE")?;
        results.rotate_left(1);
        let default = results.pop().unwrap_or_default();
        let branches: Vec<String> =
            conditions.iter().zip(&results).map(|(when, then)| format!("WHEN {when} THEN {then}")).collect();
        Ok(Typed::new(format!("CASE {} ELSE {default} END", branches.join(" ")), ty))
    }

    /// COALESCE: constants after one that isn't NULL are never looked at.
    pub(super) fn coalesce(&mut self, coalesce: &protobuf::CoalesceExpr, site: Site<'_>) -> Outcome<Typed> {
        let mut values = Vec::new();
        let mut missing: Vec<String> = Vec::new();
        for node in &coalesce.args {
            let before = self.constants();
            let (value, fixed) = self.fixed(|this| this.expression(node, site));
            let value = value?;
            if !missing.is_empty() {
                self.guard_constants(before, &missing.join(" AND "));
            }
            if fixed {
                missing.push(format!("({}) IS NULL", value.sql));
            }
            values.push(value);
        }
        let (values, ty) = self.unify(values, "COALESCE")?;
        no_rows(values.iter(), "COALESCE")?;
        Ok(Typed::new(format!("coalesce({})", values.join(", ")), ty))
    }
}

/// Refuses functions that give rows where the server does.
pub(super) fn no_rows<'v>(mut values: impl Iterator<Item = &'v String>, place: &str) -> Outcome<()> {
    // A subquery's own are its own.
    match values.any(|sql| sql.contains("unnest(") && !sql.contains("SELECT ")) {
        true => Err(Problem::rejected("0A000", format!("set-returning functions are not allowed in {place}"))),
        false => Ok(()),
    }
}
