//! Arrays of several dimensions, as far as a constructor makes them: their text, their elements, their bounds.
//!
//! Input: `ARRAY[[1, 2], [3, 4]]`. Output: a list of lists. Invariants: each dimension begins at 1 and has one length throughout; such an
//! array is never stored. Left out: literals of several dimensions, slices, arrays joined with them.

use pg_query::NodeEnum;
use pg_query::protobuf::{AIndices, Node};

use super::cast::{Context, convert};
use super::expression::{Site, integer_constant, required};
use super::reader::Reader;
use super::typed::{Typed, physical};
use crate::catalog::{Outcome, Problem, Type};

/// How many dimensions, where there are several.
pub(super) fn depth(ty: &Type) -> Option<usize> {
    let Type::Array(element) = ty else { return None };
    match element.as_ref() {
        Type::Array(_) => Some(1 + depth(element).unwrap_or(1)),
        _ => None,
    }
}

/// What stands inside of all brackets.
fn element(ty: &Type) -> &Type {
    match ty {
        Type::Array(inner) => element(inner),
        ty => ty,
    }
}

/// The lengths of a constructor's dimensions.
///
/// # Errors
/// 2202E, where they differ from each other.
pub(super) fn lengths(elements: &[Node]) -> Outcome<Vec<usize>> {
    let inner: Vec<_> = elements
        .iter()
        .map(|node| match &node.node {
            Some(NodeEnum::AArrayExpr(array)) => Some(&array.elements),
            _ => None,
        })
        .collect();
    if inner.iter().all(Option::is_none) {
        return Ok(vec![elements.len()]);
    }
    let mut found: Option<Vec<usize>> = None;
    for elements in inner {
        let elements = elements.ok_or_else(|| Problem::unsupported("an array of arrays"))?;
        let lengths = lengths(elements)?;
        if found.as_ref().is_some_and(|had| *had != lengths) {
            let message = "multidimensional arrays must have array expressions with matching dimensions";
            return Err(Problem::rejected("2202E", message));
        }
        found = Some(lengths);
    }
    let mut all = vec![elements.len()];
    all.extend(found.unwrap_or_default());
    Ok(all)
}

impl Reader<'_> {
    /// A function of an array of several dimensions; nothing where no such array is given.
    pub(super) fn matrix_function(&mut self, name: &str, args: &[Typed]) -> Outcome<Option<Typed>> {
        let Some(depth) = args.first().and_then(|array| depth(&array.ty)) else { return Ok(None) };
        let (array, rest) = (&args[0], &args[1..]);
        // The lists on the way down, each the first of the one before.
        let levels: Vec<String> = (0..depth).map(|level| format!("({}){}", array.sql, "[1]".repeat(level))).collect();
        let number = |sql: String| Ok(Some(Typed::new(format!("CAST({sql} AS INTEGER)"), Type::Int4)));
        match (name, rest) {
            ("array_ndims", []) => number(format!("CASE WHEN {} IS NOT NULL THEN {depth} END", array.sql)),
            ("cardinality", []) => {
                number(levels.iter().map(|list| format!("len({list})")).collect::<Vec<_>>().join(" * "))
            }
            ("array_dims", []) => {
                let shown: Vec<String> = levels.iter().map(|list| format!("'[1:' || len({list}) || ']'")).collect();
                Ok(Some(Typed::new(format!("({})", shown.join(" || ")), Type::Text)))
            }
            ("array_length" | "array_upper" | "array_lower", [dimension]) => {
                let at = integer_constant(dimension).and_then(|at| usize::try_from(at - 1).ok());
                match at.and_then(|at| levels.get(at)) {
                    Some(list) if name == "array_lower" => number(format!("CASE WHEN len({list}) > 0 THEN 1 END")),
                    Some(list) => number(format!("len({list})")),
                    None if integer_constant(dimension).is_some() => number("NULL".to_owned()),
                    None => Err(Problem::unsupported(format!("{name}() of a computed dimension"))),
                }
            }
            _ => Err(Problem::unsupported(format!("{name}() of an array of several dimensions"))),
        }
    }

    /// The elements of all dimensions, one after the other.
    pub(super) fn flattened(&self, array: &Typed) -> Option<Typed> {
        let depth = depth(&array.ty)?;
        let sql = (1..depth).fold(array.sql.clone(), |sql, _| format!("flatten({sql})"));
        Some(Typed::new(sql, Type::Array(Box::new(element(&array.ty).clone()))))
    }

    /// `a[1][2]`: NULL outside of the array, or where subscripts are missing.
    pub(super) fn matrix_subscript(
        &mut self,
        value: Typed,
        depth: usize,
        indices: &[&AIndices],
        site: Site<'_>,
    ) -> Outcome<Typed> {
        let ty = element(&value.ty).clone();
        let mut sql = value.sql;
        for index in indices {
            if index.is_slice {
                return Err(Problem::unsupported("a slice of an array of several dimensions"));
            }
            let place = self.expression(required(&index.uidx)?, site)?;
            let place = convert(place, &Type::Int4, Context::Assignment, None, self.catalog())?.sql;
            sql = format!("(CASE WHEN {place} > 0 THEN ({sql})[{place}] END)");
        }
        Ok(match indices.len() == depth {
            true => Typed::new(sql, ty),
            false => Typed::new(format!("CAST(NULL AS {})", physical(&ty)), ty),
        })
    }
}
