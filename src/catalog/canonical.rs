//! Canonical expressions: two texts that PostgreSQL keeps as the same expression become the same text.
//!
//! Input: an expression as a statement wrote it, or as `pg_get_expr` shows it. Output: one text for both. The server shows what parse
//! analysis made of an expression: `IN` as `= ANY (ARRAY[…])`, `BETWEEN` as two comparisons, `LIKE` as `~~`, casts on every constant
//! and on columns of other string types. Invariant: what differs here may be the same to the server (`'24h'` and `'24:00:00'` as
//! intervals); what is equal here differs at most in a cast between strings or between numbers. Left out: evaluating anything.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AArrayExpr, AConst, AExpr, AExprKind, BoolExpr, BoolExprType, CoercionForm, FuncCall, Node, a_const::Val,
};

use super::{Expression, tree};

/// Types whose casts the server adds by itself.
const FREE: &[&str] =
    &["text", "varchar", "bpchar", "char", "int2", "int4", "int8", "float4", "float8", "numeric", "regclass"];

impl Expression {
    /// The one text of all ways to write this expression.
    pub fn canonical(&self) -> String {
        let mut node = (*self.node).clone();
        simplify(&mut node);
        Expression::new(&node).map_or_else(|_| self.sql.clone(), |expression| expression.sql)
    }
}

fn simplify(node: &mut Node) {
    for child in node.node.iter_mut().flat_map(tree::children_mut) {
        simplify(child);
    }
    let Some(inner) = node.node.take() else { return };
    node.node = Some(match inner {
        NodeEnum::TypeCast(cast) => {
            let base = cast.type_name.as_ref().and_then(|name| tree::strings(&name.names).pop()).unwrap_or_default();
            match cast.arg.and_then(|arg| arg.node) {
                Some(arg) if is_constant(&arg) || FREE.contains(&base.as_str()) => arg,
                arg => {
                    let mut cast = pg_query::protobuf::TypeCast {
                        arg: arg.map(|node| Box::new(Node { node: Some(node) })),
                        type_name: cast.type_name,
                        location: 0,
                    };
                    if let Some(name) = &mut cast.type_name {
                        unqualify(&mut name.names);
                    }
                    NodeEnum::TypeCast(Box::new(cast))
                }
            }
        }
        NodeEnum::AConst(constant) => NodeEnum::AConst(as_text(constant)),
        NodeEnum::AExpr(expression) => operator(*expression),
        NodeEnum::BoolExpr(expression) => NodeEnum::BoolExpr(Box::new(flat(*expression))),
        NodeEnum::FuncCall(call) => NodeEnum::FuncCall(Box::new(called(*call))),
        other => other,
    });
}

fn is_constant(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::AConst(_) => true,
        NodeEnum::AArrayExpr(array) => array.elements.iter().filter_map(|e| e.node.as_ref()).all(is_constant),
        _ => false,
    }
}

/// Constants by their text: the server shows a negative number in quotes.
fn as_text(constant: AConst) -> AConst {
    let text = match &constant.val {
        Some(Val::Ival(number)) => number.ival.to_string(),
        Some(Val::Fval(number)) => number.fval.clone(),
        Some(Val::Boolval(value)) => value.boolval.to_string(),
        _ => return AConst { location: 0, ..constant },
    };
    text_constant(text)
}

fn text_constant(text: String) -> AConst {
    AConst { isnull: false, location: 0, val: Some(Val::Sval(pg_query::protobuf::String { sval: text })) }
}

fn binary(operator: &str, left: Option<Box<Node>>, right: Option<Box<Node>>) -> NodeEnum {
    NodeEnum::AExpr(Box::new(AExpr {
        kind: AExprKind::AexprOp as i32,
        name: vec![tree::name(operator)],
        lexpr: left,
        rexpr: right,
        ..AExpr::default()
    }))
}

fn boxed(node: NodeEnum) -> Option<Box<Node>> {
    Some(Box::new(Node { node: Some(node) }))
}

