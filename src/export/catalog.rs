//! The catalog: which relation does a name mean, and what does the server say about it?
//!
//! Input: names as the user wrote them. Output: [`Found`] relations, then [`Described`] ones: manifest entries with the types to
//! decode. Invariants: nothing depends on the role's search_path except which table an unqualified name means, exactly as in
//! psql; a column that can't be carried or read is refused by name before any row is read.

use std::collections::HashMap;

use anyhow::{Context, Error, Result, anyhow, bail};
use tokio_postgres::Row;

use super::connection::Session;
use super::physical;
use super::storage::Beside;
use crate::query::{self, quote_identifier};
use crate::snapshot::manifest::{Column, Constraint, EnumType, Index, RelationSizes, Server, Table};
use crate::snapshot::suggestion;
use crate::snapshot::types::PgType;
use crate::ui::hinted;

/// The oldest server whose catalogs are known.
const OLDEST_SERVER: i32 = 120_000;

/// A relation that a name was found to mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Schema, unquoted.
    pub schema: String,
    /// Name, unquoted.
    pub name: String,
    /// `pg_class.relkind`
    kind: String,
    /// Place of its schema on the role's search path.
    visible: Option<i32>,
    /// The role may look into the schema.
    schema_usable: bool,
}

impl Found {
    /// `"schema"."name"`
    pub fn qualified(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }

    /// `LOCK TABLE` takes it.
    pub fn is_lockable(&self) -> bool {
        ["r", "p"].contains(&self.kind.as_str())
    }

    fn shown(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// A relation with all the catalog says about it; rows and files are still to come.
pub struct Described {
    /// The manifest's entry.
    pub table: Table,
    /// The columns' types.
    pub types: Vec<PgType>,
    /// `"schema"."name"`
    pub qualified: String,
    /// `pg_class.oid`
    pub oid: u32,
    /// What is read beside the table's own columns.
    pub storage: Vec<Beside>,
}

/// A table's name as the user wrote it.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    text: &'a str,
    schema: Option<Identifier>,
    name: Identifier,
}

/// One part of a name.
#[derive(Debug, PartialEq, Eq)]
struct Identifier {
    text: String,
    quoted: bool,
}

impl Identifier {
    /// The names it may mean, the likeliest first: as written, then folded to lower case as SQL does it. Written comes first
    /// because a shell eats quotes, and because names such as Prisma's are in mixed case.
    fn candidates(&self) -> Vec<String> {
        let folded = self.text.to_lowercase();
        if self.quoted || folded == self.text { vec![self.text.clone()] } else { vec![self.text.clone(), folded] }
    }
}

/// The relations that `names` mean, in the order given.
///
/// # Errors
/// An unknown name (with near ones), one that isn't a table, one given twice, or two tables that a snapshot can't tell apart.
pub fn find(session: &Session, names: &[String], schema: Option<&str>) -> Result<Vec<Found>> {
    let relations = session.fetch(&query::EXPORT_RELATIONS, &[], |row| {
        Ok(Found {
            schema: row.try_get("schema")?,
            name: row.try_get("name")?,
            kind: row.try_get("kind")?,
            visible: row.try_get("visible")?,
            schema_usable: row.try_get("schema_usable")?,
        })
    })?;
    let mut found: Vec<Found> = Vec::new();
    for name in names {
        let relation = resolve(&parse_name(name)?, schema, &relations)?;
        // The engine's names know no schema and no case.
        if let Some(other) = found.iter().find(|f| f.name.to_lowercase() == relation.name.to_lowercase()) {
            if *other == relation {
                bail!("table {} is named twice", relation.shown());
            }
            return Err(hinted(
                anyhow!("tables {} and {} have one name in a snapshot", other.shown(), relation.shown()),
                "export each to a snapshot of its own",
            ));
        }
        found.push(relation);
    }
    Ok(found)
}

/// `schema.name`, each part plain or quoted.
fn parse_name(text: &str) -> Result<Wanted<'_>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, behind) = match rest.strip_prefix('"') {
            Some(inner) => quoted_part(inner).with_context(|| format!("the table name {text} isn't closed"))?,
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (Identifier { text: rest[..end].to_owned(), quoted: false }, &rest[end..])
            }
        };
        parts.push(part);
        match behind.strip_prefix('.') {
            Some(next) => rest = next,
            None if behind.is_empty() => break,
            None => bail!("{text} isn't a table name"),
        }
    }
    if parts.iter().any(|part| part.text.is_empty()) {
        bail!("{text:?} isn't a table name");
    }
    match (parts.pop(), parts.pop(), parts.is_empty()) {
        (Some(name), schema, true) => Ok(Wanted { text, schema, name }),
        _ => Err(hinted(
            anyhow!("{text} isn't a table name"),
            "write TABLE or SCHEMA.TABLE; the database is the connection string's",
        )),
    }
}

