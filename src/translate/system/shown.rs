//! Texts that the server makes of what it keeps: defaults and definitions of indexes.
//!
//! Input: objects of the catalog. Output: the text as `pg_get_expr` and `pg_get_indexdef` write it, or nothing where that isn't certain.
//! Left out: expressions other than constants, calls without arguments and numbers of sequences.

use pg_query::NodeEnum;
use pg_query::protobuf::{AConst, Node, SqlValueFunctionOp, a_const::Val};

use super::written;
use crate::catalog::definition::Style;
use crate::catalog::{Catalog, Constraint, ConstraintKind, Expression, Index, IndexTarget, Oid, Type, tree};
use crate::query::quote_literal;

/// An index over plain columns, of all rows or of those under a condition that is known as the server writes it.
pub(super) fn index(catalog: &Catalog, index: &Index) -> Option<String> {
    let is_plain = index.keys.iter().all(|key| matches!(key.target, IndexTarget::Column(_)));
    let Some(predicate) = index.predicate.as_ref().filter(|_| is_plain) else {
        return is_plain.then(|| catalog.index_definition(index, Style::Canonical));
    };
    let table = catalog.tables.get(&index.table)?;
    let condition = written::expression(&predicate.node, table, catalog)?;
    let whole = Index { predicate: None, ..index.clone() };
    Some(format!("{} WHERE {condition}", catalog.index_definition(&whole, Style::Canonical)))
}

/// A constraint; of a foreign key, the table that it refers to stands there by its name alone where the path leads to it.
pub(super) fn constraint(catalog: &Catalog, constraint: &Constraint) -> Option<String> {
    let is_found = |oid: &Oid| {
        let table = catalog.tables.get(oid);
        table.is_some_and(|table| table.schema == "public" && catalog.search_path.first() == Some(&table.schema))
    };
    match &constraint.kind {
        ConstraintKind::PrimaryKey(_) | ConstraintKind::Unique(_) => {}
        ConstraintKind::ForeignKey(key) if is_found(&key.parent) => {}
        ConstraintKind::Check(check) => {
            let table = catalog.tables.get(&constraint.table)?;
            let condition = written::expression(&check.node, table, catalog)?;
            let not_valid = if constraint.validated { "" } else { " NOT VALID" };
            return Some(format!("CHECK ({condition}){not_valid}"));
        }
        _ => return None,
    }
    Some(catalog.constraint_definition(constraint, Style::Canonical))
}

/// A default.
pub(super) fn default(default: &Expression, ty: &Type, catalog: &Catalog) -> Option<String> {
    match default.node.node.as_ref()? {
        NodeEnum::AConst(constant) => constant_of(constant, ty, catalog),
        NodeEnum::TypeCast(cast) => match cast.arg.as_deref()?.node.as_ref()? {
            NodeEnum::AConst(AConst { val: Some(Val::Sval(value)), .. }) => {
                let to = Type::from_name(cast.type_name.as_ref()?, catalog).ok()?;
                to.same_base(ty).then(|| literal(&value.sval, ty, catalog)).flatten()
            }
            _ => None,
        },
        NodeEnum::SqlvalueFunction(function) => match SqlValueFunctionOp::try_from(function.op).ok()? {
            SqlValueFunctionOp::SvfopCurrentTimestamp if matches!(ty, Type::Timestamptz(None)) => {
                Some("CURRENT_TIMESTAMP".to_owned())
            }
            SqlValueFunctionOp::SvfopCurrentTimestamp if matches!(ty, Type::Timestamp(_)) => {
                Some("CURRENT_TIMESTAMP".to_owned())
            }
            SqlValueFunctionOp::SvfopCurrentDate if *ty == Type::Date => Some("CURRENT_DATE".to_owned()),
            _ => None,
        },
        NodeEnum::FuncCall(call) if call.args.is_empty() && !call.agg_star => {
            match tree::strings(&call.funcname).as_slice() {
                [name] => Some(format!("{name}()")),
                _ => None,
            }
        }
        NodeEnum::FuncCall(call) if tree::strings(&call.funcname).last().is_some_and(|name| name == "nextval") => {
            let sequence = constant_text(call.args.first()?)?;
            let bare = sequence.strip_prefix("public.").unwrap_or(&sequence);
            Some(format!("nextval({}::regclass)", quote_literal(bare)))
        }
        _ => None,
    }
}

fn constant_text(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::AConst(AConst { val: Some(Val::Sval(value)), .. }) => Some(value.sval.clone()),
        NodeEnum::TypeCast(cast) => constant_text(cast.arg.as_deref()?),
        _ => None,
    }
}

fn constant_of(constant: &AConst, ty: &Type, catalog: &Catalog) -> Option<String> {
    match (constant.val.as_ref()?, ty) {
        (Val::Sval(value), _) => literal(&value.sval, ty, catalog),
        (Val::Ival(value), Type::Int2 | Type::Int4 | Type::Int8 | Type::Numeric(_)) => Some(value.ival.to_string()),
        (Val::Fval(value), Type::Numeric(_)) => Some(value.fval.clone()),
        (Val::Boolval(value), Type::Bool) => Some(value.boolval.to_string()),
        _ => None,
    }
}

/// `'x'::text`; the texts of other types are the server's to write.
fn literal(value: &str, ty: &Type, catalog: &Catalog) -> Option<String> {
    let shown = match ty {
        Type::Text | Type::Varchar(_) => ty.base_name(catalog),
        Type::Enum(_) => ty.name(catalog),
        Type::Json | Type::Jsonb if ["{}", "[]"].contains(&value) => ty.base_name(catalog),
        Type::Array(_) if value == "{}" => ty.base_name(catalog),
        _ => return None,
    };
    Some(format!("{}::{shown}", quote_literal(value)))
}