fn operator(expression: AExpr) -> NodeEnum {
    let kind = AExprKind::try_from(expression.kind).unwrap_or(AExprKind::Undefined);
    let name = tree::strings(&expression.name).pop().unwrap_or_default();
    let AExpr { lexpr, rexpr, .. } = expression.clone();
    match kind {
        // A sign before a number is part of it.
        AExprKind::AexprOp if name == "-" && lexpr.is_none() => {
            match rexpr.as_deref().and_then(|node| node.node.as_ref()) {
                Some(NodeEnum::AConst(AConst { val: Some(Val::Sval(number)), .. }))
                    if number.sval.starts_with(|c: char| c.is_ascii_digit()) =>
                {
                    NodeEnum::AConst(text_constant(format!("-{}", number.sval)))
                }
                _ => binary("-", lexpr, rexpr),
            }
        }
        AExprKind::AexprLike | AExprKind::AexprIlike | AExprKind::AexprOp => binary(&name, lexpr, rexpr),
        AExprKind::AexprIn => {
            let elements = match rexpr.and_then(|node| node.node) {
                Some(NodeEnum::List(list)) => list.items,
                other => other.map(|node| Node { node: Some(node) }).into_iter().collect(),
            };
            if let [only] = elements.as_slice() {
                return binary(&name, lexpr, Some(Box::new(only.clone())));
            }
            let kind = if name == "=" { AExprKind::AexprOpAny } else { AExprKind::AexprOpAll };
            let array = AArrayExpr { elements, ..AArrayExpr::default() };
            NodeEnum::AExpr(Box::new(AExpr {
                kind: kind as i32,
                name: vec![tree::name(&name)],
                lexpr,
                rexpr: boxed(NodeEnum::AArrayExpr(array)),
                ..AExpr::default()
            }))
        }
        AExprKind::AexprBetween | AExprKind::AexprNotBetween => {
            let Some(NodeEnum::List(bounds)) = rexpr.and_then(|node| node.node) else {
                return NodeEnum::AExpr(Box::new(expression));
            };
            let outside = kind == AExprKind::AexprNotBetween;
            let (below, above) = if outside { ("<", ">") } else { (">=", "<=") };
            let mut bounds = bounds.items.into_iter().map(Box::new);
            let args = [below, above].map(|name| Node { node: Some(binary(name, lexpr.clone(), bounds.next())) });
            let kind = if outside { BoolExprType::OrExpr } else { BoolExprType::AndExpr };
            NodeEnum::BoolExpr(Box::new(BoolExpr { boolop: kind as i32, args: args.to_vec(), ..BoolExpr::default() }))
        }
        _ => NodeEnum::AExpr(Box::new(expression)),
    }
}

/// `a AND (b AND c)` is `a AND b AND c`.
fn flat(expression: BoolExpr) -> BoolExpr {
    let mut args = Vec::new();
    for arg in expression.args {
        match arg.node {
            Some(NodeEnum::BoolExpr(inner))
                if inner.boolop == expression.boolop && inner.boolop != BoolExprType::NotExpr as i32 =>
            {
                args.extend(inner.args);
            }
            node => args.push(Node { node }),
        }
    }
    BoolExpr { args, boolop: expression.boolop, ..BoolExpr::default() }
}

fn called(mut call: FuncCall) -> FuncCall {
    unqualify(&mut call.funcname);
    call.funcformat = CoercionForm::CoerceExplicitCall as i32;
    if tree::strings(&call.funcname).last().map(String::as_str) == Some("nextval") {
        // A sequence of the schema `public` may stand with or without it.
        for arg in &mut call.args {
            if let Some(NodeEnum::AConst(AConst { val: Some(Val::Sval(text)), .. })) = &mut arg.node
                && let Some(rest) = text.sval.strip_prefix("public.")
            {
                text.sval = rest.to_owned();
            }
        }
    }
    call
}

fn unqualify(names: &mut Vec<Node>) {
    if let [schema, _] = names.as_slice()
        && tree::string(schema).is_some_and(|schema| ["pg_catalog", "public"].contains(&schema.as_str()))
    {
        names.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_shows_is_what_was_written() {
        fn check(written: &str, shown: &str) {
            let canonical = |sql: &str| Expression::parse(sql).expect(sql).canonical();
            assert_eq!(canonical(written), canonical(shown), "{written}");
        }
        check("'x'", "'x'::text");
        check("-1", "'-1'::integer");
        check("0", "(0)::numeric");
        check("'A'", "'A'::\"Role\"");
        check("a IN ('x', 'y')", "((a)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[]))");
        check("a NOT IN (1, 2)", "(a <> ALL (ARRAY[1, 2]))");
        check("a BETWEEN 1 AND 10 AND b", "((a >= 1) AND (a <= 10) AND b)");
        check("email LIKE '%@%'", "(email ~~ '%@%'::text)");
        check("substring(a from 1 for 2)", "\"substring\"(a, 1, 2)");
        check("nextval('public.s')", "nextval('s'::regclass)");
        check("'{}'::jsonb", "'{}'::jsonb");
        check("a > -5", "(a > '-5'::integer)");
        check("now() + interval '1 day'", "(now() + '1 day'::interval)");
    }

    #[test]
    fn different_expressions_stay_different() {
        fn check(one: &str, other: &str) {
            let canonical = |sql: &str| Expression::parse(sql).expect(sql).canonical();
            assert_ne!(canonical(one), canonical(other), "{one}");
        }
        check("a > 1", "a >= 1");
        check("now()", "CURRENT_TIMESTAMP");
        check("a IN (1, 2)", "a NOT IN (1, 2)");
        check("a::date", "a");
        check("a AND b OR c", "a AND (b OR c)");
    }
}
