//! IN lists, and ANY and ALL of an array.

use pg_query::NodeEnum;
use pg_query::protobuf::Node;

use super::{Site, contains_column};
use crate::catalog::{Outcome, Problem, Type};
use crate::translate::cast::{Context, exists};
use crate::translate::reader::Reader;
use crate::translate::typed::{Typed, base};

impl Reader<'_> {
    pub(super) fn in_list(&mut self, name: &str, left: &Node, right: &Node, site: Site<'_>) -> Outcome<Typed> {
        let Some(NodeEnum::List(list)) = &right.node else { return Err(Problem::unsupported("this form of IN")) };
        if matches!(left.node, Some(NodeEnum::RowExpr(_))) {
            let terms = list
                .items
                .iter()
                .map(|item| Ok(self.binary("=", left, item, site)?.sql))
                .collect::<Outcome<Vec<_>>>()?;
            let sql = format!("({})", terms.join(" OR "));
            return Ok(Typed::new(if name == "<>" { format!("(NOT {sql})") } else { sql }, Type::Bool));
        }
        let subject = self.expression(left, site)?;
        let mut values = Vec::new();
        for item in &list.items {
            values.push((self.expression(item, site)?, contains_column(item)));
        }
        self.take_common(&subject, &mut values)?;
        // Each item is compared on its own; those that leave the subject as it is for all stand in one list.
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for (value, _) in values {
            let (subject, value) = self.comparable(name, subject.clone(), value)?;
            match groups.iter_mut().find(|(had, _)| *had == subject.sql) {
                Some((_, list)) => list.push(value.sql),
                None => groups.push((subject.sql, vec![value.sql])),
            }
        }
        let terms: Vec<String> =
            groups.iter().map(|(subject, list)| format!("({subject} IN ({}))", list.join(", "))).collect();
        let sql = match terms.as_slice() {
            [one] => one.clone(),
            several => format!("({})", several.join(" OR ")),
        };
        Ok(Typed::new(if name == "<>" { format!("(NOT {sql})") } else { sql }, Type::Bool))
    }

    /// Of an IN list, the server takes the items without columns as an array of one type, where they and the subject have one.
    fn take_common(&mut self, subject: &Typed, values: &mut [(Typed, bool)]) -> Outcome<()> {
        let mut types = vec![subject.ty.clone()];
        types.extend(values.iter().filter(|(_, column)| !column).map(|(value, _)| value.ty.clone()));
        if types.len() < 3 {
            return Ok(());
        }
        let Ok(ty) = self.common_type(&types, "IN") else { return Ok(()) };
        if types.iter().any(|from| !exists(from, &ty, Context::Implicit)) {
            return Ok(());
        }
        let unmodified = base(&ty);
        for (value, _) in values.iter_mut().filter(|(value, column)| !column && value.ty != unmodified) {
            // Numbers of two kinds are brought together where they are compared.
            if !(value.ty.is_number() && subject.ty.is_number()) {
                *value = self.coerce(value.clone(), &unmodified, Context::Implicit, None)?;
            }
        }
        Ok(())
    }

    /// `x = ANY(array)`, `x <> ALL(array)`.
    pub(super) fn any_element(
        &mut self,
        name: &str,
        all: bool,
        left: &Node,
        right: &Node,
        site: Site<'_>,
    ) -> Outcome<Typed> {
        let subject = self.expression(left, site)?;
        let array = self.expression(right, site)?;
        let element = match &array.ty {
            Type::Unknown => Type::Unknown,
            Type::Array(element) => (**element).clone(),
            _ => return Err(Problem::rejected("42809", "op ANY/ALL (array) requires array on right side")),
        };
        let wanted = self.chosen_operator(name, &subject.ty, &element)?.right;
        let array = match wanted.to_type() {
            Some(wanted) if element == Type::Unknown || !element.same_base(&wanted) => {
                self.coerce(array, &wanted.array(), Context::Implicit, None)?
            }
            _ => array,
        };
        let Type::Array(element) = &array.ty else { return Err(Problem::unsupported("ANY of an array")) };
        let element = (**element).clone();
        if !matches!((name, all), ("=", false) | ("<>", true)) {
            return self.each_element(name, all, subject, array);
        }
        let (subject, other) = self.comparable(name, subject, Typed::new("x", element))?;
        let list = match other.sql.as_str() {
            "x" => array.sql.clone(),
            key => format!("list_transform({}, lambda x: {key})", array.sql),
        };
        let (x, list) = (&subject.sql, &list);
        let found = format!(
            "CASE WHEN {list} IS NULL THEN NULL WHEN len({list}) = 0 THEN false WHEN {x} IS NULL THEN NULL WHEN list_contains({list}, {x}) THEN true WHEN list_count({list}) < len({list}) THEN NULL ELSE false END"
        );
        Ok(Typed::new(if all { format!("(NOT {found})") } else { found }, Type::Bool))
    }

    /// Any other operator before ANY or ALL: asked of each element, NULL where an element that isn't known could decide.
    fn each_element(&mut self, name: &str, all: bool, subject: Typed, array: Typed) -> Outcome<Typed> {
        let Type::Array(element) = &array.ty else { return Err(Problem::unsupported("ANY of what is no array")) };
        let element = Typed::new("m", (**element).clone());
        let holds = self.operator(name, subject, element)?;
        if holds.sql.contains("SELECT ") {
            return Err(Problem::unsupported("a subquery before ANY or ALL of an array"));
        }
        let found = format!("list_transform({}, lambda m: {})", array.sql, holds.sql);
        let (sought, otherwise) = if all { ("false", "true") } else { ("true", "false") };
        Ok(Typed::new(
            format!(
                "CASE WHEN {} IS NULL THEN NULL WHEN list_contains({found}, {sought}) THEN {sought} WHEN list_count({found}) < len({found}) THEN NULL ELSE {otherwise} END",
                array.sql
            ),
            Type::Bool,
        ))
    }
}
