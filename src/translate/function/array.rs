//! Functions of arrays.
//!
//! Input: arguments already typed. Output: DuckDB SQL over lists. Invariants: an array has one dimension, which begins at 1, so that
//! an empty one has no bounds; elements are compared as the server compares them, NULL being equal to NULL.

use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;
use crate::translate::cast::{self, Context, convert};
use crate::translate::equality;
use crate::translate::expression::integer_constant;
use crate::translate::literal;
use crate::translate::reader::Reader;
use crate::translate::typed::{Typed, base, is_integer, physical};

impl Reader<'_> {
    pub(super) fn array_function(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        let given: Vec<Typed> = args.iter().map(|arg| Typed::new("", arg.ty.clone())).collect();
        match (name, args.as_slice()) {
            ("array_length" | "array_upper" | "array_lower", [array, dimension]) => {
                self.bound(name, array.clone(), dimension.clone())
            }
            ("cardinality", [array]) if is_array(array) => {
                Ok(Typed::new(format!("CAST(len({}) AS INTEGER)", array.sql), Type::Int4))
            }
            ("array_ndims", [array]) if is_array(array) => {
                Ok(Typed::new(format!("CASE WHEN len({}) > 0 THEN 1 END", array.sql), Type::Int4))
            }
            ("array_dims", [array]) if is_array(array) => Ok(Typed::new(
                format!("CASE WHEN len({a}) > 0 THEN '[1:' || len({a}) || ']' END", a = array.sql),
                Type::Text,
            )),
            ("array_append", [array, element]) if is_array(array) || array.is_null() => {
                let (array, element) = self.array_and_element(name, array.clone(), element.clone())?;
                let list = format!("coalesce({}, CAST([] AS {}))", array.sql, physical(&array.ty));
                Ok(Typed::new(format!("list_append({list}, {})", element.sql), array.ty))
            }
            ("array_prepend", [element, array]) if is_array(array) || array.is_null() => {
                let (array, element) = self.array_and_element(name, array.clone(), element.clone())?;
                let list = format!("coalesce({}, CAST([] AS {}))", array.sql, physical(&array.ty));
                Ok(Typed::new(format!("list_prepend({}, {list})", element.sql), array.ty))
            }
            ("array_cat", [left, right]) if is_array(left) || is_array(right) => {
                let (left, right) = (left.clone(), right.clone());
                self.operator("||", left, right)
            }
            ("array_remove", [array, element]) if is_array(array) => {
                let (array, element) = self.array_and_element(name, array.clone(), element.clone())?;
                let same = self.same_element(&array.ty, "e", &element.sql);
                Ok(Typed::new(format!("list_filter({}, lambda e: NOT {same})", array.sql), array.ty))
            }
            ("array_replace", [array, from, to]) if is_array(array) => {
                let (array, from) = self.array_and_element(name, array.clone(), from.clone())?;
                let (array, to) = self.array_and_element(name, array, to.clone())?;
                let same = self.same_element(&array.ty, "e", &from.sql);
                let sql =
                    format!("list_transform({}, lambda e: CASE WHEN {same} THEN {} ELSE e END)", array.sql, to.sql);
                Ok(Typed::new(sql, array.ty))
            }
            ("array_position" | "array_positions", [array, element, start @ ..])
                if is_array(array) && start.len() <= usize::from(name == "array_position") =>
            {
                self.array_position(name, array.clone(), element.clone(), start.first().cloned())
            }
            ("array_to_string", [array, separator, null @ ..]) if is_array(array) && null.len() <= 1 => {
                let elements = cast::element_texts(&array.sql, &array.ty, self.catalog())?;
                let separator = self.text(separator.clone(), name)?;
                let null = match null.first() {
                    Some(null) => self.text(null.clone(), name)?,
                    None => "CAST(NULL AS VARCHAR)".to_owned(),
                };
                Ok(Typed::new(format!("pg_array_to_string({elements}, [{separator}], [{null}])"), Type::Text))
            }
            ("string_to_array", [text, rest @ ..]) if (1..=2).contains(&rest.len()) => {
                let text = self.text(text.clone(), name)?;
                let separator = self.text(rest[0].clone(), name)?;
                let null = match rest.get(1) {
                    Some(null) => self.text(null.clone(), name)?,
                    None => "CAST(NULL AS VARCHAR)".to_owned(),
                };
                Ok(Typed::new(format!("pg_string_to_array([{text}], [{separator}], [{null}])"), Type::Text.array()))
            }
            ("trim_array", [array, count]) if is_array(array) && is_integer(&count.ty) => {
                let error = crate::translate::typed::raise(
                    "2202E",
                    &format!("'number of elements to trim must be between 0 and ' || len({})", array.sql),
                    &array.ty,
                );
                let sql = format!(
                    "CASE WHEN {n} < 0 OR {n} > len({a}) THEN {error} ELSE list_slice({a}, 1, len({a}) - {n}) END",
                    n = count.sql,
                    a = array.sql
                );
                Ok(Typed::new(sql, array.ty.clone()))
            }
            ("enum_range" | "enum_first" | "enum_last", [first, ..]) if matches!(first.ty, Type::Enum(_)) => {
                self.enum_function(name, &args)
            }
            ("array_fill", _) => Err(Problem::unsupported("the function array_fill()")),
            _ => Err(self.no_function(name, &given)),
        }
    }

    /// `array_length(a, 1)` and the bounds. There is no second dimension.
    fn bound(&mut self, name: &str, array: Typed, dimension: Typed) -> Outcome<Typed> {
        if !is_array(&array) || !(is_integer(&dimension.ty) || dimension.ty == Type::Unknown) {
            return Err(self.no_function(name, &[array, dimension]));
        }
        let value = match name {
            "array_lower" => format!("CASE WHEN len({}) > 0 THEN 1 END", array.sql),
            _ => format!("CAST(nullif(len({}), 0) AS INTEGER)", array.sql),
        };
        let sql = match integer_constant(&dimension) {
            Some(1) => value,
            Some(_) => "CAST(NULL AS INTEGER)".to_owned(),
            None => {
                let dimension = convert(dimension, &Type::Int4, Context::Implicit, None, self.catalog())?;
                format!("CASE WHEN {} = 1 THEN {value} END", dimension.sql)
            }
        };
        Ok(Typed::new(sql, Type::Int4))
    }

    /// An array and an element in the type that both turn into.
    fn array_and_element(&mut self, name: &str, array: Typed, element: Typed) -> Outcome<(Typed, Typed)> {
        let own = match &array.ty {
            Type::Array(own) => (**own).clone(),
            _ => Type::Unknown,
        };
        if own != Type::Unknown
            && !cast::exists(&element.ty, &own, Context::Implicit)
            && !cast::exists(&own, &element.ty, Context::Implicit)
        {
            return Err(self.no_function(name, &[array, element]));
        }
        let (ty, own) = self.array_for(&own, &element.ty)?;
        let array = convert(array, &ty, Context::Implicit, None, self.catalog())?;
        let element = convert(element, &own, Context::Implicit, None, self.catalog())?;
        let typed = format!("CAST({} AS {})", element.sql, physical(&own));
        Ok((array, Typed::new(typed, own)))
    }

    /// Are two elements of an array the same to the server? NULLs are.
    fn same_element(&self, array: &Type, a: &str, b: &str) -> String {
        match array {
            Type::Array(element) => {
                format!("({} IS NOT DISTINCT FROM {})", equality::key(a, element), equality::key(b, element))
            }
            _ => format!("({a} IS NOT DISTINCT FROM {b})"),
        }
    }

    fn array_position(&mut self, name: &str, array: Typed, element: Typed, start: Option<Typed>) -> Outcome<Typed> {
        let (array, element) = self.array_and_element(name, array, element)?;
        let same = self.same_element(&array.ty, "e", &element.sql);
        if name == "array_positions" {
            let found =
                format!("list_transform({}, lambda e, i: CASE WHEN {same} THEN CAST(i AS INTEGER) END)", array.sql);
            return Ok(Typed::new(format!("list_filter({found}, lambda p: p IS NOT NULL)"), Type::Int4.array()));
        }
        let found = match start {
            None => format!("list_transform({}, lambda e: {same})", array.sql),
            Some(start) if is_integer(&start.ty) => {
                format!("list_transform({}, lambda e, i: {same} AND i >= {})", array.sql, start.sql)
            }
            Some(start) => return Err(self.no_function(name, &[array, element, start])),
        };
        Ok(Typed::new(format!("CAST(nullif(list_position({found}, true), 0) AS INTEGER)"), Type::Int4))
    }

    /// `enum_range(NULL::e)`, `enum_range(a, b)`, `enum_first()`, `enum_last()`.
    fn enum_function(&mut self, name: &str, args: &[Typed]) -> Outcome<Typed> {
        let Some(Type::Enum(oid)) = args.first().map(|a| a.ty.clone()) else {
            return Err(self.no_function(name, args));
        };
        let (labels, _) = literal::labels(oid, self.catalog())?;
        let list = labels.iter().map(|label| quote_literal(label)).collect::<Vec<_>>();
        let all = format!("CAST([{}] AS VARCHAR[])", list.join(", "));
        let ty = Type::Enum(oid);
        match (name, args) {
            ("enum_range", [_]) => Ok(Typed::new(all, ty.array())),
            ("enum_range", [from, to]) if base(&to.ty) == ty || to.is_null() => {
                let low = format!("coalesce(list_position({all}, {}), 1)", from.sql);
                let high = format!("coalesce(list_position({all}, {}), {})", to.sql, list.len());
                Ok(Typed::new(format!("list_slice({all}, {low}, {high})"), ty.array()))
            }
            ("enum_first", [_]) => Ok(Typed::new(list.first().cloned().unwrap_or_else(|| "NULL".into()), ty)),
            ("enum_last", [_]) => Ok(Typed::new(list.last().cloned().unwrap_or_else(|| "NULL".into()), ty)),
            _ => Err(Problem::unsupported(format!("this form of {name}()"))),
        }
    }
}