/// What follows an opening quote: the name up to the closing one, and what is behind.
fn quoted_part(inner: &str) -> Result<(Identifier, &str)> {
    let mut text = String::new();
    let mut rest = inner;
    loop {
        let (before, behind) = rest.split_once('"').context("a quote is missing")?;
        text.push_str(before);
        match behind.strip_prefix('"') {
            Some(next) => {
                text.push('"');
                rest = next;
            }
            None => return Ok((Identifier { text, quoted: true }, behind)),
        }
    }
}

fn resolve(wanted: &Wanted<'_>, default_schema: Option<&str>, relations: &[Found]) -> Result<Found> {
    let schemas: Option<Vec<String>> = match (&wanted.schema, default_schema) {
        (Some(schema), _) => Some(schema.candidates()),
        (None, Some(schema)) => Some(vec![schema.to_owned()]),
        (None, None) => None,
    };
    for name in wanted.name.candidates() {
        let named = relations.iter().filter(|r| r.name == name);
        let relation = match &schemas {
            Some(schemas) => schemas.iter().find_map(|schema| named.clone().find(|r| &r.schema == schema)),
            None => named.filter(|r| r.visible.is_some()).min_by_key(|r| r.visible),
        };
        if let Some(relation) = relation {
            return check_kind(relation).map(|()| relation.clone());
        }
    }
    Err(unknown_table(wanted, relations))
}

fn unknown_table(wanted: &Wanted<'_>, relations: &[Found]) -> Error {
    let tables: Vec<&Found> = relations.iter().filter(|r| check_kind(r).is_ok()).collect();
    let error = anyhow!("there is no table {}", wanted.text);
    // The same name in a schema that wasn't meant is nearer than any other name.
    let elsewhere: Vec<String> = tables
        .iter()
        .filter(|r| wanted.name.candidates().iter().any(|name| name.eq_ignore_ascii_case(&r.name)))
        .map(|r| r.shown())
        .collect();
    if !elsewhere.is_empty() {
        return hinted(error, format!("did you mean {}?", elsewhere.join(" or ")));
    }
    let names: Vec<&str> = tables.iter().map(|r| r.name.as_str()).collect();
    let hint = suggestion(&wanted.name.text, &names).unwrap_or_else(|| match tables.len() {
        0 => "the database has no table that this role can see: check the database and the role".to_owned(),
        1..=12 => {
            let shown: Vec<String> = tables.iter().map(|r| r.shown()).collect();
            format!("the database has {}", shown.join(", "))
        }
        n => format!("the database has {n} tables, none with a name like it"),
    });
    hinted(error, hint)
}

fn check_kind(relation: &Found) -> Result<()> {
    let shown = relation.shown();
    match relation.kind.as_str() {
        "r" | "p" | "v" | "m" => Ok(()),
        "f" => Err(hinted(
            anyhow!("{shown} is a foreign table: its rows aren't part of this server's snapshot"),
            "export it from the server that holds its rows",
        )),
        "S" => bail!("{shown} is a sequence, not a table"),
        "i" | "I" => bail!("{shown} is an index, not a table"),
        "c" => bail!("{shown} is a composite type, not a table"),
        kind => bail!("{shown} isn't a table (it is of the kind {kind:?})"),
    }
}

/// May the role read `relation`? Asked before it is locked, because the server's own answer names no way out. Where only some
/// columns are wanted, those are enough.
///
/// # Errors
/// Without SELECT: naming the table, the columns where only some are barred, and the GRANT that helps.
pub fn check_readable(session: &Session, relation: &Found, wanted: &[String]) -> Result<bool> {
    if !relation.schema_usable {
        return Err(hinted(
            anyhow!("the role may not look into the schema {}", relation.schema),
            format!("grant it: GRANT USAGE ON SCHEMA {} TO {};", quote_identifier(&relation.schema), role(session)?),
        ));
    }
    let (oid, whole) = identify(session, relation)?;
    if whole {
        return Ok(true);
    }
    let columns = session.fetch(&query::EXPORT_COLUMNS, &[&oid], |row| {
        Ok((row.try_get::<_, String>("name")?, row.try_get::<_, bool>("readable")?))
    })?;
    let barred = columns.iter().filter(|(_, readable)| !readable).map(|(name, _)| name.as_str());
    // What the names mean exactly is found out later: here they only spare columns.
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|text| text.trim_matches('"').ends_with(name));
    let barred: Vec<&str> = barred.filter(|name| is_wanted(name)).collect();
    if barred.is_empty() && !columns.is_empty() {
        return Ok(false);
    }
    let which = if barred.len() == columns.len() { String::new() } else { format!(" in {}", barred.join(", ")) };
    Err(hinted(
        anyhow!("the role may not read the table {}{which}", relation.shown()),
        format!(
            "grant it: GRANT SELECT ON {} TO {};{}",
            relation.qualified(),
            role(session)?,
            match which.is_empty() {
                true => "",
                false => " or leave the columns out with --columns",
            }
        ),
    ))
}

