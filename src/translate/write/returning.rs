//! RETURNING: rows that a statement gives back.

use pg_query::NodeEnum;
use pg_query::protobuf::{DeleteStmt, Node, RangeVar, ReturningClause, SelectStmt};

use crate::catalog::{Outcome, Problem};
use crate::translate::expression::{Site, required};
use crate::translate::from::settled;
use crate::translate::reader::Reader;
use crate::translate::scope::Scope;
use crate::translate::{Output, SelectPlan, Step, table_name};

impl Reader<'_> {
    /// What a DELETE returns: its rows as they were.
    pub(super) fn returning_of_delete(
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
        Ok((table, settled(query.outputs)))
    }

    /// RETURNING over rows of a table.
    pub(in crate::translate) fn returned_rows(
        &mut self,
        relation: &RangeVar,
        list: &[Node],
        rows: &str,
    ) -> Outcome<SelectPlan> {
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
        Ok(SelectPlan {
            steps: std::mem::take(&mut self.steps),
            sql,
            outputs: settled(query.outputs),
            remarks: std::mem::take(&mut self.remarks),
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
