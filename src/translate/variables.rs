//! Variables: values that stand outside of every row, as in PL/pgSQL and in the bodies of functions.
//!
//! Input: names and values, block by block. Output: what a name means. Invariants: the innermost block's names hide those around it;
//! a name that is a variable's and a column's is ambiguous (42702) unless the body says which is meant.

use super::cast::{Context, convert};
use pg_query::NodeEnum;
use pg_query::protobuf::a_const::Val;

use super::typed::{Constant, Typed, physical};
use crate::catalog::{Catalog, Outcome, Problem, Type};
use crate::query::quote_literal;

/// What a name means that is a variable's and a column's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NameConflict {
    /// 42702.
    #[default]
    Error,
    /// The variable.
    Variable,
    /// The column.
    Column,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Its type.
    pub ty: Type,
    /// DuckDB SQL of it.
    sql: String,
    /// The value itself in DuckDB's text form, where it is known.
    known: Option<Option<String>>,
}

impl Value {
    /// NULL of a type.
    pub fn null(ty: Type) -> Value {
        Value { sql: format!("CAST(NULL AS {})", physical(&ty)), ty, known: Some(None) }
    }

    /// A value read from the engine: its DuckDB type and its text there.
    pub fn read(ty: Type, held_as: &str, text: Option<String>) -> Value {
        let Some(text) = text else { return Value::null(ty) };
        let sql = match held_as {
            "VARCHAR" => quote_literal(&text),
            _ => format!("CAST({} AS {held_as})", quote_literal(&text)),
        };
        Value { ty, sql, known: Some(Some(text)) }
    }

    /// A text.
    pub fn text_of(text: impl Into<String>) -> Value {
        Value::read(Type::Text, "VARCHAR", Some(text.into()))
    }

    /// A truth value.
    pub fn boolean(value: bool) -> Value {
        Value::read(Type::Bool, "BOOLEAN", Some(value.to_string()))
    }

    /// An integer of a type.
    pub fn integer(value: i64, ty: Type) -> Value {
        Value::read(ty.clone(), &physical(&ty), Some(value.to_string()))
    }

    /// A value that isn't known before rows are read: a column of DuckDB's.
    pub fn column(sql: impl Into<String>, ty: Type) -> Value {
        Value { ty, sql: sql.into(), known: None }
    }

    /// An expression whose value isn't known before rows are read.
    pub(super) fn of(value: Typed) -> Value {
        Value { ty: value.ty, sql: value.sql, known: None }
    }

    /// Is it known to be NULL?
    pub fn is_null(&self) -> bool {
        self.known == Some(None)
    }

    /// Its DuckDB SQL.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Its text in DuckDB's form; `None` for NULL.
    pub fn text(&self) -> Option<&str> {
        self.known.as_ref()?.as_deref()
    }

    /// Is it known to be true?
    pub fn is_true(&self) -> bool {
        self.ty == Type::Bool && self.text() == Some("true")
    }

    pub(super) fn typed(&self) -> Typed {
        let constant = match (&self.ty, self.text()) {
            (ty, Some(text)) if ty.is_text() => Some(Constant::Text(text.to_owned())),
            (ty, Some(text)) if ty.is_integer() => text.parse().ok().map(Constant::Integer),
            _ => None,
        };
        Typed { constant, ..Typed::new(self.sql.clone(), self.ty.clone()) }
    }
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Variable {
    /// One value.
    Scalar(Value),
    /// A row of a fixed shape.
    Row(Vec<(String, Value)>),
    /// A record, which takes the shape of what is assigned; `None` before.
    Record(Option<Vec<(String, Value)>>),
    /// NEW or OLD where the event has none: NULL as a whole, and so is each field.
    Absent(Vec<(String, Value)>),
}

/// A variable with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub variable: Variable,
    /// NULL is refused.
    pub not_null: bool,
}

/// The variables of a block.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Level {
    /// The block's label, or the routine's name.
    pub label: Option<String>,
    /// Its variables.
    pub names: Vec<Named>,
}

/// All variables that an expression can see.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variables {
    /// The blocks, the innermost last.
    pub levels: Vec<Level>,
    /// What a name means that is a column's as well.
    pub conflict: NameConflict,
    /// `$1` and so on, by number.
    pub positional: Vec<(i32, Value)>,
}

/// What a path of names leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    level: usize,
    name: usize,
    /// The field of a record.
    field: Option<usize>,
}