fn role(session: &Session) -> Result<String> {
    Ok(quote_identifier(&server(session, "")?.role))
}

/// Its oid, and whether the role may read all of it.
fn identify(session: &Session, relation: &Found) -> Result<(u32, bool)> {
    let rows = session.fetch(&query::EXPORT_RELATION, &[&relation.schema, &relation.name], |row| {
        Ok((row.try_get("oid")?, row.try_get("readable")?))
    })?;
    rows.into_iter().next().ok_or_else(|| anyhow!("the table {} has just been dropped", relation.shown()))
}

/// The server as the manifest has it, and what only this run needs.
pub struct ServerFacts {
    /// The manifest's entry; `lsn` is still to come.
    pub server: Server,
    /// When the snapshot was taken (RFC 3339, UTC).
    pub captured_at: String,
    /// The role that reads.
    pub role: String,
    /// `server_version_num`, e.g. 150018.
    pub version_number: i32,
}

/// Asks who the server is; the first such question of a transaction takes its snapshot.
///
/// # Errors
/// For a server too old.
pub fn server(session: &Session, location: &str) -> Result<ServerFacts> {
    let rows = session.fetch(&query::EXPORT_SERVER, &[], |row| {
        let server = Server {
            location: location.to_owned(),
            version: row.try_get("version")?,
            snapshot: row.try_get("snapshot")?,
            lsn: None,
            encoding: row.try_get("encoding")?,
            collation: row.try_get("collation")?,
            time_zone: row.try_get("time_zone")?,
            in_recovery: row.try_get("in_recovery")?,
            capacity: None,
            run: None,
        };
        Ok(ServerFacts {
            server,
            captured_at: row.try_get("captured_at")?,
            role: row.try_get("role")?,
            version_number: row.try_get("version_number")?,
        })
    })?;
    let facts = rows.into_iter().next().context("the server doesn't know its own database")?;
    if facts.version_number < OLDEST_SERVER {
        bail!("the server is PostgreSQL {}; exports are from version 12 on", facts.server.version);
    }
    Ok(facts)
}

/// How far the write-ahead log had come; `None` where the role or the service doesn't let us ask.
///
/// # Errors
/// When the connection fails.
pub fn lsn(session: &Session) -> Result<Option<String>> {
    session.run(query::EXPORT_SAVEPOINT.text)?;
    match session.fetch(&query::EXPORT_LSN, &[], |row| row.try_get::<_, Option<String>>("lsn")) {
        Ok(rows) => Ok(rows.into_iter().next().flatten()),
        Err(_) => session.run(query::EXPORT_ROLLBACK_TO_SAVEPOINT.text).map(|()| None),
    }
}

/// Everything the catalog says about `relations`, and the enums they use.
///
/// # Errors
/// When a relation has no columns, or two that the engine can't tell apart.
pub fn describe(session: &Session, relations: &[Found]) -> Result<(Vec<Described>, Vec<EnumType>)> {
    let mut oids = Vec::new();
    for relation in relations {
        oids.push(identify(session, relation)?.0);
    }
    let enums = session.fetch(&query::EXPORT_ENUMS, &[&oids], |row| {
        Ok(EnumType { name: row.try_get("name")?, labels: row.try_get("labels")? })
    })?;
    let labels: HashMap<String, Vec<String>> = enums.iter().map(|e| (e.name.clone(), e.labels.clone())).collect();
    let mut described = Vec::new();
    for (relation, oid) in relations.iter().zip(oids) {
        let columns = columns(session, relation, oid)?;
        let types = columns.iter().map(|column| PgType::parse(&column.type_name, &labels)).collect();
        let mut table = table(session, relation, oid, columns)?;
        table.physical = if relation.kind == "v" { None } else { Some(physical::of_relation(session, oid)?) };
        described.push(Described { types, table, qualified: relation.qualified(), oid, storage: Vec::new() });
    }
    Ok((described, enums))
}

