//! Whole rows: what an expression over rows and records gives.
//!
//! Input: `new`, `coalesce(new, old)`, `CASE … THEN new … END`, `ROW(…)`, NULL. Output: the row with the names of its columns, or none.
//! Left out: rows that a query gives.

use pg_query::NodeEnum;
use pg_query::protobuf::Node;

use super::calls::{first_value, is_open, one_value};
use super::{Frame, Host, Interpreter, Row};
use crate::catalog::{Problem, Type, tree};
use crate::plpgsql::tree::Sql;
use crate::translate::Variable;

fn refused() -> Problem {
    Problem::unsupported("a whole row that is neither a variable nor made of values")
}

impl<H: Host> Interpreter<'_, H> {
    /// The row that an expression gives.
    pub(super) fn row(&mut self, sql: &Sql, frame: &mut Frame) -> Result<Option<Row>, H::Halt> {
        let NodeEnum::SelectStmt(select) = &sql.node else { return Err(refused().into()) };
        let plain = select.from_clause.is_empty() && select.where_clause.is_none() && select.larg.is_none();
        let [Node { node: Some(NodeEnum::ResTarget(target)) }] = select.target_list.as_slice() else {
            return Err(refused().into());
        };
        match target.val.as_deref() {
            Some(node) if plain => self.row_of(node, frame),
            _ => Err(refused().into()),
        }
    }

    pub(super) fn row_of(&mut self, node: &Node, frame: &mut Frame) -> Result<Option<Row>, H::Halt> {
        match &node.node {
            Some(NodeEnum::ColumnRef(column)) => {
                let names = tree::strings(&column.fields);
                let path: Vec<&str> = names.iter().map(String::as_str).collect();
                let place = frame.variables.find(&path)?.filter(|_| names.len() == column.fields.len());
                let place = place.ok_or_else(refused)?;
                match (&frame.variables.named(place).variable, frame.variables.value(place)) {
                    (Variable::Row(fields), None) => Ok(Some(fields.clone())),
                    (Variable::Record(fields), None) => Ok(fields.clone()),
                    (Variable::Absent(_), None) => Ok(None),
                    _ => Err(refused().into()),
                }
            }
            Some(NodeEnum::CoalesceExpr(expression)) => {
                for argument in &expression.args {
                    if let Some(row) = self.row_of(argument, frame)?
                        && row.iter().any(|(_, value)| !value.is_null())
                    {
                        return Ok(Some(row));
                    }
                }
                Ok(None)
            }
            Some(NodeEnum::CaseExpr(expression)) if expression.arg.is_none() => {
                for branch in &expression.args {
                    let Some(NodeEnum::CaseWhen(branch)) = &branch.node else { return Err(refused().into()) };
                    let (Some(condition), Some(result)) = (branch.expr.as_deref(), branch.result.as_deref()) else {
                        return Err(refused().into());
                    };
                    let answer = self.ask(&one_value(condition), frame, &[Type::Bool], 1)?;
                    if first_value(&answer.rows, &Type::Bool).is_true() {
                        return self.row_of(result, frame);
                    }
                }
                match expression.defresult.as_deref() {
                    Some(other) => self.row_of(other, frame),
                    None => Ok(None),
                }
            }
            Some(NodeEnum::RowExpr(expression)) => {
                let mut row = Vec::new();
                for (at, argument) in expression.args.iter().enumerate() {
                    let answer = self.ask(&one_value(argument), frame, &[], 1)?;
                    let ty = answer.columns.first().map_or(Type::Text, |(_, ty)| ty.clone());
                    let mut value = first_value(&answer.rows, &ty);
                    if is_open(argument) {
                        value.ty = Type::Unknown;
                    }
                    row.push((format!("f{}", at + 1), value));
                }
                Ok(Some(row))
            }
            Some(NodeEnum::AConst(constant)) if constant.isnull => Ok(None),
            _ => Err(refused().into()),
        }
    }

    /// A row that is returned: its columns must have the very types that are wanted.
    pub(super) fn returned(&self, row: Row, columns: &[(String, Type)]) -> Result<Row, H::Halt> {
        let same =
            row.len() == columns.len() && row.iter().zip(columns).all(|((_, value), (_, ty))| value.ty.same_base(ty));
        if !same {
            return Err(Problem::rejected("42804", "returned record type does not match expected record type").into());
        }
        Ok(row.into_iter().zip(columns).map(|((_, value), (name, _))| (name.clone(), value)).collect())
    }

    /// A row in the shape of some columns.
    pub(super) fn shaped(&mut self, row: Row, columns: &[(String, Type)]) -> Result<Row, H::Halt> {
        if row.len() != columns.len() {
            return Err(Problem::unsupported("a row with another number of columns than is wanted").into());
        }
        let mut shaped = Vec::new();
        for ((_, value), (name, ty)) in row.into_iter().zip(columns) {
            shaped.push((name.clone(), self.converted(value, ty)?));
        }
        Ok(shaped)
    }
}
