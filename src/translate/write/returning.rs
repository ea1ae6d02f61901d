//! RETURNING: what a statement that writes gives to the query around it.
//!
//! Input: INSERT, UPDATE or DELETE inside WITH, or whose rows a body wants. Output: a temporary table's query, over the rows as they
//! were (DELETE) or as they are staged to become ([`Returning`]). Invariant: a row is given once; where FROM reaches it several times
//! with other values, the statement is refused.

use pg_query::NodeEnum;
use pg_query::protobuf::{DeleteStmt, Node, RangeVar, ReturningClause, SelectStmt, UpdateStmt};

use super::row_scope;
use crate::catalog::{Outcome, Problem, Table, Type};
use crate::translate::expression::{Site, required};
use crate::translate::reader::Reader;
use crate::translate::scope::Scope;
use crate::translate::typed::refuse;
use crate::translate::{InsertPlan, Output, Returning, Step, UpdatePlan, WritePlan, column_name, table_name};

/// A temporary table made by a WITH query that writes, and its columns: what RETURNING gives.
type Returned = Option<(String, Vec<Output>)>;

impl Reader<'_> {
    fn writing_in_with(&mut self, read: impl FnOnce(&mut Self) -> Outcome<WritePlan>) -> Outcome<WritePlan> {
        let outer = std::mem::replace(&mut self.in_with, true);
        let plan = read(self);
        self.in_with = outer;
        plan
    }

    /// What an INSERT returns: its rows as they are stored.
    pub(in crate::translate) fn returning_of_insert(
        &mut self,
        returning: &ReturningClause,
        relation: &RangeVar,
        table: &Table,
    ) -> Outcome<Returning> {
        let mut scope = row_scope(table, |attnum| format!("u.{}", column_name(attnum)));
        if let (Some(source), Some(alias)) = (scope.sources.first_mut(), &relation.alias) {
            source.name.clone_from(&alias.aliasname);
        }
        let (list, outputs) = self.select_list(&returning.exprs, &scope, "RETURNING")?;
        let sql = format!("SELECT {} FROM {} AS u", list.join(", "), Returning::ROWS);
        Ok(Returning { table: format!("x{}", self.number()), sql, outputs: crate::translate::from::settled(outputs) })
    }

    /// What an UPDATE returns: its rows as they become, beside what FROM joined to each as it was.
    pub(in crate::translate) fn returning_of_update(
        &mut self,
        returning: &ReturningClause,
        update: &UpdateStmt,
        scope: &Scope<'_>,
        from: &str,
        condition: &str,
    ) -> Outcome<Returning> {
        let mut written = Scope { outer: scope.outer, ..scope.clone() };
        let Some(target) = written.sources.first_mut() else {
            return Err(Problem::unsupported("RETURNING of this form"));
        };
        let old = target.alias.clone();
        for column in &mut target.columns {
            column.sql = column.sql.replacen(&format!("{old}."), "u.", 1);
        }
        let (list, outputs) = self.select_list(&returning.exprs, &written, "RETURNING")?;
        let list = list.join(", ");
        let sql = if update.from_clause.is_empty() {
            format!("SELECT {list} FROM {} AS u", Returning::ROWS)
        } else {
            let condition = condition.strip_prefix(" WHERE ").unwrap_or("true");
            let rows = format!(
                "SELECT DISTINCT u._r AS _r, {list} FROM {} AS u, {from} WHERE u._r = {old}._r AND ({condition})",
                Returning::ROWS
            );
            let columns: Vec<&str> = outputs.iter().map(|output| output.column.as_str()).collect();
            let several = refuse("RETURNING of an UPDATE whose FROM reaches a row several times", &Type::Bool);
            format!(
                "SELECT {} FROM (SELECT *, count(*) OVER (PARTITION BY _r) AS times FROM ({rows})) WHERE CASE WHEN times > 1 THEN {several} ELSE true END",
                columns.join(", ")
            )
        };
        Ok(Returning { table: format!("x{}", self.number()), sql, outputs: crate::translate::from::settled(outputs) })
    }

    /// A statement that writes, standing inside WITH.
    pub(in crate::translate) fn write_in_with(&mut self, node: &Node) -> Outcome<Returned> {
        let mut returned = None;
        let plan = match &node.node {
            Some(NodeEnum::DeleteStmt(delete)) => {
                if let Some(returning) = &delete.returning_clause {
                    returned = Some(self.returning_of_delete(delete, returning)?);
                }
                self.delete(delete)?
            }
            Some(NodeEnum::UpdateStmt(update)) => self.writing_in_with(|reader| reader.update(update))?,
            Some(NodeEnum::InsertStmt(insert)) => self.writing_in_with(|reader| reader.insert(insert))?,
            _ => return Err(Problem::unsupported("this statement inside WITH")),
        };
        if let WritePlan::Update(UpdatePlan { returning: Some(given), .. })
        | WritePlan::Insert(InsertPlan { returning: Some(given), .. }) = &plan
        {
            returned = Some((given.table.clone(), given.outputs.clone()));
        }
        self.writes.push(plan);
        Ok(returned)
    }

    /// What a DELETE returns: its rows as they were.
    fn returning_of_delete(
        &mut self,
        delete: &DeleteStmt,
        returning: &ReturningClause,
    ) -> Outcome<(String, Vec<Output>)> {
        let relation = delete.relation.clone().ok_or_else(|| Problem::unsupported("DELETE without a table"))?;
        let mut from = vec![Node { node: Some(NodeEnum::RangeVar(relation)) }];
        from.extend(delete.using_clause.iter().cloned());
        let select = SelectStmt {
            target_list: returning.exprs.clone(),
            from_clause: from,
            where_clause: delete.where_clause.clone(),
            op: pg_query::protobuf::SetOperation::SetopNone as i32,
            ..Default::default()
        };
        let query = self.query(&select, None)?;
        let table = format!("x{}", self.number());
        self.steps.push(Step::Materialize { table: table.clone(), sql: query.sql });
        Ok((table, crate::translate::from::settled(query.outputs)))
    }

    /// RETURNING over rows of a table.
    pub(in crate::translate) fn returned_rows(
        &mut self,
        relation: &RangeVar,
        list: &[Node],
        rows: &str,
    ) -> Outcome<crate::translate::SelectPlan> {
        let select = SelectStmt {
            target_list: list.to_vec(),
            from_clause: vec![Node { node: Some(NodeEnum::RangeVar(relation.clone())) }],
            op: pg_query::protobuf::SetOperation::SetopNone as i32,
            limit_option: pg_query::protobuf::LimitOption::Default as i32,
            ..Default::default()
        };
        let table = table_name(self.target(relation)?);
        let query = self.query(&select, None)?;
        // The one place where the relation is read.
        let alias = format!("FROM {table} AS ");
        let sql =
            query.sql.replacen(&alias, &format!("FROM (SELECT * FROM {table} SEMI JOIN {rows} USING (_r)) AS "), 1);
        if sql == query.sql {
            return Err(Problem::unsupported("RETURNING of this form"));
        }
        Ok(crate::translate::SelectPlan {
            steps: std::mem::take(&mut self.steps),
            sql,
            outputs: crate::translate::from::settled(query.outputs),
            remarks: std::mem::take(&mut self.remarks),
            writes: Vec::new(),
        })
    }

    /// RETURNING of a statement on its own: nobody reads it, but it must bind.
    pub(super) fn check_returning(&mut self, returning: &ReturningClause, scope: &Scope<'_>) -> Outcome<()> {
        for node in &returning.exprs {
            let Some(NodeEnum::ResTarget(target)) = &node.node else { continue };
            let value = required(&target.val)?;
            let star = matches!(&value.node, Some(NodeEnum::ColumnRef(c)) if c.fields.iter().any(|f| matches!(f.node, Some(NodeEnum::AStar(_)))));
            if !star {
                self.expression(value, Site::new(scope, "RETURNING"))?;
            }
        }
        Ok(())
    }
}
