//! The system's own relations, as far as migrations ask them: answered from the catalog.
//!
//! Input: a name of `pg_catalog` or `information_schema`. Output: its rows as SQL. Invariants: a row is there exactly where the server has
//! one (where names are the server's to make up, theirs stand for it); what a snapshot doesn't list is refused, never taken as absent;
//! numbers of objects are our own, so that they can be compared with each other and nothing else. Left out: most columns; asking for
//! one of those is refused.

mod objects;
mod others;
mod rules;
mod schema;
mod shown;
mod written;

use super::Output;
use super::query::Query;
use super::reader::Reader;
use crate::catalog::lookup::quoted;
use crate::catalog::{Catalog, Outcome, Problem, Type};
use crate::query::quote_literal;

/// What the database is taken to be called: its name isn't in a snapshot.
pub(super) const DATABASE: &str = "postgres";

/// Types that hold numbers of objects.
const NUMBERS: &[&str] = &["oid", "regclass", "regtype", "regnamespace", "regprocedure"];

/// Stands between a function's signature and its arguments with their names, which together are its number.
const BEHIND: &str = "\u{2}";

/// What a function's number says: its signature, or its arguments with their names.
pub(super) fn of_function(number: &str, arguments: bool) -> String {
    let part = if arguments { 2 } else { 1 };
    let refused = quote_literal("NS|a function by its number");
    format!(
        "CASE WHEN strpos({number}, chr(2)) > 0 OR {number} IS NULL THEN split_part({number}, chr(2), {part}) ELSE error({refused}) END"
    )
}

/// The name that a number of an object is shown by; a bare `oid` is shown as a number, and that is the server's.
pub(super) fn name_of_number(sql: &str, ty: &Type, catalog: &Catalog) -> Option<String> {
    let Type::Opaque(kind) = ty else { return None };
    let shown = |schema: &str, name: &str| match catalog.search_path.iter().any(|path| path == schema) {
        true => quoted(name),
        false => format!("{}.{}", quoted(schema), quoted(name)),
    };
    let names: Vec<(String, String)> = match kind.as_str() {
        "regprocedure" => return Some(of_function(sql, false)),
        "regnamespace" => return Some(format!("substr({sql}, {})", "schema ".len() + 1)),
        "regtype" => {
            let enums = catalog.enums.values().map(|e| (e.oid, &e.schema, &e.name));
            let all = enums.chain(catalog.composites.values().map(|c| (c.oid, &c.schema, &c.name)));
            all.map(|(oid, schema, name)| (oid.to_string(), shown(schema, name))).collect()
        }
        "regclass" => {
            let tables = catalog.tables.values().map(|t| (t.oid, &t.schema, &t.name));
            let views = catalog.views.values().map(|v| (v.oid, &v.schema, &v.name));
            let indexes = catalog.indexes.values().map(|i| (i.oid, &i.schema, &i.name));
            let sequences = catalog.sequences.values().map(|s| (s.oid, &s.schema, &s.name));
            let all = tables.chain(views).chain(indexes).chain(sequences);
            all.map(|(oid, schema, name)| (oid.to_string(), shown(schema, name))).collect()
        }
        _ => return None,
    };
    let whens: Vec<String> = names
        .iter()
        .map(|(number, name)| format!("WHEN {sql} = {} THEN {}", quote_literal(number), quote_literal(name)))
        .collect();
    let start = "type ".len() + 1;
    Some(format!(
        "CASE WHEN {sql} IS NULL THEN NULL {} WHEN starts_with({sql}, 'type ') THEN substr({sql}, {start}) ELSE error('NS|an object by its number') END",
        whens.join(" ")
    ))
}

/// Is it a number of an object?
pub(super) fn is_number(ty: &Type) -> bool {
    matches!(ty, Type::Opaque(name) if NUMBERS.contains(&name.as_str()))
}

/// Stands in a relation's rows for what can't be told; a query that asks for it is refused.
const UNTOLD: &str = "'\u{1}'";

/// A text that the server has, where it is known how it writes it.
fn told(value: Option<String>) -> String {
    value.map_or_else(|| UNTOLD.to_owned(), |value| text(&value))
}

/// A text, or NULL.
fn maybe(value: Option<String>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| text(&value))
}

/// YES or NO, as the standard has truth.
fn yes(value: bool) -> String {
    text(if value { "YES" } else { "NO" })
}

/// A relation as rows of constants.
struct Rows {
    columns: Vec<(&'static str, Type)>,
    rows: Vec<Vec<String>>,
}

/// A system relation as a query.
pub(super) struct System {
    pub sql: String,
    pub outputs: Vec<Output>,
    /// Which outputs hold what can't be told; they are read by [`told_or_refused`].
    pub untold: Vec<bool>,
}

/// A column as it is asked for: refused by the row whose value can't be told.
pub(super) fn told_or_refused(sql: &str, name: &str, ty: &Type) -> String {
    let what = quote_literal(&format!("NS|the column {name} of a system view"));
    let ty = super::typed::physical(ty);
    format!("CAST(CASE WHEN {sql} = {UNTOLD} THEN error({what}) ELSE {sql} END AS {ty})")
}

/// The SQL of a system relation and its columns, where it is one of those known here.
///
/// # Errors
/// What the snapshot doesn't list.
pub(super) fn relation(catalog: &Catalog, schema: Option<&str>, name: &str) -> Outcome<Option<System>> {
    let unlisted = matches!(
        (schema, name),
        (
            None | Some("pg_catalog"),
            "pg_proc"
                | "pg_trigger"
                | "pg_policies"
                | "pg_policy"
                | "pg_extension"
                | "pg_views"
                | "pg_publication"
                | "pg_publication_tables"
                | "pg_event_trigger"
        ) | (Some("information_schema"), "routines" | "triggers" | "views")
    );
    if unlisted && catalog.partial {
        return Err(Problem::unsupported(format!("the system view {name}, whose objects a snapshot doesn't list,")));
    }
    let rows = match schema {
        None | Some("pg_catalog") => objects::relation(catalog, name).or_else(|| others::relation(catalog, name)),
        Some("information_schema") => schema::relation(catalog, name).or_else(|| rules::relation(catalog, name)),
        _ => None,
    };
    Ok(rows.map(view))
}

impl Reader<'_> {
    /// Puts names in the place of numbers of objects among a query's outputs.
    pub(super) fn show_numbers(&self, query: &mut Query) -> Outcome<()> {
        let mut list = Vec::new();
        for output in &mut query.outputs {
            let column = format!("q.{}", output.column);
            if !is_number(&output.ty) {
                list.push(column);
                continue;
            }
            let name = name_of_number(&column, &output.ty, self.catalog());
            let name = name.ok_or_else(|| Problem::unsupported("the number of an object as a value"))?;
            list.push(format!("{name} AS {}", output.column));
            output.ty = Type::Text;
        }
        query.sql = format!("SELECT {} FROM ({}) AS q", list.join(", "), query.sql);
        Ok(())
    }
}

