//! Values of composite types: `ROW(1, 'x')::t`, `'(1,x)'::t`, `(v).a`.
//!
//! Input: fields or a value. Output: the server's text of the row, or a field of one. Invariant: a field is written and read in its own
//! type's form. Left out: the order of such values, and comparing those whose fields may be written in several ways.

use pg_query::protobuf::Node;

use super::cast::{Context, convert, output_form};
use super::expression::Site;
use super::literal;
use super::reader::Reader;
use super::typed::{Typed, physical};
use crate::catalog::{Catalog, Oid, Outcome, Problem, Type};
use crate::native;
use crate::query::quote_literal;

/// Attributes of a type, by its number.
fn attributes(oid: Oid, catalog: &Catalog) -> Outcome<Vec<(String, Type)>> {
    catalog.row_columns(oid).ok_or_else(|| Problem::unsupported("a composite type that is gone"))
}

/// The text of a row out of its fields, each already of its attribute's type.
fn row_of(fields: Vec<Typed>, catalog: &Catalog) -> Outcome<String> {
    let texts = fields.iter().map(|field| output_form(&field.sql, &field.ty, catalog)).collect::<Outcome<Vec<_>>>()?;
    Ok(format!("pg_record_text(CAST([{}] AS VARCHAR[]))", texts.join(", ")))
}

/// A literal of a composite type.
pub(super) fn read(text: &str, oid: Oid, catalog: &Catalog) -> Outcome<String> {
    let attributes = attributes(oid, catalog)?;
    let malformed = |detail: &str| {
        Problem::rejected("22P02", format!("malformed record literal: \"{text}\"")).detail(detail.to_owned())
    };
    let fields = native::record_fields(text).map_err(malformed)?;
    let mut values = Vec::new();
    for (at, (_, ty)) in attributes.iter().enumerate() {
        let field = fields.get(at).ok_or_else(|| malformed("Too few columns."))?;
        values.push(match field {
            None => Typed { ty: ty.clone(), sql: format!("CAST(NULL AS {})", physical(ty)), constant: None },
            Some(text) => Typed { ty: ty.clone(), ..literal::read(text, ty, false, catalog)? },
        });
    }
    match fields.len() > attributes.len() {
        true => Err(malformed("Too many columns.")),
        false => row_of(values, catalog),
    }
}

/// SQL for the attribute at a place of a composite value.
pub(super) fn field_at(sql: &str, place: usize, ty: &Type, catalog: &Catalog) -> Outcome<String> {
    let text = Typed::new(format!("pg_record_field({sql}, {})", quote_literal(&(place + 1).to_string())), Type::Text);
    let value = match ty {
        // What is carried as text is the text.
        Type::Text => text,
        Type::Composite(_) | Type::Enum(_) | Type::Opaque(_) | Type::Json | Type::Jsonb => text,
        Type::Array(_) => return Err(Problem::unsupported("an array in a composite value")),
        ty => convert(text, ty, Context::Explicit, None, catalog)?,
    };
    Ok(format!("CAST({} AS {})", value.sql, physical(ty)))
}

impl Reader<'_> {
    /// `ROW(…)::t`
    pub(super) fn composite_of(&mut self, items: &[Node], oid: Oid, site: Site<'_>) -> Outcome<Typed> {
        let attributes = attributes(oid, self.catalog())?;
        let items = self.spelled_out(items, site.scope);
        if items.len() != attributes.len() {
            let name = self.catalog().composite_name(oid);
            let many = if items.len() < attributes.len() { "few" } else { "many" };
            return Err(Problem::rejected("42846", format!("cannot cast type record to {name}"))
                .detail(format!("Input has too {many} columns.")));
        }
        let mut fields = Vec::new();
        for (node, (_, ty)) in items.iter().zip(&attributes) {
            let value = self.as_composite(node, ty, site)?;
            fields.push(self.coerce(value, ty, Context::Explicit, None)?);
        }
        Ok(Typed::new(row_of(fields, self.catalog())?, Type::Composite(oid)))
    }

    /// An expression that is to become a value of a type: a row constructor where that is composite.
    pub(super) fn as_composite(&mut self, node: &Node, ty: &Type, site: Site<'_>) -> Outcome<Typed> {
        match (&node.node, ty) {
            (Some(pg_query::NodeEnum::RowExpr(row)), Type::Composite(oid)) => self.composite_of(&row.args, *oid, site),
            _ => self.expression(node, site),
        }
    }

    /// `(v).a`
    pub(super) fn composite_field(&mut self, value: &Typed, field: &str) -> Outcome<Typed> {
        let Type::Composite(oid) = &value.ty else { return Err(Problem::unsupported("a field of a composite value")) };
        let attributes = attributes(*oid, self.catalog())?;
        let Some(place) = attributes.iter().position(|(name, _)| name == field) else {
            let name = self.catalog().composite_name(*oid);
            return Err(Problem::rejected("42703", format!("column \"{field}\" not found in data type {name}")));
        };
        let ty = attributes[place].1.clone();
        Ok(Typed::new(field_at(&value.sql, place, &ty, self.catalog())?, ty))
    }

    /// `v IS NULL`: all of its fields are; `IS NOT NULL`: none of them is.
    pub(super) fn null_test_of_composite(&mut self, sql: &str, oid: Oid, word: &str) -> Outcome<Typed> {
        let fields = attributes(oid, self.catalog())?.len();
        let field = |place: usize| format!("pg_record_field({sql}, '{place}') {word}");
        let fields: Vec<String> = (1..=fields).map(field).collect();
        let held = if fields.is_empty() { "true".to_owned() } else { fields.join(" AND ") };
        Ok(Typed::new(
            match word {
                "IS NULL" => format!("({sql} IS NULL OR ({held}))"),
                _ => format!("({sql} IS NOT NULL AND {held})"),
            },
            Type::Bool,
        ))
    }

    /// Are two values of the type the same where their texts are?
    pub(super) fn is_told_by_text(&self, ty: &Type) -> bool {
        match ty {
            Type::Composite(oid) => {
                attributes(*oid, self.catalog()).is_ok_and(|list| list.iter().all(|(_, ty)| self.is_told_by_text(ty)))
            }
            Type::Domain(_, base) => self.is_told_by_text(base),
            Type::Bool | Type::Int2 | Type::Int4 | Type::Int8 | Type::Text | Type::Varchar(_) | Type::Name => true,
            Type::Bytea | Type::Uuid | Type::Date | Type::Timestamp(_) | Type::Timestamptz(_) | Type::Enum(_) => true,
            _ => false,
        }
    }

    /// The columns that `unnest()` of an array of composite values gives.
    pub(super) fn composite_columns(&self, list: &str, oid: Oid) -> Outcome<Vec<(String, Type, String)>> {
        let catalog = self.catalog();
        let columns = attributes(oid, catalog)?.into_iter().enumerate().map(|(place, (name, ty))| {
            let field = field_at("e", place, &ty, catalog)?;
            Ok((name, ty, format!("list_transform({list}, lambda e: {field})")))
        });
        columns.collect()
    }
}
