//! What is stored in a column: SET lists, defaults and generated columns, each cast as an assignment.

use pg_query::NodeEnum;
use pg_query::protobuf::{MultiAssignRef, Node, ResTarget};

use super::row_scope;
use crate::catalog::{AttNum, Column, Identity, Outcome, Problem, Table, Type, lookup};
use crate::translate::carried;
use crate::translate::cast::Context;
use crate::translate::expression::{Site, contains_column, required, words};
use crate::translate::reader::Reader;
use crate::translate::scope::Scope;
use crate::translate::through::Behind;
use crate::translate::typed::{Family, Typed, family, is_citext, physical};
use crate::translate::{NUMBERS_OF_SEQUENCE, Taken, column_name, table_name};

impl Reader<'_> {
    /// Assignments to a view's columns as assignments to its table's.
    pub(super) fn targets_behind(
        &self,
        behind: Option<&Behind>,
        table: &Table,
        targets: &[Node],
        word: &str,
    ) -> Outcome<Vec<Node>> {
        let one = |node: &Node| match &node.node {
            Some(NodeEnum::ResTarget(target)) => {
                let target = self.column_behind(behind, table, target, word)?;
                Ok(Node { node: Some(NodeEnum::ResTarget(Box::new(target))) })
            }
            _ => Ok(node.clone()),
        };
        targets.iter().map(one).collect()
    }

    /// SET a = …, (b, c) = (…, …)
    pub(super) fn assignments(
        &mut self,
        targets: &[Node],
        table: &Table,
        scope: &Scope<'_>,
    ) -> Outcome<Vec<(AttNum, String)>> {
        self.assign_all(targets, table, scope).map_err(|problem| {
            // The server reads all values before it looks at the columns they are for.
            let mut values = targets.iter().filter_map(|node| match &node.node {
                Some(NodeEnum::ResTarget(target)) => given_value(target.val.as_deref()?),
                _ => None,
            });
            let site = Site::new(scope, "UPDATE");
            let special = |node: &Node| matches!(node.node, Some(NodeEnum::SetToDefault(_)));
            let found = values.find_map(|value| if special(value) { None } else { self.expression(value, site).err() });
            found.unwrap_or(problem)
        })
    }

    fn assign_all(&mut self, targets: &[Node], table: &Table, scope: &Scope<'_>) -> Outcome<Vec<(AttNum, String)>> {
        let mut values: Vec<(AttNum, String)> = Vec::new();
        let mut parts = Vec::new();
        for node in targets {
            let Some(NodeEnum::ResTarget(target)) = &node.node else { continue };
            if !target.indirection.is_empty() {
                self.assign_part(target, table, scope, &mut values, &mut parts).map_err(|p| p.at(target.location))?;
                continue;
            }
            let column = self.assigned_column(table, target)?.clone();
            if values.iter().any(|(attnum, _)| *attnum == column.attnum) {
                return Err(Problem::rejected(
                    "42601",
                    format!("multiple assignments to same column \"{}\"", column.name),
                )
                .at(target.location));
            }
            let value = required(&target.val)?;
            let sql = match &value.node {
                // What it is anyhow: computed with the others.
                Some(NodeEnum::SetToDefault(_)) if column.generated.is_some() => continue,
                Some(NodeEnum::SetToDefault(_)) => self.default_value(table, &column)?,
                _ if column.generated.is_some() || column.identity == Some(Identity::Always) => {
                    return Err(Problem::rejected(
                        "428C9",
                        format!("column \"{}\" can only be updated to DEFAULT", column.name),
                    )
                    .at(target.location));
                }
                Some(NodeEnum::MultiAssignRef(multi)) => {
                    let at = usize::try_from(multi.colno - 1).unwrap_or_default();
                    let Some(NodeEnum::RowExpr(row)) = required(&multi.source)?.node.as_ref() else {
                        let sql = self.assigned_of_row(multi, at, &column, scope).map_err(|p| p.at(target.location))?;
                        values.push((column.attnum, sql));
                        continue;
                    };
                    if row.args.len() != usize::try_from(multi.ncolumns).unwrap_or_default() {
                        return Err(Problem::rejected("42601", "number of columns does not match number of values"));
                    }
                    match &row.args[at].node {
                        Some(NodeEnum::SetToDefault(_)) => self.default_value(table, &column)?,
                        _ => self.assigned(&row.args[at], &column, scope)?,
                    }
                }
                _ => self.assigned(value, &column, scope).map_err(|p| p.at(target.location))?,
            };
            values.push((column.attnum, sql));
        }
        Ok(values)
    }

    /// SET (a, b) = (SELECT …): what the query's one row has for this column, NULL where it has no row.
    fn assigned_of_row(
        &mut self,
        multi: &MultiAssignRef,
        at: usize,
        column: &Column,
        scope: &Scope<'_>,
    ) -> Outcome<String> {
        let source = required(&multi.source)?;
        let query = match &source.node {
            Some(NodeEnum::SubLink(link)) => required(&link.subselect)?,
            _ => {
                let message = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
                return Err(Problem::rejected("0A000", message));
            }
        };
        let Some(NodeEnum::SelectStmt(select)) = &query.node else {
            return Err(Problem::unsupported("this form of subquery"));
        };
        let query = self.query(select, Some(scope))?;
        if query.outputs.len() != usize::try_from(multi.ncolumns).unwrap_or_default() {
            return Err(Problem::rejected("42601", "number of columns does not match number of values"));
        }
        let output = &query.outputs[at];
        let ty = if output.ty == Type::Unknown { Type::Text } else { output.ty.clone() };
        self.store(Typed::new(format!("(SELECT q.{} FROM ({}) AS q)", output.column, query.sql), ty), column)
    }

    /// SET j['a'] = …: upon what an assignment before it may have made of the column.
    fn assign_part(
        &mut self,
        target: &ResTarget,
        table: &Table,
        scope: &Scope<'_>,
        values: &mut Vec<(AttNum, String)>,
        parts: &mut Vec<AttNum>,
    ) -> Outcome<()> {
        let whole = ResTarget { name: target.name.clone(), location: target.location, ..Default::default() };
        let column = self.assigned_column(table, &whole)?.clone();
        let made = values.iter().position(|(attnum, _)| *attnum == column.attnum);
        if made.is_some() && !parts.contains(&column.attnum) {
            let message = format!("multiple assignments to same column \"{}\"", column.name);
            return Err(Problem::rejected("42601", message));
        }
        let found = scope.sources.first().and_then(|source| source.columns.iter().find(|c| c.name == column.name));
        let Some(found) = found else { return Err(Problem::unsupported("an assignment to an element here")) };
        self.reads(found.origin);
        let old = made.map_or(&found.sql, |at| &values[at].1).clone();
        let new = self.assigned_part(target, &column, &old, scope)?;
        match made {
            Some(at) => values[at].1 = new,
            None => values.push((column.attnum, new)),
        }
        parts.push(column.attnum);
        Ok(())
    }

    pub(super) fn assigned_column<'t>(&self, table: &'t Table, target: &ResTarget) -> Outcome<&'t Column> {
        if !target.indirection.is_empty() {
            return Err(Problem::unsupported("assignment to an element or field").at(target.location));
        }
        table
            .columns
            .iter()
            .find(|c| c.name == target.name)
            .ok_or_else(|| lookup::missing_column(table, &target.name).at(target.location))
    }

    pub(super) fn assigned(&mut self, node: &Node, column: &Column, scope: &Scope<'_>) -> Outcome<String> {
        let parts = self.constants();
        let (value, fixed) = self.fixed(|this| this.as_composite(node, &column.ty, Site::new(scope, "UPDATE")));
        let sql = self.store(value?, column)?;
        if fixed {
            self.note_constant(parts, &sql);
        }
        Ok(sql)
    }

    /// The assignment cast into a column, in its physical type.
    pub(in crate::translate) fn store(&mut self, value: Typed, column: &Column) -> Outcome<String> {
        if let Type::Opaque(name) = &column.ty
            && value.ty != column.ty
            && value.ty != Type::Unknown
            && !(is_citext(&column.ty) && family(&value.ty) == Family::Text)
            && carried::name(&column.ty).is_none()
        {
            return Err(Problem::unsupported(format!("an assignment to a column of type {name}")));
        }
        let value = self.coerce(value, &column.ty, Context::Assignment, Some(&column.name))?;
        Ok(format!("CAST({} AS {})", value.sql, physical(&column.ty)))
    }

    /// A column's default as a value of its physical type.
    pub(in crate::translate) fn default_value(&mut self, table: &Table, column: &Column) -> Outcome<String> {
        if column.identity.is_some() || column.default.as_ref().is_some_and(|d| is_nextval(&d.node)) {
            self.volatile(NUMBERS_OF_SEQUENCE);
            let sequence = self.catalog().sequence_of(table.oid, column);
            let known = sequence.and_then(|oid| self.catalog().sequences.get(&oid));
            if let Some((sequence, numbers)) = known.and_then(|s| Some((s.oid, s.numbers?))) {
                self.remarks.numbers.insert(sequence, Taken::EachRow);
                return Ok(format!(
                    "CAST({} + {} * (row_number() OVER () - 1) AS {})",
                    numbers.next,
                    numbers.step,
                    physical(&column.ty)
                ));
            }
            // The state of a snapshot's sequence isn't known: numbers go on from the largest there is.
            return Ok(format!(
                "CAST((SELECT coalesce(max(d.{c}), 0) FROM {t} AS d) + row_number() OVER () AS {ty})",
                c = column_name(column.attnum),
                t = table_name(table.oid),
                ty = physical(&column.ty)
            ));
        }
        let of_domain = self.domain_default(&column.ty);
        let Some(default) = column.default.as_ref().or(of_domain.as_ref()) else {
            return match column.ty {
                Type::Domain(..) => self.store(Typed::null(), column),
                _ => Ok(format!("CAST(NULL AS {})", physical(&column.ty))),
            };
        };
        if contains_column(&default.node) {
            return Err(Problem::rejected("0A000", "cannot use column reference in DEFAULT expression"));
        }
        let scope = Scope::default();
        let site = Site::new(&scope, "DEFAULT expressions");
        let value = self.without_variables(|reader| reader.expression(&default.node, site))?;
        self.store(value, column).map_err(of_default)
    }

    /// Adds the new values of generated columns that depend on written ones.
    pub(super) fn recompute(
        &mut self,
        table: &Table,
        columns: &mut Vec<AttNum>,
        staging_sql: &mut String,
    ) -> Outcome<()> {
        let generated: Vec<&Column> = table.columns.iter().filter(|c| c.generated.is_some()).collect();
        if generated.is_empty() {
            return Ok(());
        }
        let mut list = vec!["g.*".to_owned()];
        let constants = self.constants();
        for column in generated {
            let scope = row_scope(table, |attnum| {
                if columns.contains(&attnum) { format!("g.n{attnum}") } else { format!("o.{}", column_name(attnum)) }
            });
            let expression = column.generated.as_ref().expect("a generated column");
            let value = self.without_variables(|reader| {
                reader.expression(&expression.node, Site::new(&scope, "column generation expressions"))
            })?;
            list.push(format!("{} AS n{}", self.store(value, column).map_err(of_default)?, column.attnum));
        }
        // The server looks at them when it has a row.
        self.forget_constants(constants);
        columns.extend(table.columns.iter().filter(|c| c.generated.is_some()).map(|c| c.attnum));
        *staging_sql = format!(
            "SELECT {} FROM ({staging_sql}) AS g JOIN {} AS o ON g._r = o._r",
            list.join(", "),
            table_name(table.oid)
        );
        Ok(())
    }
}

/// The server words a mismatch of a default in its own way.
pub(in crate::translate) fn of_default(problem: Problem) -> Problem {
    match problem {
        Problem::Rejected(mut error) if error.sqlstate == "42804" => {
            error.message = error.message.replace(" but expression is of type ", " but default expression is of type ");
            Problem::Rejected(error)
        }
        problem => problem,
    }
}

fn is_nextval(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::FuncCall(call)) => words(&call.funcname).last() == Some(&"nextval"),
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_nextval),
        _ => false,
    }
}

/// What is assigned: of `(a, b) = (x, y)` each column's own part.
fn given_value(node: &Node) -> Option<&Node> {
    let Some(NodeEnum::MultiAssignRef(multi)) = &node.node else { return Some(node) };
    match multi.source.as_deref().and_then(|source| source.node.as_ref()) {
        Some(NodeEnum::RowExpr(row)) => row.args.get(usize::try_from(multi.colno - 1).ok()?),
        _ => None,
    }
}
