//! Rules: which columns does `users.metadata.email=hash` mean, and would masking them break the data?
//!
//! Input: rules as the command line and `rehearsal.toml` have them, and the tables as the catalog describes them. Output: a
//! [`TableMask`] for each table, and the [`Limits`]. Invariants: a rule that matches nothing is an error; of several rules for one value
//! the command line's wins over the file's, and the one that names its table over the one that doesn't; what a mask would break
//! (NOT NULL, unique keys, references, generated columns) is refused before a row is read.

use std::collections::BTreeMap;

use anyhow::{Error, Result, anyhow, bail};

use super::document::{PathRule, Step};
use super::texts::{HASH_CHARACTERS, LEAST_HASH_CHARACTERS};
use super::{ColumnMask, Limits, Rule, TableMask, text_limit, unfit};
use crate::export::definitions;
use crate::snapshot::manifest::Table;
use crate::snapshot::suggestion;
use crate::snapshot::types::PgType;
use crate::ui::hinted;

/// A rule as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What is masked: `email`, `users.email`, `metadata.user.email`.
    pub target: String,
    /// What is done.
    pub rule: Rule,
    /// It stands in `rehearsal.toml`, which other exports read, too.
    pub from_file: bool,
}

impl Wanted {
    /// Reads `target=rule` of the command line.
    ///
    /// # Errors
    /// When it isn't that, or no such mask is known.
    pub fn parse(text: &str) -> Result<Wanted> {
        let Some((target, rule)) = text.rsplit_once('=').filter(|(target, _)| !target.is_empty()) else {
            bail!("--mask {text}: expected COLUMN=RULE, e.g. email=hash or users.metadata.email=redact");
        };
        Ok(Wanted { target: target.trim().to_owned(), rule: rule.trim().parse()?, from_file: false })
    }
}

/// A table as the rules see it.
#[derive(Clone, Copy)]
pub struct Described<'a> {
    /// The manifest's entry.
    pub table: &'a Table,
    /// The columns' types.
    pub types: &'a [PgType],
}

/// One segment of a target: a name, and `[]` behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    name: String,
    quoted: bool,
    elements: usize,
}

/// One value that a rule means: table, column, path.
type Place = (usize, usize, Vec<Step>);

