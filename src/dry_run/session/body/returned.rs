//! What a function in PL/pgSQL returns, as one expression.
//!
//! Input: a body. Output: a query of the expression that it returns, where it is nothing but RETURN, or IF whose branches are. Invariant:
//! a branch is converted to the function's type by itself, as RETURN does. Left out: variables, loops, everything that does something.

use pg_query::NodeEnum;
use pg_query::protobuf::{CaseExpr, CaseWhen, Node, ResTarget, SelectStmt, TypeCast, TypeName};

use crate::plpgsql::tree::{Kind, Sql, Statement};

/// The query of what a body returns.
pub(super) fn query(body: &[Statement], ty: Option<&TypeName>) -> Option<NodeEnum> {
    if let [Statement { kind: Kind::Return(Some(sql)), .. }] = body {
        return Some(sql.node.clone());
    }
    let value = value(body, ty)?;
    let target = ResTarget { val: Some(Box::new(value)), ..ResTarget::default() };
    Some(NodeEnum::SelectStmt(Box::new(SelectStmt {
        target_list: vec![Node { node: Some(NodeEnum::ResTarget(Box::new(target))) }],
        op: pg_query::protobuf::SetOperation::SetopNone as i32,
        limit_option: pg_query::protobuf::LimitOption::Default as i32,
        ..SelectStmt::default()
    })))
}

fn value(body: &[Statement], ty: Option<&TypeName>) -> Option<Node> {
    match body {
        [Statement { kind: Kind::Return(Some(sql)), .. }, ..] => {
            let value = expression(sql)?;
            Some(match ty {
                Some(ty) => Node {
                    node: Some(NodeEnum::TypeCast(Box::new(TypeCast {
                        arg: Some(Box::new(value)),
                        // Lengths and precisions of what a function gives are ignored.
                        type_name: Some(TypeName { typmods: Vec::new(), ..ty.clone() }),
                        location: -1,
                    }))),
                },
                None => value,
            })
        }
        [Statement { kind: Kind::If(branches, otherwise), .. }, rest @ ..] => {
            let mut args = Vec::new();
            for (condition, body) in branches {
                let when = CaseWhen {
                    expr: Some(Box::new(expression(condition)?)),
                    result: Some(Box::new(value(body, ty)?)),
                    ..CaseWhen::default()
                };
                args.push(Node { node: Some(NodeEnum::CaseWhen(Box::new(when))) });
            }
            // Without ELSE, what comes behind it is what else there is.
            let other = if otherwise.is_empty() { value(rest, ty)? } else { value(otherwise, ty)? };
            let case = CaseExpr { args, defresult: Some(Box::new(other)), ..CaseExpr::default() };
            Some(Node { node: Some(NodeEnum::CaseExpr(Box::new(case))) })
        }
        [Statement { kind: Kind::Nothing, .. }, rest @ ..] => value(rest, ty),
        _ => None,
    }
}

/// The expression that a SELECT of it is made of.
fn expression(sql: &Sql) -> Option<Node> {
    let NodeEnum::SelectStmt(select) = &sql.node else { return None };
    let plain = select.from_clause.is_empty() && select.where_clause.is_none() && select.larg.is_none();
    let [Node { node: Some(NodeEnum::ResTarget(target)) }] = select.target_list.as_slice() else { return None };
    target.val.as_deref().filter(|_| plain).cloned()
}