fn is_array(value: &Typed) -> bool {
    matches!(value.ty, Type::Array(_))
}

impl Reader<'_> {
    /// `array_fill(value, ARRAY[n])`
    pub(super) fn filled(&mut self, args: Vec<Typed>) -> Outcome<Typed> {
        let [value, dimensions] = args.as_slice() else { return Err(self.no_function("array_fill", &args)) };
        let ty = Type::Array(Box::new(base(&value.ty)));
        let missing =
            crate::translate::typed::raise("22004", "'dimension array or low bound array cannot be null'", &ty);
        let refused = crate::translate::typed::refuse("an array of several dimensions", &ty);
        let sizes = &dimensions.sql;
        let elements =
            format!("list_transform(range(s[1]), lambda i: CAST({} AS {}))", value.sql, physical(&base(&value.ty)));
        let sql = format!(
            "list_transform([{sizes}], lambda s: CASE WHEN s IS NULL THEN {missing} WHEN len(s) = 0 THEN [] WHEN len(s) > 1 OR s[1] < 0 OR s[1] > 1000000 THEN {refused} ELSE {elements} END)[1]"
        );
        Ok(Typed::new(format!("CAST({sql} AS {})", physical(&ty)), ty))
    }

    /// `width_bucket(value, thresholds)`: how many thresholds the value has reached.
    pub(super) fn bucket_of_list(&mut self, args: Vec<Typed>) -> Outcome<Typed> {
        let [value, thresholds] = args.as_slice() else { return Err(self.no_function("width_bucket", &args)) };
        let Type::Array(element) = &thresholds.ty else { return Err(self.no_function("width_bucket", &args)) };
        let reached = self.operator("<=", Typed::new("t", (**element).clone()), value.clone())?;
        let missing = crate::translate::typed::raise("22004", "'thresholds array must not contain NULLs'", &Type::Int4);
        let list = &thresholds.sql;
        Ok(Typed::new(
            format!(
                "CASE WHEN {v} IS NULL OR {list} IS NULL THEN NULL WHEN len(list_filter({list}, lambda t: t IS NULL)) > 0 THEN {missing} ELSE CAST(len(list_filter({list}, lambda t: {})) AS INTEGER) END",
                reached.sql,
                v = value.sql,
            ),
            Type::Int4,
        ))
    }
}