fn columns(session: &Session, relation: &Found, oid: u32) -> Result<Vec<Column>> {
    let columns = session.fetch(&query::EXPORT_COLUMNS, &[&oid], |row| {
        Ok(Column {
            name: row.try_get("name")?,
            type_name: row.try_get("type_name")?,
            not_null: row.try_get("not_null")?,
            default: row.try_get("default_expression")?,
            generated: row.try_get("generated")?,
            numeric_extent: None,
            carried_as_text: None,
        })
    })?;
    if columns.is_empty() {
        bail!("table {} has no columns: there is nothing to export", relation.shown());
    }
    for (index, column) in columns.iter().enumerate() {
        // The engine's names know no case.
        if let Some(other) = columns[..index].iter().find(|c| c.name.to_lowercase() == column.name.to_lowercase()) {
            return Err(hinted(
                anyhow!("columns {} and {} of {} differ only in case", other.name, column.name, relation.shown()),
                "make a view that renames one of them, and export the view",
            ));
        }
    }
    Ok(columns)
}

fn table(session: &Session, relation: &Found, oid: u32, columns: Vec<Column>) -> Result<Table> {
    let constraints = session.fetch(&query::EXPORT_CONSTRAINTS, &[&oid], |row| {
        Ok(Constraint {
            name: row.try_get("name")?,
            kind: row.try_get("kind")?,
            definition: row.try_get("definition")?,
            columns: row.try_get("columns")?,
            validated: row.try_get("validated")?,
        })
    })?;
    let indexes = session.fetch(&query::EXPORT_INDEXES, &[&oid], |row| {
        Ok(Index {
            name: row.try_get("name")?,
            method: row.try_get("method")?,
            unique: row.try_get("is_unique")?,
            primary: row.try_get("is_primary")?,
            definition: row.try_get("definition")?,
            size_bytes: Some(bytes(row, "size_bytes")?),
        })
    })?;
    let sizes = if relation.kind == "v" {
        None
    } else {
        let sizes = session.fetch(&query::EXPORT_SIZES, &[&oid], |row| {
            Ok(RelationSizes {
                heap_bytes: bytes(row, "heap_bytes")?,
                index_bytes: bytes(row, "index_bytes")?,
                toast_bytes: bytes(row, "toast_bytes")?,
                total_bytes: bytes(row, "total_bytes")?,
            })
        })?;
        sizes.into_iter().next()
    };
    Ok(Table {
        schema: relation.schema.clone(),
        name: relation.name.clone(),
        columns,
        constraints,
        indexes,
        sizes,
        ..Table::default()
    })
}

/// A size, which the server counts as a signed number and never negative.
fn bytes(row: &Row, column: &str) -> Result<u64, tokio_postgres::Error> {
    row.try_get::<_, i64>(column).map(i64::unsigned_abs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(schema: &str, name: &str, kind: &str, visible: Option<i32>) -> Found {
        Found { schema: schema.into(), name: name.into(), kind: kind.into(), visible, schema_usable: true }
    }

    fn relations() -> Vec<Found> {
        vec![
            relation("app", "llama_logs", "r", None),
            relation("app", "logs", "r", None),
            relation("public", "LlamaLog", "r", Some(2)),
            relation("public", "logs", "r", Some(2)),
            relation("public", "a.b", "r", Some(2)),
            relation("me", "logs", "r", Some(1)),
            relation("public", "logs_pkey", "i", Some(2)),
        ]
    }

    fn check(text: &str, schema: Option<&str>, expected: &str) {
        let found = resolve(&parse_name(text).expect(text), schema, &relations()).expect(text);
        assert_eq!(found.shown(), expected, "{text}");
    }

    #[test]
    fn names_mean_what_they_mean_to_psql() {
        check("logs", None, "me.logs");
        check("LOGS", None, "me.logs");
        check("logs", Some("app"), "app.logs");
        check("public.logs", Some("app"), "public.logs");
        check("Public.Logs", None, "public.logs");
        check("LlamaLog", None, "public.LlamaLog");
        check("\"LlamaLog\"", None, "public.LlamaLog");
        check("public.\"a.b\"", None, "public.a.b");
    }

    #[test]
    fn unknown_names_get_a_suggestion() {
        let message = |text: &str| -> String {
            let error = resolve(&parse_name(text).expect(text), None, &relations()).expect_err(text);
            let mut shown = Vec::new();
            crate::ui::write_error(&mut shown, &error).expect("a vector takes all");
            String::from_utf8(shown).expect("UTF-8")
        };
        assert!(message("llama_logs").contains("did you mean app.llama_logs?"));
        assert!(message("llamalog").contains("did you mean public.LlamaLog?"));
        assert!(message("\"LOGS\"").contains("did you mean"));
        assert!(message("loggs").contains("did you mean logs?"));
        assert!(message("logs_pkey").contains("is an index"));
        assert!(message("zzzzzz").contains("the database has app.llama_logs, app.logs,"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "a..b", "\"a", "\"a\"b", "a.b.c", "."] {
            assert!(parse_name(text).is_err(), "{text:?}");
        }
    }
}
