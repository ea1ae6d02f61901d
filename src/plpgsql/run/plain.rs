//! Plain expressions: what a body knows without asking the engine.
//!
//! Input: an expression over variables. Output: its value, or nothing where it isn't of a plain form. Invariants: integers, truth values,
//! texts held against each other, and variables alone, all of them known; what is NULL, overflows or divides by zero is left to the
//! engine, which has the server's words for it. Left out: everything else.

use pg_query::NodeEnum;
use pg_query::protobuf::a_const::Val;
use pg_query::protobuf::{AExprKind, BoolExprType, Node, NullTestType, SelectStmt};

use crate::catalog::sequence::bounds;
use crate::catalog::{Type, tree};
use crate::translate::{Value, Variables};

/// A value and what can be done with it.
enum Known {
    Integer(i64, Type),
    Truth(bool),
    Text(String),
}

/// The value of a query that is nothing but a plain expression, as the type that is wanted.
pub(super) fn plain_value(query: &NodeEnum, variables: &Variables, wanted: Option<&Type>) -> Option<Value> {
    let NodeEnum::SelectStmt(select) = query else { return None };
    let node = only_output(select)?;
    let value = match &node.node {
        Some(NodeEnum::ColumnRef(_)) => variable(node, variables)?.clone(),
        _ => match known(node, variables)? {
            Known::Integer(number, ty) => Value::integer(number, ty),
            Known::Truth(truth) => Value::boolean(truth),
            Known::Text(_) => return None,
        },
    };
    wanted.is_none_or(|ty| *ty == value.ty).then_some(value)
}

/// The one output of a query without any clause.
fn only_output(select: &SelectStmt) -> Option<&Node> {
    let [Node { node: Some(NodeEnum::ResTarget(target)) }] = select.target_list.as_slice() else { return None };
    let bare = SelectStmt { target_list: Vec::new(), ..select.clone() };
    let nothing = SelectStmt { limit_option: select.limit_option, op: select.op, ..SelectStmt::default() };
    if bare != nothing || select.op > 1 {
        return None;
    }
    target.val.as_deref()
}

/// A variable whose value is known, or known to be NULL.
fn variable<'v>(node: &Node, variables: &'v Variables) -> Option<&'v Value> {
    let Some(NodeEnum::ColumnRef(column)) = &node.node else { return None };
    let path = tree::strings(&column.fields);
    if path.len() != column.fields.len() {
        return None;
    }
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let value = variables.value(variables.find(&path).ok()??)?;
    (value.is_null() || value.text().is_some()).then_some(value)
}

fn known(node: &Node, variables: &Variables) -> Option<Known> {
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(_) => {
            let value = variable(node, variables)?;
            let text = value.text()?;
            match &value.ty {
                Type::Int2 | Type::Int4 | Type::Int8 => Some(Known::Integer(text.parse().ok()?, value.ty.clone())),
                Type::Bool => Some(Known::Truth(text == "true")),
                Type::Text | Type::Varchar(_) => Some(Known::Text(text.to_owned())),
                _ => None,
            }
        }
        NodeEnum::AConst(constant) if !constant.isnull => match &constant.val {
            None => Some(Known::Integer(0, Type::Int4)),
            Some(Val::Ival(number)) => Some(Known::Integer(number.ival.into(), Type::Int4)),
            Some(Val::Boolval(truth)) => Some(Known::Truth(truth.boolval)),
            _ => None,
        },
        NodeEnum::AExpr(expression) if expression.kind == AExprKind::AexprOp as i32 => {
            let names = tree::strings(&expression.name);
            let [operator] = names.as_slice() else { return None };
            let (left, right) = (expression.lexpr.as_deref()?, expression.rexpr.as_deref()?);
            match known(left, variables)? {
                Known::Integer(one, ty) => {
                    let Known::Integer(other, second) = known(right, variables)? else { return None };
                    of_integers(operator, one, other, wider(ty, second))
                }
                Known::Text(one) => {
                    let other = match &right.node {
                        Some(NodeEnum::AConst(constant)) => match &constant.val {
                            Some(Val::Sval(text)) => text.sval.clone(),
                            _ => return None,
                        },
                        _ => match known(right, variables)? {
                            Known::Text(other) => other,
                            _ => return None,
                        },
                    };
                    match operator.as_str() {
                        "=" => Some(Known::Truth(one == other)),
                        "<>" => Some(Known::Truth(one != other)),
                        _ => None,
                    }
                }
                Known::Truth(_) => None,
            }
        }
        NodeEnum::BoolExpr(expression) => {
            let truths = expression.args.iter().map(|arg| match known(arg, variables) {
                Some(Known::Truth(truth)) => Some(truth),
                _ => None,
            });
            let truths: Vec<bool> = truths.collect::<Option<_>>()?;
            Some(Known::Truth(match BoolExprType::try_from(expression.boolop) {
                Ok(BoolExprType::AndExpr) => truths.into_iter().all(|truth| truth),
                Ok(BoolExprType::OrExpr) => truths.into_iter().any(|truth| truth),
                Ok(BoolExprType::NotExpr) => !*truths.first()?,
                _ => return None,
            }))
        }
        NodeEnum::NullTest(test) => {
            let value = variable(test.arg.as_deref()?, variables)?;
            let asks_null = test.nulltesttype == NullTestType::IsNull as i32;
            (value.ty != Type::Record).then_some(Known::Truth(value.is_null() == asks_null))
        }
        _ => None,
    }
}