impl Variables {
    /// No variable at all?
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty() && self.positional.is_empty()
    }

    /// Finds what a path means; `None` where it begins with no variable's name.
    ///
    /// # Errors
    /// 42703 for a field that a record doesn't have, 55000 for one that has no shape yet.
    pub fn find(&self, path: &[&str]) -> Outcome<Option<Place>> {
        let [first, rest @ ..] = path else { return Ok(None) };
        for (at, level) in self.levels.iter().enumerate().rev() {
            if let Some(name) = level.names.iter().rposition(|named| named.name == *first)
                && let Some(place) = self.within(at, name, rest)?
            {
                return Ok(Some(place));
            }
            if level.label.as_deref() == Some(*first)
                && let [second, rest @ ..] = rest
                && let Some(name) = level.names.iter().rposition(|named| named.name == *second)
                && let Some(place) = self.within(at, name, rest)?
            {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn within(&self, level: usize, name: usize, rest: &[&str]) -> Outcome<Option<Place>> {
        let place = Place { level, name, field: None };
        let named = &self.levels[level].names[name];
        match (rest, &named.variable) {
            ([], _) => Ok(Some(place)),
            ([_], Variable::Scalar(_)) => Ok(None),
            ([field], Variable::Row(fields) | Variable::Record(Some(fields)) | Variable::Absent(fields)) => {
                match fields.iter().position(|(name, _)| name == field) {
                    Some(at) => Ok(Some(Place { field: Some(at), ..place })),
                    None => {
                        Err(Problem::rejected("42703", format!("record \"{}\" has no field \"{field}\"", named.name)))
                    }
                }
            }
            ([_], Variable::Record(None)) => {
                Err(Problem::rejected("55000", format!("record \"{}\" is not assigned yet", named.name))
                    .detail("The tuple structure of a not-yet-assigned record is indeterminate."))
            }
            _ => Ok(None),
        }
    }

    /// The variable at a place.
    pub fn named(&self, place: Place) -> &Named {
        &self.levels[place.level].names[place.name]
    }

    /// The variable at a place, to assign it.
    pub fn named_mut(&mut self, place: Place) -> &mut Named {
        &mut self.levels[place.level].names[place.name]
    }

    /// The value at a place; `None` for a whole row.
    pub fn value(&self, place: Place) -> Option<&Value> {
        match (&self.named(place).variable, place.field) {
            (Variable::Scalar(value), None) => Some(value),
            (Variable::Row(fields) | Variable::Record(Some(fields)) | Variable::Absent(fields), Some(at)) => {
                fields.get(at).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The fields of a whole row at a place.
    pub fn fields(&self, place: Place) -> Option<&[(String, Value)]> {
        match (&self.named(place).variable, place.field) {
            (Variable::Row(fields) | Variable::Record(Some(fields)), None) => Some(fields),
            _ => None,
        }
    }

    /// Assigns the value at a place.
    pub fn assign(&mut self, place: Place, value: Value) {
        match (&mut self.named_mut(place).variable, place.field) {
            (Variable::Scalar(held), None) => *held = value,
            (Variable::Row(fields) | Variable::Record(Some(fields)), Some(at)) => fields[at].1 = value,
            (variable @ Variable::Absent(_), Some(at)) => {
                let Variable::Absent(fields) = std::mem::replace(variable, Variable::Record(None)) else { return };
                *variable = Variable::Row(fields);
                self.assign(Place { field: Some(at), ..place }, value);
            }
            _ => {}
        }
    }

    pub(super) fn parameter(&self, number: i32) -> Option<&Value> {
        self.positional.iter().find(|(known, _)| *known == number).map(|(_, value)| value)
    }
}

/// The text that a query is, where it is nothing but a literal: it is read as a value of the variable's type.
pub(super) fn literal_of(node: &NodeEnum) -> Option<&str> {
    let NodeEnum::SelectStmt(select) = node else { return None };
    let [target] = select.target_list.as_slice() else { return None };
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
    let plain = select.from_clause.is_empty() && select.where_clause.is_none() && select.larg.is_none();
    match target.val.as_deref()?.node.as_ref()? {
        NodeEnum::AConst(constant) if plain => match &constant.val {
            Some(Val::Sval(text)) => Some(&text.sval),
            _ => None,
        },
        _ => None,
    }
}

/// A value as a variable of another type takes it: by the cast of an assignment, or through its text where there is none.
pub(super) fn coerce(value: Typed, to: &Type, catalog: &Catalog) -> Outcome<Typed> {
    match convert(value.clone(), to, Context::Assignment, None, catalog) {
        Err(Problem::Rejected(error)) if ["42804", "42846"].contains(&error.sqlstate) => {}
        other => return other,
    }
    let text = match value.ty {
        // The output function's letters, not those of the cast to text.
        Type::Bool => Typed::new(format!("CASE WHEN {0} THEN 't' WHEN NOT {0} THEN 'f' END", value.sql), Type::Text),
        _ => convert(value, &Type::Text, Context::Explicit, None, catalog)?,
    };
    match convert(text.clone(), to, Context::Assignment, None, catalog) {
        Err(Problem::Rejected(error)) if ["42804", "42846"].contains(&error.sqlstate) => {
            convert(text, to, Context::Explicit, None, catalog)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_names_hide_outer_ones() {
        let named = |name: &str, variable: Variable| Named { name: name.to_owned(), variable, not_null: false };
        let scalar = |n: i64| Variable::Scalar(Value::integer(n, Type::Int4));
        let row = Variable::Record(Some(vec![("a".to_owned(), Value::integer(3, Type::Int4))]));
        let variables = Variables {
            levels: vec![
                Level { label: Some("f".to_owned()), names: vec![named("a", scalar(1)), named("r", row)] },
                Level { label: None, names: vec![named("a", scalar(2)), named("n", Variable::Record(None))] },
            ],
            ..Variables::default()
        };
        let check = |path: &[&str], expected: &str| {
            let found = match variables.find(path) {
                Ok(Some(place)) => match variables.value(place) {
                    Some(value) => value.text().unwrap_or("null").to_owned(),
                    None => "a row".to_owned(),
                },
                Ok(None) => "nothing".to_owned(),
                Err(problem) => problem.to_string(),
            };
            assert_eq!(found, expected, "{path:?}");
        };
        check(&["a"], "2");
        check(&["f", "a"], "1");
        check(&["r", "a"], "3");
        check(&["f", "r", "a"], "3");
        check(&["r"], "a row");
        check(&["r", "b"], "record \"r\" has no field \"b\" (42703)");
        check(&["n", "b"], "record \"n\" is not assigned yet (55000)");
        check(&["b"], "nothing");
        check(&["a", "b"], "nothing");
    }
}
