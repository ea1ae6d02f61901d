//! Subscripts and slices of arrays and of jsonb, fields of rows, and arrays of a query's rows.
//!
//! Input: `a[2]`, `a[1:2]`, `j['key'][0]`, `(jsonb_each(j)).key`, `ARRAY(SELECT …)`. Output: DuckDB SQL. Invariants: a position
//! outside an array gives NULL, a slice outside it nothing. Left out: several dimensions.

use pg_query::NodeEnum;
use pg_query::protobuf::{self, AIndices, Node, ResTarget, SelectStmt, SortBy};

use super::arrival;
use super::cast::{self, Context, convert};
use super::expression::{Site, required, words};
use super::function::document::text_list;
use super::query::direction;
use super::reader::Reader;
use super::typed::{Family, Typed, family};
use crate::catalog::{Outcome, Problem, Type};

impl Reader<'_> {
    /// Whatever stands behind a value in brackets or behind a point.
    pub(super) fn indirection(&mut self, indirection: &protobuf::AIndirection, site: Site<'_>) -> Outcome<Typed> {
        let argument = required(&indirection.arg)?;
        if let (Some(NodeEnum::FuncCall(call)), [Node { node: Some(NodeEnum::String(field)) }]) =
            (&argument.node, indirection.indirection.as_slice())
        {
            return match self.means_own(call, site)? {
                true => self.called_field(call, &field.sval, site),
                false => self.row_field(call, &field.sval, site),
            };
        }
        if let (Some(NodeEnum::ColumnRef(row)), [Node { node: Some(field @ NodeEnum::String(_)) }]) =
            (&argument.node, indirection.indirection.as_slice())
            && let [name] = words(&row.fields).as_slice()
            && site.scope.find(None, None, name).is_err()
            && site.scope.sources.iter().any(|source| source.name == *name && !source.scalar)
        {
            // `(t).a` is `t.a` where t is a row of FROM.
            let fields = vec![row.fields[0].clone(), Node { node: Some(field.clone()) }];
            let column = protobuf::ColumnRef { fields, location: row.location };
            return self.expression(&Node { node: Some(NodeEnum::ColumnRef(column)) }, site);
        }
        let mut value = self.expression(argument, site)?;
        let mut indices = Vec::new();
        for node in &indirection.indirection {
            match &node.node {
                Some(NodeEnum::String(field)) => {
                    if let [index] = indices.as_slice() {
                        value = self.array_subscript(value, &[*index], site)?;
                    } else if !indices.is_empty() {
                        return Err(Problem::unsupported("a field of a composite value"));
                    }
                    indices.clear();
                    value = self.composite_field(&value, &field.sval)?;
                }
                Some(NodeEnum::AIndices(index)) => indices.push(index.as_ref()),
                _ => return Err(Problem::unsupported("a field of a composite value")),
            }
        }
        if indices.is_empty() {
            return Ok(value);
        }
        match &value.ty {
            Type::Jsonb => {
                let (path, _) = self.subscript_path(&indices, site)?;
                Ok(Typed::new(format!("pg_json_path([{}], {path})", value.sql), Type::Jsonb))
            }
            Type::Array(_) => match super::matrix::depth(&value.ty) {
                Some(depth) => self.matrix_subscript(value, depth, &indices, site),
                None => self.array_subscript(value, &indices, site),
            },
            Type::Opaque(_) => Err(Problem::unsupported(format!("a subscript of {}", value.ty.name(self.catalog())))),
            _ => {
                let message = format!(
                    "cannot subscript type {} because it does not support subscripting",
                    value.ty.name(self.catalog())
                );
                Err(Problem::rejected("42804", message))
            }
        }
    }

    /// Subscripts of jsonb as a list of texts, and whether the first is a position.
    pub(super) fn subscript_path(&mut self, indices: &[&AIndices], site: Site<'_>) -> Outcome<(String, bool)> {
        let mut steps = Vec::new();
        let mut position = false;
        for (at, index) in indices.iter().enumerate() {
            if index.is_slice {
                return Err(Problem::rejected("42804", "jsonb subscript does not support slices"));
            }
            let step = self.expression(required(&index.uidx)?, site)?;
            let integer = cast::exists(&step.ty, &Type::Int4, Context::Implicit) && step.ty != Type::Unknown;
            position |= at == 0 && integer;
            let text = cast::exists(&step.ty, &Type::Text, Context::Implicit);
            if !integer && !text {
                let name = step.ty.name(self.catalog());
                return Err(Problem::rejected("42804", format!("subscript type {name} is not supported"))
                    .hint("jsonb subscript must be coercible to either integer or text."));
            }
            steps.push(convert(step, &Type::Text, Context::Explicit, None, self.catalog())?.sql);
        }
        Ok((text_list(&steps), position))
    }

    fn array_subscript(&mut self, value: Typed, indices: &[&AIndices], site: Site<'_>) -> Outcome<Typed> {
        let [index] = indices else { return Err(Problem::unsupported("a subscript of several dimensions")) };
        let Type::Array(element) = &value.ty else { return Err(Problem::unsupported("a subscript")) };
        let element = (**element).clone();
        if index.is_slice {
            let low = self.bound_of(index.lidx.as_deref(), site)?;
            let high = self.bound_of(index.uidx.as_deref(), site)?;
            let low = low.map_or_else(|| "1".to_owned(), |low| format!("greatest({low}, 1)"));
            let high = high.map_or_else(|| format!("len({})", value.sql), |high| format!("greatest({high}, 0)"));
            let v = &value.sql;
            // A bound that is NULL makes the slice NULL, but greatest() passes over it.
            let known: Vec<String> = [index.lidx.as_deref(), index.uidx.as_deref()]
                .into_iter()
                .flatten()
                .map(|node| Ok(format!("{} IS NOT NULL", self.expression(node, site)?.sql)))
                .collect::<Outcome<_>>()?;
            let known = if known.is_empty() { "true".to_owned() } else { known.join(" AND ") };
            let sql = format!(
                "CASE WHEN {known} THEN CASE WHEN {high} < {low} THEN list_filter({v}, lambda x: false) ELSE list_slice({v}, {low}, {high}) END END"
            );
            return Ok(Typed::new(sql, value.ty));
        }
        let index = self.expression(required(&index.uidx)?, site)?;
        if !cast::exists(&index.ty, &Type::Int4, Context::Assignment) || family(&index.ty) == Family::Text {
            return Err(Problem::rejected("42804", "array subscript must have type integer"));
        }
        let index = convert(index, &Type::Int4, Context::Assignment, None, self.catalog())?;
        // DuckDB counts negative positions from the end, PostgreSQL has none.
        Ok(Typed::new(format!("CASE WHEN {i} > 0 THEN ({v})[{i}] END", i = index.sql, v = value.sql), element))
    }

    fn bound_of(&mut self, node: Option<&Node>, site: Site<'_>) -> Outcome<Option<String>> {
        let Some(node) = node else { return Ok(None) };
        let value = self.expression(node, site)?;
        let value = convert(value, &Type::Int4, Context::Implicit, None, self.catalog())?;
        Ok(Some(value.sql))
    }

    /// `ARRAY(SELECT …)`: the rows in their order.
    pub(super) fn array_of_rows(&mut self, select: &SelectStmt, site: Site<'_>) -> Outcome<Typed> {
        if let Some(aggregate) = arrival::as_aggregate(select) {
            let query = self.query(&aggregate, Some(site.scope))?;
            return match &query.outputs[0].ty {
                Type::Array(element) if matches!(**element, Type::Array(_)) => {
                    Err(Problem::unsupported("an array of arrays"))
                }
                ty => Ok(Typed::new(format!("(SELECT coalesce(q.o1, []) FROM ({}) AS q)", query.sql), ty.clone())),
            };
        }
        let mut inner = select.clone();
        let mut keys = Vec::new();
        for node in &select.sort_clause {
            let Some(NodeEnum::SortBy(sort)) = &node.node else { continue };
            let place = match own_column(sort, select) {
                true => 1,
                false if !select.distinct_clause.is_empty() || select.target_list.is_empty() => {
                    return Err(Problem::unsupported("ARRAY(SELECT …) in another order than its own column's"));
                }
                false => {
                    let target =
                        ResTarget { val: sort.node.clone(), name: "sort key".to_owned(), ..Default::default() };
                    inner.target_list.push(Node { node: Some(NodeEnum::ResTarget(Box::new(target))) });
                    inner.target_list.len()
                }
            };
            keys.push((place, direction(sort)));
        }
        let query = self.query(&inner, Some(site.scope))?;
        let column = query.outputs[0].clone();
        let mut order = Vec::new();
        for (place, direction) in &keys {
            let output = &query.outputs[place - 1];
            order.push(format!("{} {direction}", self.sort_key(&format!("q.{}", output.column), &output.ty)?));
        }
        match keys.as_slice() {
            [] => self.choice("ARRAY(SELECT …) without ORDER BY".to_owned()),
            keys if keys.iter().all(|(place, _)| *place != 1) => {
                self.choice("ARRAY(SELECT …) with an ORDER BY that may leave ties".to_owned());
            }
            _ => {}
        }
        let tie = self.tie_direction();
        let value = format!("q.{}", column.column);
        if keys.iter().all(|(place, _)| *place != 1) {
            order.push(format!("{value} {tie}"));
        }
        let ty = match column.ty {
            Type::Array(_) => return Err(Problem::unsupported("an array of arrays")),
            Type::Unknown => Type::Text,
            ty => ty,
        };
        let list =
            format!("(SELECT coalesce(list({value} ORDER BY {}), []) FROM ({}) AS q)", order.join(", "), query.sql);
        Ok(Typed::new(list, Type::Array(Box::new(ty))))
    }
}

/// Is a subquery of one column ordered by that column?
fn own_column(sort: &SortBy, select: &SelectStmt) -> bool {
    let [Node { node: Some(NodeEnum::ResTarget(target)) }] = select.target_list.as_slice() else {
        // A set operation or VALUES can only be ordered by its columns.
        return select.target_list.is_empty();
    };
    match (sort.node.as_deref().and_then(|n| n.node.as_ref()), target.val.as_deref().and_then(|n| n.node.as_ref())) {
        (Some(NodeEnum::AConst(_)), _) => true,
        (Some(NodeEnum::ColumnRef(key)), _) if !target.name.is_empty() => words(&key.fields) == [target.name.as_str()],
        (Some(NodeEnum::ColumnRef(key)), Some(NodeEnum::ColumnRef(output))) => {
            words(&key.fields) == words(&output.fields)
        }
        _ => false,
    }
}