fn wider(one: Type, other: Type) -> Type {
    match (&one, &other) {
        (Type::Int8, _) | (_, Type::Int8) => Type::Int8,
        (Type::Int4, _) | (_, Type::Int4) => Type::Int4,
        _ => Type::Int2,
    }
}

/// Integers as the server's operators take them; nothing where they fail.
fn of_integers(operator: &str, one: i64, other: i64, ty: Type) -> Option<Known> {
    let truth = |truth| Some(Known::Truth(truth));
    let number = match operator {
        "=" => return truth(one == other),
        "<>" => return truth(one != other),
        "<" => return truth(one < other),
        "<=" => return truth(one <= other),
        ">" => return truth(one > other),
        ">=" => return truth(one >= other),
        "+" => one.checked_add(other),
        "-" => one.checked_sub(other),
        "*" => one.checked_mul(other),
        "/" => one.checked_div(other),
        "%" => one.checked_rem(other),
        _ => None,
    }?;
    let (least, greatest) = bounds(&ty);
    (least..=greatest).contains(&number).then_some(Known::Integer(number, ty))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::{Level, Named, Variable};

    #[test]
    fn plain_expressions_have_the_servers_values() {
        let named = |name: &str, value: Value| Named {
            name: name.to_owned(),
            variable: Variable::Scalar(value),
            not_null: false,
        };
        let names = vec![
            named("i", Value::integer(7, Type::Int4)),
            named("b", Value::integer(9_000_000_000, Type::Int8)),
            named("t", Value::text_of("it's")),
            named("yes", Value::boolean(true)),
            named("n", Value::null(Type::Int4)),
        ];
        let variables = Variables { levels: vec![Level { label: None, names }], ..Variables::default() };
        let check = |text: &str, expected: Option<&str>| {
            let parsed = pg_query::parse(&format!("SELECT {text}"), 0).expect(text).protobuf;
            let query = parsed.stmts[0].stmt.as_ref().and_then(|node| node.node.clone()).expect(text);
            let value = plain_value(&query, &variables, None);
            let shown = value.map(|value| value.text().unwrap_or("NULL").to_owned());
            assert_eq!(shown.as_deref(), expected, "{text}");
        };
        check("i", Some("7"));
        check("n", Some("NULL"));
        check("i * 2 + 1", Some("15"));
        check("-i / 2", None);
        check("(0 - i) / 2", Some("-3"));
        check("(0 - i) % 2", Some("-1"));
        check("i + b", Some("9000000007"));
        check("i * 400000000", None);
        check("i / 0", None);
        check("i > 6 AND NOT t <> 'it''s'", Some("true"));
        check("n > 6", None);
        check("n IS NULL OR yes", Some("true"));
        check("t < 'a'", None);
        check("t", Some("it's"));
        check("i FROM x", None);
        check("i WHERE yes", None);
        check("count(*)", None);
        check("nope", None);
    }
}
