//! PREPARE, EXECUTE and DEALLOCATE: statements that a session keeps under a name.
//!
//! Input: the statements. Output: a kept statement run with its parameters in their places, as if it were written there. Invariants: a
//! statement is read when it is prepared, and its errors are PREPARE's; a roll-back doesn't take it away. Left out: parameters
//! whose types PREPARE doesn't say, CREATE TABLE AS EXECUTE.

use pg_query::NodeEnum;
use pg_query::protobuf::{AConst, DeallocateStmt, ExecuteStmt, Node, PrepareStmt, TypeCast, TypeName, WithClause};

use super::Session;
use crate::catalog::{Problem, Type, tree};
use crate::dry_run::engine::Ran;
use crate::dry_run::report::{StatementReport, Verdict};
use crate::migration::Statement;

/// A statement kept under a name.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// The types of its parameters.
    types: Vec<TypeName>,
    query: NodeEnum,
}

impl Session<'_> {
    /// PREPARE and its kin; nothing for any other statement.
    pub(super) fn run_prepared(&mut self, statement: &Statement, report: &mut StatementReport) -> Option<Ran<Verdict>> {
        match &statement.node {
            NodeEnum::PrepareStmt(prepare) => Some(self.prepare(prepare)),
            NodeEnum::ExecuteStmt(execute) => Some(self.execute_prepared(execute, statement, report)),
            NodeEnum::DeallocateStmt(deallocate) => Some(self.deallocate(deallocate)),
            _ => None,
        }
    }

    fn prepare(&mut self, statement: &PrepareStmt) -> Ran<Verdict> {
        let name = &statement.name;
        if self.prepared.contains_key(name) && !self.replaying {
            return Err(Problem::rejected("42P05", format!("prepared statement \"{name}\" already exists")).into());
        }
        let query = statement.query.as_deref().and_then(|query| query.node.clone());
        let query = query.ok_or_else(|| Problem::unsupported("PREPARE of nothing"))?;
        let types: Vec<TypeName> = statement
            .argtypes
            .iter()
            .filter_map(|node| match &node.node {
                Some(NodeEnum::TypeName(name)) => Some(name.clone()),
                _ => None,
            })
            .collect();
        for ty in &types {
            Type::from_name(ty, &self.catalog)?;
        }
        let prepared = Prepared { types, query };
        let nulls = vec![
            Node { node: Some(NodeEnum::AConst(AConst { isnull: true, ..AConst::default() })) };
            prepared.types.len()
        ];
        match filled(&prepared, &nulls)? {
            query @ NodeEnum::SelectStmt(_) => drop(self.select_or_write_plans(&query)?),
            query @ (NodeEnum::InsertStmt(_) | NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_)) => {
                drop(self.write_plans(&query)?);
            }
            _ => return Err(Problem::unsupported("PREPARE of this kind of statement").into()),
        }
        self.prepared.insert(name.clone(), prepared);
        Ok(Verdict::Catalog)
    }

    fn execute_prepared(
        &mut self,
        execute: &ExecuteStmt,
        statement: &Statement,
        report: &mut StatementReport,
    ) -> Ran<Verdict> {
        let name = &execute.name;
        let missing = || Problem::rejected("26000", format!("prepared statement \"{name}\" does not exist"));
        let prepared = self.prepared.get(name).ok_or_else(missing)?;
        let (wanted, given) = (prepared.types.len(), execute.params.len());
        if wanted != given {
            let message = format!("wrong number of parameters for prepared statement \"{name}\"");
            let detail = format!("Expected {wanted} parameters but got {given}.");
            return Err(Problem::rejected("42601", message).detail(detail).into());
        }
        let node = filled(prepared, &execute.params)?;
        self.execute(&Statement { node, ..statement.clone() }, report)
    }

    fn deallocate(&mut self, statement: &DeallocateStmt) -> Ran<Verdict> {
        match statement.name.as_str() {
            "" => self.prepared.clear(),
            name if self.prepared.remove(name).is_none() => {
                return Err(Problem::rejected("26000", format!("prepared statement \"{name}\" does not exist")).into());
            }
            _ => {}
        }
        Ok(Verdict::Catalog)
    }
}

/// A kept statement with values in the places of its parameters, each cast to the parameter's type.
fn filled(prepared: &Prepared, values: &[Node]) -> Ran<NodeEnum> {
    let mut query = prepared.query.clone();
    let mut untyped = None;
    let mut fill = |node: &mut NodeEnum| {
        let NodeEnum::ParamRef(parameter) = node else { return };
        let at = usize::try_from(parameter.number).unwrap_or_default().wrapping_sub(1);
        let (Some(ty), Some(value)) = (prepared.types.get(at), values.get(at)) else {
            untyped = Some(parameter.number);
            return;
        };
        let cast =
            TypeCast { arg: Some(Box::new(value.clone())), type_name: Some(ty.clone()), location: parameter.location };
        *node = NodeEnum::TypeCast(Box::new(cast));
    };
    for part in parts(&mut query) {
        tree::walk_mut(part, &mut fill);
    }
    match untyped {
        Some(number) => {
            Err(Problem::unsupported(format!("the prepared parameter ${number}, whose type isn't said,")).into())
        }
        None => Ok(query),
    }
}

/// Whatever of a statement may hold a parameter.
fn parts(query: &mut NodeEnum) -> Vec<&mut Node> {
    fn written(with: &mut Option<WithClause>) -> impl Iterator<Item = &mut Node> {
        with.iter_mut().flat_map(|with| &mut with.ctes)
    }
    match query {
        NodeEnum::InsertStmt(insert) => {
            let conflict = insert
                .on_conflict_clause
                .iter_mut()
                .flat_map(|conflict| conflict.target_list.iter_mut().chain(conflict.where_clause.as_deref_mut()));
            let select = insert.select_stmt.as_deref_mut().into_iter();
            select
                .chain(conflict)
                .chain(insert.returning_clause.iter_mut().flat_map(|returning| &mut returning.exprs))
                .chain(written(&mut insert.with_clause))
                .collect()
        }
        NodeEnum::UpdateStmt(update) => {
            let condition = update.where_clause.as_deref_mut().into_iter();
            let lists = update
                .target_list
                .iter_mut()
                .chain(&mut update.from_clause)
                .chain(update.returning_clause.iter_mut().flat_map(|returning| &mut returning.exprs));
            condition.chain(lists).chain(written(&mut update.with_clause)).collect()
        }
        NodeEnum::DeleteStmt(delete) => {
            let condition = delete.where_clause.as_deref_mut().into_iter();
            let lists = delete
                .using_clause
                .iter_mut()
                .chain(delete.returning_clause.iter_mut().flat_map(|returning| &mut returning.exprs));
            condition.chain(lists).chain(written(&mut delete.with_clause)).collect()
        }
        other => tree::children_mut(other),
    }
}
