//! Conditions of checks and partial indexes as the server writes them back: every operation in brackets, every cast that parse analysis
//! has added spelled out.
//!
//! Input: an expression over one table's columns. Output: its text as `pg_get_constraintdef` and `pg_get_indexdef` have it, or nothing
//! where that isn't certain. Left out: functions but those of a text's length and case, casts, operators other than comparisons,
//! patterns and sums of whole numbers.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AConst, AExpr, AExprKind, BoolExpr, BoolExprType, BoolTestType, Node, NullTestType, a_const::Val,
};

use crate::catalog::lookup::quoted;
use crate::catalog::{Catalog, Table, Type, tree};
use crate::query::quote_literal;

/// Functions of one text, and what they give.
const OF_TEXT: &[(&str, Type)] = &[
    ("char_length", Type::Int4),
    ("character_length", Type::Int4),
    ("length", Type::Int4),
    ("octet_length", Type::Int4),
    ("lower", Type::Text),
    ("upper", Type::Text),
];

/// An expression's text and type.
struct Written {
    text: String,
    ty: Type,
}

/// Writes the expressions of one table.
struct Writer<'c> {
    table: &'c Table,
    catalog: &'c Catalog,
}

/// A condition or an expression over a table's columns.
pub(super) fn expression(node: &Node, table: &Table, catalog: &Catalog) -> Option<String> {
    Some(Writer { table, catalog }.write(node)?.text)
}

