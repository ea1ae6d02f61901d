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
            Some(arg) => match self.expression(arg, site)? {
                // A bare literal is text before anything is compared with it.
                literal if literal.ty == Type::Unknown => {
                    Some(self.coerce(literal, &Type::Text, Context::Implicit, None)?)
                }
                value => Some(value),
            },
        };
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        for when in &case.args {
            let Some(NodeEnum::CaseWhen(when)) = &when.node else { continue };
            let condition = required(&when.expr)?;
            conditions.push(match &subject {
                Some(subject) => {
                    let value = self.expression(condition, site)?;
                    self.operator("=", subject.clone(), value)?.sql
                }
                None => self.condition(condition, Site { clause: "CASE/WHEN", ..site })?,
            });
            results.push(self.expression(required(&when.result)?, site)?);
        }
        results.push(match case.defresult.as_deref() {
            Some(node) => self.expression(node, site)?,
            None => Typed::null(),
        });
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
}

/// Refuses functions that give rows where the server does.
pub(super) fn no_rows<'v>(mut values: impl Iterator<Item = &'v String>, place: &str) -> Outcome<()> {
    // A subquery's own are its own.
    match values.any(|sql| sql.contains("unnest(") && !sql.contains("SELECT ")) {
        true => Err(Problem::rejected("0A000", format!("set-returning functions are not allowed in {place}"))),
        false => Ok(()),
    }
}
