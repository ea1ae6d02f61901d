//! Expressions: a parse tree with the names in scope becomes typed DuckDB SQL.

mod boolean;
mod case;
mod column;
mod convert;
mod list;
mod operator;
mod record;
mod subquery;
mod whole;

use pg_query::NodeEnum;
use pg_query::protobuf::{self, MinMaxOp, Node, NullTestType, a_const::Val};

use super::cast::{Context, convert};
use super::number;
use super::query::Grouping;
use super::reader::Reader;
use super::scope::Scope;
use super::typed::{Constant, Family, Typed, family};
use crate::catalog::{Outcome, Problem, Type, tree};
use crate::query::quote_literal;

/// Where an expression stands: what it may contain.
#[derive(Clone, Copy)]
pub(super) struct Site<'s> {
    pub scope: &'s Scope<'s>,
    /// The query's groups, where it has any and the expression is about them.
    pub grouping: Option<&'s Grouping>,
    /// Aggregates may be called.
    pub aggregates: bool,
    /// Window functions may be called.
    pub windows: bool,
    /// The clause whose condition it is, for messages.
    pub clause: &'static str,
    /// The clause it stands in, however deep, for messages.
    pub place: &'static str,
}

impl<'s> Site<'s> {
    pub fn new(scope: &'s Scope<'s>, clause: &'static str) -> Site<'s> {
        Site { scope, grouping: None, aggregates: false, windows: false, clause, place: clause }
    }

    /// The same place inside the arguments of a function that gives rows.
    pub fn inside_rows(self) -> Site<'s> {
        Site { windows: false, clause: "the arguments of a function that gives rows", ..self }
    }

    /// The same place inside an aggregate's arguments.
    pub fn ungrouped(self) -> Site<'s> {
        Site { grouping: None, aggregates: false, windows: false, ..self }
    }
}