impl Writer<'_> {
    fn write(&self, node: &Node) -> Option<Written> {
        match node.node.as_ref()? {
            NodeEnum::ColumnRef(column) => {
                let name = tree::strings(&column.fields).pop()?;
                let column = self.table.columns.iter().find(|column| column.name == name)?;
                Some(Written { text: quoted(&column.name), ty: column.ty.clone() })
            }
            NodeEnum::BoolExpr(e) => self.connected(e),
            NodeEnum::NullTest(test) => {
                let word = match test.nulltesttype() {
                    NullTestType::IsNull => "IS NULL",
                    NullTestType::IsNotNull => "IS NOT NULL",
                    NullTestType::Undefined => return None,
                };
                let arg = self.write(test.arg.as_deref()?)?;
                truth(format!("({} {word})", arg.text))
            }
            NodeEnum::BooleanTest(test) => {
                let word = match test.booltesttype() {
                    BoolTestType::IsTrue => "IS TRUE",
                    BoolTestType::IsNotTrue => "IS NOT TRUE",
                    BoolTestType::IsFalse => "IS FALSE",
                    BoolTestType::IsNotFalse => "IS NOT FALSE",
                    _ => return None,
                };
                let arg = self.write(test.arg.as_deref()?)?;
                truth(format!("({} {word})", arg.text))
            }
            NodeEnum::FuncCall(call) => {
                let names = tree::strings(&call.funcname);
                let ([name], [arg]) = (names.as_slice(), call.args.as_slice()) else { return None };
                let (_, ty) = OF_TEXT.iter().find(|(known, _)| known == name)?;
                let text = as_text(self.write(arg)?)?;
                Some(Written { text: format!("{name}({text})"), ty: ty.clone() })
            }
            NodeEnum::AExpr(e) => self.operation(e),
            _ => None,
        }
    }

    /// AND, OR, NOT.
    fn connected(&self, e: &BoolExpr) -> Option<Written> {
        let args: Vec<Written> = e.args.iter().map(|arg| self.write(arg)).collect::<Option<_>>()?;
        if args.iter().any(|arg| arg.ty != Type::Bool) {
            return None;
        }
        let args: Vec<String> = args.into_iter().map(|arg| arg.text).collect();
        truth(match (e.boolop(), args.as_slice()) {
            (BoolExprType::NotExpr, [arg]) => format!("(NOT {arg})"),
            (BoolExprType::AndExpr, args) => format!("({})", args.join(" AND ")),
            (BoolExprType::OrExpr, args) => format!("({})", args.join(" OR ")),
            _ => return None,
        })
    }

    fn operation(&self, e: &AExpr) -> Option<Written> {
        let name = tree::strings(&e.name).pop()?;
        let left = self.write(e.lexpr.as_deref()?)?;
        let right = e.rexpr.as_deref()?;
        match e.kind() {
            AExprKind::AexprOp => self.infix(&left, &name, right),
            AExprKind::AexprLike => self.infix(&left, if name == "~~" { "~~" } else { "!~~" }, right),
            AExprKind::AexprIn => self.among(left, &name, right),
            AExprKind::AexprBetween => {
                let Some(NodeEnum::List(list)) = &right.node else { return None };
                let [low, high] = list.items.as_slice() else { return None };
                let low = self.infix(&left, ">=", low)?;
                let high = self.infix(&left, "<=", high)?;
                truth(format!("({} AND {})", low.text, high.text))
            }
            _ => None,
        }
    }

    fn infix(&self, left: &Written, name: &str, right: &Node) -> Option<Written> {
        let compares = ["=", "<>", "<", ">", "<=", ">="].contains(&name);
        let matches = ["~", "~*", "!~", "!~*", "~~", "!~~"].contains(&name);
        let counts = ["+", "-", "*", "%"].contains(&name);
        let other = match constant(right) {
            Some(value) => self.beside(value, &left.ty)?,
            None => self.write(right)?,
        };
        let whole = |ty: &Type| *ty == Type::Int4;
        let (left, other, ty) = match (&left.ty, &other.ty) {
            (one, two) if is_string(one) && is_string(two) && (compares || matches) => {
                (as_text_of(left)?, as_text(other)?, Type::Bool)
            }
            (one, two) if compares && (one == two || (is_whole(one) && is_whole(two))) && !is_string(one) => {
                (left.text.clone(), other.text, Type::Bool)
            }
            (one, two) if counts && whole(one) && whole(two) => (left.text.clone(), other.text, Type::Int4),
            _ => return None,
        };
        Some(Written { text: format!("({left} {name} {other})"), ty })
    }

    /// `IN (…)` of constants.
    fn among(&self, left: Written, name: &str, right: &Node) -> Option<Written> {
        let Some(NodeEnum::List(list)) = &right.node else { return None };
        if let [single] = list.items.as_slice() {
            return self.infix(&left, name, single);
        }
        let words = if name == "=" { "= ANY" } else { "<> ALL" };
        let values: Vec<&AConst> = list.items.iter().map(constant).collect::<Option<_>>()?;
        let items: Vec<String> = values
            .iter()
            .map(|value| match (&left.ty, value.val.as_ref()?) {
                (Type::Varchar(_), Val::Sval(text)) => {
                    Some(format!("{}::character varying", quote_literal(&text.sval)))
                }
                (Type::Int2 | Type::Int4, Val::Ival(_)) => Some(self.beside(value, &Type::Int4)?.text),
                (Type::Int8, Val::Ival(number)) if number.ival >= 0 => Some(format!("({})::bigint", number.ival)),
                (Type::Text | Type::Enum(_), Val::Sval(_)) => Some(self.beside(value, &left.ty)?.text),
                _ => None,
            })
            .collect::<Option<_>>()?;
        let list = format!("ARRAY[{}]", items.join(", "));
        truth(match &left.ty {
            Type::Varchar(_) => format!("({} {words} (({list})::text[]))", as_text(left)?),
            _ => format!("({} {words} ({list}))", left.text),
        })
    }

    /// A constant as it stands beside a value of a type.
    fn beside(&self, value: &AConst, ty: &Type) -> Option<Written> {
        let text = match (ty, value.val.as_ref()?) {
            (ty, Val::Sval(text)) if is_string(ty) => {
                return Some(Written { text: format!("{}::text", quote_literal(&text.sval)), ty: Type::Text });
            }
            (Type::Enum(_), Val::Sval(text)) => format!("{}::{}", quote_literal(&text.sval), ty.name(self.catalog)),
            (Type::Bool, Val::Boolval(value)) => value.boolval.to_string(),
            (ty, Val::Ival(number)) if is_whole(ty) => {
                let text = match number.ival {
                    number if number < 0 => format!("'{number}'::integer"),
                    number => number.to_string(),
                };
                return Some(Written { text, ty: Type::Int4 });
            }
            (Type::Numeric(_), Val::Ival(number)) if number.ival >= 0 => format!("({})::numeric", number.ival),
            (Type::Numeric(_), Val::Fval(number)) if !number.fval.contains(['e', 'E', '-']) => number.fval.clone(),
            (Type::Float8, Val::Ival(number)) if number.ival >= 0 => format!("({})::double precision", number.ival),
            _ => return None,
        };
        Some(Written { text, ty: ty.clone() })
    }
}

fn truth(text: String) -> Option<Written> {
    Some(Written { text, ty: Type::Bool })
}

fn constant(node: &Node) -> Option<&AConst> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) if !constant.isnull => Some(constant),
        _ => None,
    }
}

fn is_whole(ty: &Type) -> bool {
    matches!(ty, Type::Int2 | Type::Int4 | Type::Int8)
}

fn is_string(ty: &Type) -> bool {
    matches!(ty, Type::Text | Type::Varchar(_))
}

fn as_text(value: Written) -> Option<String> {
    as_text_of(&value)
}

/// Operators and functions of strings are those of `text`.
fn as_text_of(value: &Written) -> Option<String> {
    match &value.ty {
        Type::Text => Some(value.text.clone()),
        Type::Varchar(_) => Some(format!("({})::text", value.text)),
        _ => None,
    }
}