/// `pg_get_constraintdef(oid)`, `pg_get_indexdef(oid)`: the definition that a number stands for.
pub(super) fn definition_of_number(function: &str, sql: &str, catalog: &Catalog) -> String {
    let definitions: Vec<(u32, Option<String>)> = match function {
        "pg_get_constraintdef" => {
            catalog.constraints.values().map(|c| (c.oid, shown::constraint(catalog, c))).collect()
        }
        _ => catalog.indexes.values().map(|i| (i.oid, shown::index(catalog, i))).collect(),
    };
    let refused = quote_literal(&format!("NS|{function}() of what stands there"));
    let whens: Vec<String> = definitions
        .into_iter()
        .map(|(oid, text)| {
            let text = text.map_or_else(|| format!("error({refused})"), |text| quote_literal(&text));
            format!("WHEN {} THEN {text}", number(oid))
        })
        .collect();
    match whens.is_empty() {
        true => "CAST(NULL AS VARCHAR)".to_owned(),
        false => format!("CASE {sql} {} END", whens.join(" ")),
    }
}

/// The number of the relation that a text names, as `regclass` reads it.
pub(super) fn relation_number(text: &str, catalog: &Catalog) -> Option<String> {
    let names = names_of(text)?;
    let found = match names.as_slice() {
        [name] => catalog.find_relation(None, name),
        [schema, name] => catalog.find_relation(Some(schema), name),
        _ => None,
    };
    found.map(|(_, oid)| oid.to_string())
}

/// The same of a type.
pub(super) fn type_number(text: &str, catalog: &Catalog) -> Option<String> {
    Some(number_of_type(&Type::parse(text, catalog).ok()?, catalog))
}

/// The number of a type.
pub(super) fn number_of_type(ty: &Type, catalog: &Catalog) -> String {
    match ty {
        Type::Enum(oid) | Type::Composite(oid) => oid.to_string(),
        Type::Opaque(name) if name == "bpchar" => "type character".to_owned(),
        ty => format!("type {}", ty.base_name(catalog)),
    }
}

fn names_of(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"')?;
                (quoted[..end].to_owned(), &quoted[end + 1..])
            }
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].to_lowercase(), &rest[end..])
            }
        };
        names.push(name);
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None => return after.is_empty().then_some(names),
        }
    }
}

fn text(value: &str) -> String {
    quote_literal(value)
}

fn truth(value: bool) -> String {
    value.to_string()
}

fn oid() -> Type {
    Type::Opaque("oid".to_owned())
}

/// The number of a schema.
fn schema_number(name: &str) -> String {
    quote_literal(&format!("schema {name}"))
}

fn number(value: u32) -> String {
    quote_literal(&value.to_string())
}

fn view(of: Rows) -> System {
    let outputs: Vec<Output> = of
        .columns
        .iter()
        .enumerate()
        .map(|(n, (name, ty))| Output { name: (*name).to_owned(), ty: ty.clone(), column: format!("o{}", n + 1) })
        .collect();
    let untold: Vec<bool> = (0..outputs.len()).map(|at| of.rows.iter().any(|row| row[at] == UNTOLD)).collect();
    let held = |at: usize| match untold[at] {
        true => "VARCHAR".to_owned(),
        false => super::typed::physical(&outputs[at].ty),
    };
    let columns = |value: &dyn Fn(&Output) -> String| -> String {
        let cast =
            |(at, output): (usize, &Output)| format!("CAST({} AS {}) AS {}", value(output), held(at), output.column);
        outputs.iter().enumerate().map(cast).collect::<Vec<_>>().join(", ")
    };
    let sql = if of.rows.is_empty() {
        format!("SELECT {} WHERE false", columns(&|_| "NULL".to_owned()))
    } else {
        let names: Vec<&str> = outputs.iter().map(|o| o.column.as_str()).collect();
        let rows: Vec<String> = of.rows.iter().map(|row| format!("({})", row.join(", "))).collect();
        let list = columns(&|output| output.column.clone());
        format!("SELECT {list} FROM (VALUES {}) AS v({})", rows.join(", "), names.join(", "))
    };
    System { sql, outputs, untold }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_the_server_reads_them() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(names_of(text).unwrap_or_default(), expected, "{text}");
        };
        check("t", &["t"]);
        check("Public.T", &["public", "t"]);
        check("public.\"User\"", &["public", "User"]);
        check("\"a.b\"", &["a.b"]);
        check("\"a", &[]);
    }
}