/// Finds what the rules mean.
///
/// # Errors
/// A rule that matches nothing, two that contradict each other, or one that would break the data: by name, with the way out.
pub fn resolve(wanted: &[Wanted], tables: &[Described<'_>], known: &[String]) -> Result<(Vec<TableMask>, Limits)> {
    let mut chosen: BTreeMap<Place, (u8, &Wanted)> = BTreeMap::new();
    for rule in wanted {
        let segments = segments(&rule.target)?;
        let (qualified, places) = places(&segments, tables);
        if places.is_empty() {
            if rule.from_file && concerns_another_table(&segments, tables, known) {
                continue;
            }
            return Err(unmatched(rule, &segments, tables));
        }
        let rank = 2 * u8::from(!rule.from_file) + u8::from(qualified);
        for place in places {
            match chosen.get(&place) {
                Some((other, _)) if *other > rank => {}
                Some((other, earlier)) if *other == rank && earlier.rule != rule.rule => {
                    bail!("{} is masked twice: {} and {}", rule.target, earlier.rule, rule.rule);
                }
                _ => {
                    chosen.insert(place, (rank, rule));
                }
            }
        }
    }
    let mut masks: Vec<TableMask> = tables.iter().map(|_| TableMask::default()).collect();
    for ((table, column, path), (_, wanted)) in chosen {
        let described = tables[table];
        let name = described.table.columns[column].name.clone();
        if path.is_empty()
            && let Some(reason) = unfit(wanted.rule, &described.types[column])
        {
            bail!("--mask {}={}: {reason}", wanted.target, wanted.rule);
        }
        let columns = &mut masks[table].columns;
        if columns.last().is_none_or(|last| last.index != column) {
            let unique = definitions::unique_columns(described.table).contains(&name);
            columns.push(ColumnMask { index: column, name, rules: vec![], unique, counts: vec![] });
        }
        if let Some(mask) = columns.last_mut() {
            // The order of the map: a whole document comes before its paths, which then win.
            mask.rules.push(PathRule { path, rule: wanted.rule });
            mask.counts.push(0.into());
        }
    }
    for (mask, described) in masks.iter().zip(tables) {
        for column in &mask.columns {
            expect_sound(column, described.table)?;
        }
        expect_generated(mask, described.table)?;
    }
    expect_references(&masks, tables)?;
    let limits = limits(&masks, tables)?;
    Ok((masks, limits))
}

/// `users."e mail".x[].y` in pieces.
fn segments(target: &str) -> Result<Vec<Segment>> {
    let wrong = || {
        hinted(
            anyhow!("--mask {target}: that isn't a column or a path"),
            "write COLUMN, TABLE.COLUMN, COLUMN.KEY or COLUMN.KEY[].KEY",
        )
    };
    let mut segments = Vec::new();
    let mut rest = target;
    loop {
        let (name, quoted, mut behind) = match rest.strip_prefix('"') {
            Some(inner) => {
                let (name, behind) = inner.split_once('"').ok_or_else(wrong)?;
                (name, true, behind)
            }
            None => {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                (&rest[..end], false, &rest[end..])
            }
        };
        let mut elements = 0;
        while let Some(next) = behind.strip_prefix("[]") {
            (behind, elements) = (next, elements + 1);
        }
        if name.is_empty() {
            return Err(wrong());
        }
        segments.push(Segment { name: name.to_owned(), quoted, elements });
        match behind.strip_prefix('.') {
            Some(next) => rest = next,
            None if behind.is_empty() => return Ok(segments),
            None => return Err(wrong()),
        }
    }
}

impl Segment {
    /// Does it name this? As written, or folded to lower case as SQL does it.
    fn names(&self, name: &str) -> bool {
        self.name == name || (!self.quoted && self.name.to_lowercase() == name)
    }
}

/// What the segments mean; whether they name a table.
fn places(segments: &[Segment], tables: &[Described<'_>]) -> (bool, Vec<Place>) {
    let in_table = |table: usize, rest: &[Segment]| -> Option<Place> {
        let (column, keys) = rest.split_first()?;
        let described = tables[table];
        let index = described.table.columns.iter().position(|c| column.names(&c.name))?;
        let mut path = vec![Step::Elements; column.elements];
        for key in keys {
            path.push(Step::Key(key.name.clone()));
            path.extend(std::iter::repeat_n(Step::Elements, key.elements));
        }
        let document = matches!(described.types[index], PgType::Json | PgType::Jsonb);
        (path.is_empty() || document).then_some((table, index, path))
    };
    let plain = |segment: &Segment| segment.elements == 0;
    let named = |table: usize, from: usize| match from {
        1 => plain(&segments[0]) && segments[0].names(&tables[table].table.name),
        _ => {
            plain(&segments[0])
                && plain(&segments[1])
                && segments[0].names(&tables[table].table.schema)
                && segments[1].names(&tables[table].table.name)
        }
    };
    for from in [2, 1] {
        if segments.len() > from {
            let found = (0..tables.len()).filter(|table| named(*table, from));
            let found: Vec<Place> = found.filter_map(|table| in_table(table, &segments[from..])).collect();
            if !found.is_empty() {
                return (true, found);
            }
        }
    }
    (false, (0..tables.len()).filter_map(|table| in_table(table, segments)).collect())
}

/// The file's rule is about a table that the database has and this export doesn't.
fn concerns_another_table(segments: &[Segment], tables: &[Described<'_>], known: &[String]) -> bool {
    let exported = |segment: &Segment| tables.iter().any(|t| segment.names(&t.table.name));
    segments.len() > 1
        && segments.iter().take(2).any(|segment| known.iter().any(|name| segment.names(name)) && !exported(segment))
}

fn unmatched(rule: &Wanted, segments: &[Segment], tables: &[Described<'_>]) -> Error {
    let place = if rule.from_file { "rehearsal.toml" } else { "--mask" };
    let columns = |t: &Described<'_>| t.table.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    let documents = |name: &Segment| {
        tables
            .iter()
            .find_map(|t| t.table.columns.iter().find(|c| name.names(&c.name)).map(|c| (t.table.name.clone(), c)))
    };
    if segments.len() > 1 || segments[0].elements > 0 {
        let column = segments.iter().take(2).find_map(documents);
        if let Some((table, column)) = column {
            return hinted(
                anyhow!(
                    "{place}: {} matches nothing: {table}.{} is of the type {}",
                    rule.target,
                    column.name,
                    column.type_name
                ),
                "only json and jsonb columns have paths; an array is masked as a whole",
            );
        }
    }
    let of_table = tables.iter().find(|t| segments.len() > 1 && segments[0].names(&t.table.name));
    let (wanted, names): (&str, Vec<String>) = match of_table {
        Some(table) => (&segments[1].name, columns(table)),
        None => (
            &segments[0].name,
            tables.iter().flat_map(columns).chain(tables.iter().map(|t| t.table.name.clone())).collect(),
        ),
    };
    let near: Vec<&str> = names.iter().map(String::as_str).collect();
    let hint = suggestion(wanted, &near).unwrap_or_else(|| format!("the columns are {}", near.join(", ")));
    hinted(anyhow!("{place}: no column of the export is {}", rule.target), hint)
}

/// NOT NULL holds, and keys stay unique.
fn expect_sound(column: &ColumnMask, table: &Table) -> Result<()> {
    let shown = format!("{}.{}", table.name, column.name);
    let declared = &table.columns[column.index];
    let Some(rule) = column.whole() else {
        if column.unique {
            return Err(hinted(
                anyhow!("{shown} is part of a unique index, and masking paths in it could make two documents equal"),
                format!("mask the whole column, or leave it out with --columns: {shown}"),
            ));
        }
        return Ok(());
    };
    if rule == Rule::Null && declared.not_null {
        return Err(hinted(
            anyhow!("{shown} is NOT NULL: the mask null would break that"),
            format!("use {shown}=redact or {shown}=hash"),
        ));
    }
    let stays_unique = matches!(rule, Rule::Hash | Rule::Null | Rule::Fake);
    if column.unique && !stays_unique {
        return Err(hinted(
            anyhow!("{shown} is part of a unique index, and the mask {rule} makes values equal"),
            format!("use {shown}=hash: unequal values stay unequal"),
        ));
    }
    if column.unique && rule == Rule::Fake && text_limit_of(declared).is_none_or(|limit| limit < 40) {
        return Err(hinted(
            anyhow!("{shown} is part of a unique index, and made-up values of this type could be equal"),
            format!("use {shown}=hash: unequal values stay unequal"),
        ));
    }
    Ok(())
}

fn text_limit_of(column: &crate::snapshot::manifest::Column) -> Option<usize> {
    text_limit(&PgType::parse(&column.type_name, &std::collections::HashMap::new()))
}

/// A generated column would tell what it was computed from.
fn expect_generated(mask: &TableMask, table: &Table) -> Result<()> {
    let masked = |name: &str| mask.columns.iter().any(|column| column.name == name);
    for column in &table.columns {
        let Some(expression) = column.generated.as_deref().filter(|text| !["ALWAYS", "BY DEFAULT"].contains(text))
        else {
            continue;
        };
        if masked(&column.name) {
            continue;
        }
        let read = definitions::columns_of(expression);
        if let Some(source) = read.iter().find(|name| masked(name)) {
            return Err(hinted(
                anyhow!(
                    "{0}.{1} is generated from {0}.{source}, which is masked: it would tell the plain value",
                    table.name,
                    column.name
                ),
                format!("mask {}.{} as well, or leave it out with --columns", table.name, column.name),
            ));
        }
    }
    Ok(())
}

/// Both ends of a foreign key are masked alike, or neither is.
fn expect_references(masks: &[TableMask], tables: &[Described<'_>]) -> Result<()> {
    let rule = |table: usize, column: &str| {
        let mask = masks[table].columns.iter().find(|mask| mask.name == column);
        mask.map(|mask| mask.whole().map_or_else(|| "paths".to_owned(), |rule| rule.to_string()))
    };
    for (index, described) in tables.iter().enumerate() {
        for reference in definitions::references(described.table) {
            let parent = tables.iter().position(|t| {
                t.table.name == reference.table
                    && reference.schema.as_ref().is_none_or(|schema| *schema == t.table.schema)
            });
            let Some(parent) = parent else { continue };
            for (child, key) in reference.columns.iter().zip(&reference.keys) {
                let (ours, theirs) = (rule(index, child), rule(parent, key));
                let both = (ours.as_deref(), theirs.as_deref());
                let whole = matches!(both, (Some("null"), _) | (None, None) | (Some("hash"), Some("hash")));
                if !whole {
                    let (child, key) =
                        (format!("{}.{child}", described.table.name), format!("{}.{key}", tables[parent].table.name));
                    return Err(hinted(
                        anyhow!(
                            "{child} references {key}, and they aren't masked alike: the rows would no longer belong together"
                        ),
                        format!("mask both with hash: --mask {child}=hash --mask {key}=hash"),
                    ));
                }
            }
        }
    }
    Ok(())
}

/// The length of a hash is that of the narrowest column with one: a value has the same hash in all of them.
fn limits(masks: &[TableMask], tables: &[Described<'_>]) -> Result<Limits> {
    let mut hash = HASH_CHARACTERS;
    for (mask, described) in masks.iter().zip(tables) {
        for column in mask.columns.iter().filter(|column| column.whole() == Some(Rule::Hash)) {
            let Some(limit) = text_limit(&described.types[column.index]) else { continue };
            if limit < LEAST_HASH_CHARACTERS {
                return Err(hinted(
                    anyhow!(
                        "{}.{} takes {limit} characters: a hash of so few wouldn't keep unequal values apart",
                        described.table.name,
                        column.name
                    ),
                    "use keep-length, redact or null for it",
                ));
            }
            hash = hash.min(limit);
        }
    }
    Ok(Limits { hash, fake: usize::MAX })
}

/// `user.email`, `items[].name`
pub fn shown_path(path: &[Step]) -> Option<String> {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.push_str(&format!(".{key}")),
            Step::Elements => text.push_str("[]"),
        }
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::manifest::{Column, Constraint, Index};

    fn table(name: &str, columns: &[(&str, &str, bool)]) -> (Table, Vec<PgType>) {
        let column = |(name, ty, not_null): &(&str, &str, bool)| Column {
            name: (*name).to_owned(),
            type_name: (*ty).to_owned(),
            not_null: *not_null,
            ..Column::default()
        };
        let types = columns.iter().map(|(_, ty, _)| PgType::parse(ty, &std::collections::HashMap::new())).collect();
        let columns = columns.iter().map(column).collect();
        (Table { schema: "public".into(), name: name.into(), columns, ..Table::default() }, types)
    }

    fn resolved(rules: &[&str], file: &[&str]) -> Result<String> {
        let (mut users, user_types) = table(
            "users",
            &[
                ("id", "integer", true),
                ("email", "text", true),
                ("phone", "character varying(10)", false),
                ("metadata", "jsonb", false),
                ("lower", "text", false),
            ],
        );
        let (mut orders, order_types) =
            table("orders", &[("user_id", "integer", false), ("email", "text", false), ("tags", "text[]", false)]);
        users.columns[4].generated = Some("lower(phone)".to_owned());
        users.indexes.push(Index {
            name: "users_pkey".into(),
            unique: true,
            definition: "CREATE UNIQUE INDEX users_pkey ON public.users USING btree (id)".into(),
            ..Index::default()
        });
        orders.constraints.push(Constraint {
            name: "fk".into(),
            kind: "foreign key".into(),
            definition: "FOREIGN KEY (user_id) REFERENCES users(id)".into(),
            columns: vec!["user_id".into()],
            ..Constraint::default()
        });
        let mut wanted = rules.iter().map(|text| Wanted::parse(text)).collect::<Result<Vec<_>>>()?;
        for text in file {
            wanted.push(Wanted { from_file: true, ..Wanted::parse(text)? });
        }
        let tables =
            [Described { table: &users, types: &user_types }, Described { table: &orders, types: &order_types }];
        let (masks, limits) = resolve(&wanted, &tables, &["users".into(), "orders".into(), "albums".into()])?;
        let mut shown = Vec::new();
        for (mask, described) in masks.iter().zip(tables) {
            for column in &mask.columns {
                for rule in &column.rules {
                    let path = shown_path(&rule.path).map(|path| format!(".{path}")).unwrap_or_default();
                    shown.push(format!("{}.{}{path}={}", described.table.name, column.name, rule.rule));
                }
            }
        }
        Ok(format!("{} [{}]", shown.join(" "), limits.hash))
    }

    fn check(rules: &[&str], file: &[&str], expected: &str) {
        let found = match resolved(rules, file) {
            Ok(found) => found,
            Err(error) => {
                let mut out = Vec::new();
                crate::ui::write_error(&mut out, &error).expect("a vector takes all");
                String::from_utf8(out).expect("UTF-8")
            }
        };
        assert!(found.contains(expected), "{rules:?}: {found}");
    }

    #[test]
    fn rules_find_their_columns() {
        check(&["email=hash"], &[], "users.email=hash orders.email=hash [26]");
        check(&["users.email=fake", "email=hash"], &[], "users.email=fake orders.email=hash");
        check(&["email=hash"], &["email=null", "albums.title=hash"], "users.email=hash orders.email=hash");
        check(&["public.orders.email=redact"], &[], "orders.email=redact [26]");
        check(
            &["metadata.user.email=hash", "metadata=redact"],
            &[],
            "users.metadata=redact users.metadata.user.email=hash",
        );
        check(&["metadata.items[].name=fake"], &[], "users.metadata.items[].name=fake");
        check(&["metadata[].name=fake"], &[], "users.metadata.[].name=fake");
        check(&["tags=hash"], &[], "orders.tags=hash");
        check(&["id=hash", "user_id=hash"], &[], "users.id=hash orders.user_id=hash");
        check(&["USERS.Email=null"], &[], "NOT NULL");
    }

    #[test]
    fn what_matches_nothing_or_breaks_the_data_is_refused() {
        check(&["e_mial=hash"], &[], "did you mean email?");
        check(&["users.emial=hash"], &[], "no column of the export is users.emial\nhint: did you mean email?");
        check(&[], &["album.title=hash"], "rehearsal.toml: no column");
        check(&["email.user=hash"], &[], "users.email is of the type text");
        check(&["email=hush"], &[], "the masks are hash, null, redact, keep-length, fake");
        check(&["email"], &[], "expected COLUMN=RULE");
        check(&["email=hash", "email=fake"], &[], "masked twice");
        check(&["id=redact", "user_id=redact"], &[], "part of a unique index");
        check(&["id=hash"], &[], "mask both with hash: --mask orders.user_id=hash --mask users.id=hash");
        check(&["phone=hash"], &[], "generated from users.phone");
        check(&["phone=hash", "lower=hash"], &[], "takes 10 characters");
        check(&["phone=keep-length", "lower=null"], &[], "users.phone=keep-length");
    }
}