impl Reader<'_> {
    /// Reads an expression.
    pub(super) fn expression(&mut self, node: &Node, site: Site<'_>) -> Outcome<Typed> {
        let Some(node) = &node.node else { return Err(Problem::unsupported("an empty expression")) };
        if let Some(key) = self.grouping_key(node, site) {
            return Ok(key);
        }
        if matches!(node, NodeEnum::AConst(_) | NodeEnum::ColumnRef(_)) {
            return self.form(node, site);
        }
        let parts = self.constants();
        let (value, fixed) = self.fixed(|this| this.form(node, site));
        let value = value?;
        if fixed {
            self.note_constant(parts, &value.sql);
        }
        Ok(value)
    }

    /// Reads an expression by its form.
    fn form(&mut self, node: &NodeEnum, site: Site<'_>) -> Outcome<Typed> {
        match node {
            NodeEnum::AConst(constant) => self.constant(constant),
            NodeEnum::ColumnRef(column) => self.column(column, site).map_err(|p| p.at(column.location)),
            NodeEnum::AExpr(expression) => {
                self.operator_expression(expression, site).map_err(|p| p.at(expression.location))
            }
            NodeEnum::BoolExpr(expression) => self.boolean_expression(expression, site),
            NodeEnum::NullTest(test) => {
                let word = if test.nulltesttype == NullTestType::IsNull as i32 { "IS NULL" } else { "IS NOT NULL" };
                if let Some(NodeEnum::RowExpr(row)) = &required(&test.arg)?.node {
                    return self.null_test_of_row(&row.args, word, site);
                }
                match self.row_values(required(&test.arg)?, true, site) {
                    Some(Some(fields)) => return self.null_test_of_row(&fields, word, site),
                    Some(None) => return Ok(Typed::new((word == "IS NULL").to_string(), Type::Bool)),
                    None => {}
                }
                let value = self.expression(required(&test.arg)?, site)?;
                if value.ty == Type::Record {
                    return Err(Problem::unsupported("a NULL test of a row"));
                }
                if let Type::Composite(oid) = value.ty {
                    return self.null_test_of_composite(&value.sql, oid, word);
                }
                Ok(Typed::new(format!("({} {word})", value.sql), Type::Bool))
            }
            NodeEnum::BooleanTest(test) => self.boolean_test(test, site),
            NodeEnum::CaseExpr(case) => self.case(case, site),
            NodeEnum::CoalesceExpr(coalesce) => self.coalesce(coalesce, site),
            NodeEnum::MinMaxExpr(expression) => {
                let word = if expression.op == MinMaxOp::IsGreatest as i32 { "greatest" } else { "least" };
                let (values, ty) = self.common(&expression.args, site, &word.to_uppercase())?;
                if let Type::Enum(oid) = ty {
                    let labels: Vec<String> = super::literal::labels(oid, self.catalog())?
                        .0
                        .iter()
                        .map(|label| quote_literal(label))
                        .collect();
                    let places = values.iter().map(|value| self.sort_key(value, &ty)).collect::<Outcome<Vec<_>>>()?;
                    let sql = format!("([{}])[{word}({})]", labels.join(", "), places.join(", "));
                    return Ok(Typed::new(sql, ty));
                }
                if matches!(ty, Type::Array(_) | Type::Interval | Type::Jsonb) || super::carried::name(&ty).is_some() {
                    return self.outermost(word, values, ty);
                }
                if matches!(ty, Type::Opaque(_) | Type::Json | Type::Record | Type::Composite(_)) {
                    return Err(Problem::unsupported(format!("{word}() of {} values", ty.name(self.catalog()))));
                }
                if family(&ty) == Family::Text {
                    self.orders_text();
                }
                if number::is_text(&ty) {
                    let values: Vec<String> = values.iter().map(|value| format!("coalesce({value}, '')")).collect();
                    return Ok(Typed::new(format!("pg_numeric_{word}({})", values.join(", ")), ty));
                }
                Ok(Typed::new(format!("{word}({})", values.join(", ")), ty))
            }
            NodeEnum::TypeCast(cast) => self.type_cast(cast, site).map_err(|p| p.at(cast.location)),
            NodeEnum::FuncCall(call) => self.call(call, site).map_err(|p| p.at(call.location)),
            NodeEnum::SqlvalueFunction(function) => self.value_function(function),
            NodeEnum::SubLink(link) => self.sub_link(link, site).map_err(|p| p.at(link.location)),
            NodeEnum::AArrayExpr(array) => {
                if array.elements.is_empty() {
                    return Err(Problem::rejected("42P18", "cannot determine type of empty array")
                        .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."));
                }
                let (values, ty) = self.common(&array.elements, site, "ARRAY")?;
                if matches!(ty, Type::Array(_)) {
                    super::matrix::lengths(&array.elements)?;
                }
                Ok(Typed::new(format!("[{}]", values.join(", ")), Type::Array(Box::new(ty))))
            }
            NodeEnum::AIndirection(indirection) => self.indirection(indirection, site),
            NodeEnum::CollateClause(collate) => {
                let name = words(&collate.collname).join(".");
                if name != "C" && name != "POSIX" {
                    return Err(Problem::unsupported(format!("the collation {name}")));
                }
                self.expression(required(&collate.arg)?, site)
            }
            NodeEnum::NamedArgExpr(_) => Err(Problem::unsupported("an argument given by name")),
            NodeEnum::RowExpr(_) => Err(Problem::unsupported("a row constructor here")),
            NodeEnum::SetToDefault(_) => Err(Problem::rejected("42601", "DEFAULT is not allowed in this context")),
            NodeEnum::ParamRef(parameter) => self.parameter(parameter.number).map_err(|p| p.at(parameter.location)),
            NodeEnum::GroupingFunc(call) => self.grouping_of(&call.args, site).map_err(|p| p.at(call.location)),
            NodeEnum::CurrentOfExpr(_) => Err(Problem::unsupported("WHERE CURRENT OF")),
            _ => Err(Problem::unsupported("this form of expression")),
        }
    }

    /// GREATEST and LEAST of values that the engine orders by a key: of equal ones the first.
    fn outermost(&mut self, word: &str, values: Vec<String>, ty: Type) -> Outcome<Typed> {
        let (sort, sign) = if word == "greatest" { ("list_reverse_sort", "-") } else { ("list_sort", "") };
        let mut items = Vec::new();
        for (at, value) in values.iter().enumerate() {
            let key = self.sort_key(value, &ty)?;
            items.push(format!("{{'k': {key}, 'i': {sign}{at}, 'v': {value}}}"));
        }
        let known = format!("list_filter([{}], lambda e: e.v IS NOT NULL)", items.join(", "));
        Ok(Typed::new(format!("({sort}({known})[1]).v"), ty))
    }

    /// Reads a condition: it must be boolean.
    pub(super) fn condition(&mut self, node: &Node, site: Site<'_>) -> Outcome<String> {
        let value = self.expression(node, site)?;
        match value.ty {
            Type::Bool => Ok(value.sql),
            Type::Unknown => Ok(convert(value, &Type::Bool, Context::Implicit, None, self.catalog())?.sql),
            other => Err(Problem::rejected(
                "42804",
                format!("argument of {} must be type boolean, not type {}", site.clause, self.shown(&other)),
            )),
        }
    }

    fn constant(&mut self, constant: &protobuf::AConst) -> Outcome<Typed> {
        if constant.isnull {
            return Ok(Typed::null());
        }
        Ok(match &constant.val {
            // The parser leaves out a zero.
            None => Typed::integer(0),
            Some(Val::Ival(value)) => Typed::integer(value.ival.into()),
            Some(Val::Fval(value)) => return self.number_constant(&value.fval),
            Some(Val::Boolval(value)) => Typed::new(value.boolval.to_string(), Type::Bool),
            Some(Val::Sval(value)) => Typed::string(&value.sval),
            Some(Val::Bsval(bits)) => {
                let ty = Type::Opaque("bit".to_owned());
                let value = super::carried::literal(&bits.bsval, &ty);
                Typed::new(value.unwrap_or_else(|| Err(Problem::unsupported("a bit string")))?, ty)
            }
        })
    }

    /// A number too large for an integer, or with a point: a bigint or a numeric.
    fn number_constant(&mut self, text: &str) -> Outcome<Typed> {
        if let Ok(value) = text.parse::<i64>() {
            return Ok(Typed::integer(value));
        }
        let ty = Type::Numeric(None);
        Ok(Typed::new(number::literal(text, &ty)?, ty))
    }
}

/// The names in a list of String nodes.
pub(super) fn words(nodes: &[Node]) -> Vec<&str> {
    nodes
        .iter()
        .filter_map(|node| match &node.node {
            Some(NodeEnum::String(text)) => Some(text.sval.as_str()),
            _ => None,
        })
        .collect()
}

pub(super) fn required(node: &Option<Box<Node>>) -> Outcome<&Node> {
    node.as_deref().ok_or_else(|| Problem::unsupported("an empty expression"))
}

/// Does an expression read a column of its own query?
pub(super) fn contains_column(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::ColumnRef(_)) => true,
        Some(NodeEnum::SubLink(link)) => link.testexpr.as_deref().is_some_and(contains_column),
        Some(node) => tree::children(node).into_iter().any(contains_column),
        None => false,
    }
}

/// A constant integer, for LIMIT and the like.
pub(super) fn integer_constant(value: &Typed) -> Option<i64> {
    match value.constant {
        Some(Constant::Integer(value)) => Some(value),
        _ => None,
    }
}
