//! Assignments to a part of a column: `SET j['key'] = …`, `SET a[2] = …`.
//!
//! Input: the target, and the value the column has by then. Output: the column's new value. Left out: slices, fields of composite
//! values, and positions that would give an array other bounds than from 1 on.

use pg_query::NodeEnum;
use pg_query::protobuf::{AIndices, ResTarget};

use super::cast::{Context, convert};
use super::expression::{Site, required};
use super::reader::Reader;
use super::scope::Scope;
use super::typed::{Typed, physical, raise, refuse};
use crate::catalog::{Column, Outcome, Problem, Type};

impl Reader<'_> {
    /// The new value of a column of which a part is assigned; `old` is DuckDB SQL.
    pub(super) fn assigned_part(
        &mut self,
        target: &ResTarget,
        column: &Column,
        old: &str,
        scope: &Scope<'_>,
    ) -> Outcome<String> {
        let mut indices: Vec<&AIndices> = Vec::new();
        for node in &target.indirection {
            match &node.node {
                Some(NodeEnum::AIndices(index)) => indices.push(index),
                _ => return Err(Problem::unsupported("an assignment to a field of a composite value")),
            }
        }
        let site = Site::new(scope, "UPDATE");
        let value = required(&target.val)?;
        if matches!(value.node, Some(NodeEnum::SetToDefault(_) | NodeEnum::MultiAssignRef(_))) {
            return Err(Problem::unsupported("an assignment to an element in this form"));
        }
        let value = self.expression(value, site)?;
        match &column.ty {
            Type::Jsonb => {
                let value = convert(value, &Type::Jsonb, Context::Assignment, Some(&column.name), self.catalog())?;
                let (path, position) = self.subscript_path(&indices, site)?;
                Ok(format!("pg_jsonb_assign([{old}], {path}, [{}], ['{position}'])", value.sql))
            }
            Type::Array(element) => {
                let [index] = indices.as_slice() else {
                    return Err(Problem::unsupported("an assignment to an array of several dimensions"));
                };
                if index.is_slice {
                    return Err(Problem::unsupported("an assignment to a slice of an array"));
                }
                let place = self.expression(required(&index.uidx)?, site)?;
                let place = convert(place, &Type::Int4, Context::Assignment, None, self.catalog())?;
                let value = convert(value, element, Context::Assignment, Some(&column.name), self.catalog())?;
                Ok(with_element(old, &place.sql, &value, &column.ty))
            }
            other => {
                let name = other.name(self.catalog());
                let message = format!("cannot subscript type {name} because it does not support subscripting");
                Err(Problem::rejected("42804", message))
            }
        }
    }
}

/// An array with one element replaced, or added behind its end.
fn with_element(old: &str, place: &str, value: &Typed, ty: &Type) -> String {
    let null = raise("22004", "'array subscript in assignment must not be null'", ty);
    let bounds = refuse("an array with bounds of its own", ty);
    let list = format!("coalesce({old}, CAST([] AS {}))", physical(ty));
    format!(
        "CASE WHEN {place} IS NULL THEN {null} WHEN {place} < 1 OR ({place} > 1 AND len({list}) = 0) THEN {bounds} \
         ELSE list_concat(list_append(list_resize({list}, {place} - 1), {}), list_slice({list}, {place} + 1, len({list}))) END",
        value.sql
    )
}
