//! How many bytes does a row take on the server, and which rows take them?
//!
//! Input: the view `log`, its columns' types, and the manifest where there is one. Output: [`Storage`].
//! Measured sizes of the manifest are taken as they are; otherwise the sizes are those a fresh load would have, by the layout
//! model ([`super::layout`], [`super::btree`]) run over the real values. The model also runs beside measured sizes: it says how
//! the bytes spread over groups of rows, and how far the table is from freshly loaded.
//!
//! Invariant: the bytes of the groups of a breakdown sum to the table's bytes exactly. Left out: NULLs inside arrays, and the
//! types of a bare file, which may hold enums and uuids as text.

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow};
use arrow::array::{Array, Int32Array, RecordBatch, StringArray};
use serde::Serialize;

use super::btree::{self, IndexShape, KeyColumn};
use super::jsonb;
use super::layout::{self, Storage as Stored};
use crate::query::{self, quote_identifier};
use crate::snapshot::manifest::{Index, RelationSizes};
use crate::snapshot::{LogColumns, OpenTable, Snapshot};

/// Where a figure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The server's own figure, at export.
    Measured,
    /// Computed from the values by the layout model.
    Modelled,
    /// Computed, about something the data doesn't show.
    Assumed,
}

impl Basis {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Basis::Measured => "measured",
            Basis::Modelled => "modelled",
            Basis::Assumed => "assumed",
        }
    }
}

/// Bytes of a table by part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Parts {
    /// The table's own pages.
    pub heap: f64,
    /// All indexes.
    pub index: f64,
    /// Out-of-line values with their index.
    pub toast: f64,
    /// Free space and visibility maps.
    pub maps: f64,
}

impl Parts {
    /// All parts together.
    pub fn total(&self) -> f64 {
        self.heap + self.index + self.toast + self.maps
    }

    fn of(sizes: &RelationSizes) -> Parts {
        let named = sizes.heap_bytes + sizes.index_bytes + sizes.toast_bytes;
        Parts {
            heap: sizes.heap_bytes as f64,
            index: sizes.index_bytes as f64,
            toast: sizes.toast_bytes as f64,
            maps: sizes.total_bytes.saturating_sub(named) as f64,
        }
    }

    /// Each part divided by `rows`.
    pub fn per(&self, rows: u64) -> Parts {
        let rows = rows.max(1) as f64;
        Parts { heap: self.heap / rows, index: self.index / rows, toast: self.toast / rows, maps: self.maps / rows }
    }
}

/// One index as sized by the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelledIndex {
    /// Its name; `(columns)` for an assumed one.
    pub name: String,
    /// Bytes after a fresh load; absent for what the model can't size (an expression, another method than B-tree).
    pub modelled_bytes: Option<u64>,
    /// Bytes on the server.
    pub measured_bytes: Option<u64>,
}

/// A breakdown's group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The value grouped by; NULL where the row has none.
    pub name: Option<String>,
    /// Its rows.
    pub rows: u64,
    /// Its share of the table's bytes.
    pub size_bytes: u64,
}

/// What the rows take.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// Measured or modelled.
    pub basis: Basis,
    /// Whether the indexes are those of the catalog (modelled or measured) or assumed.
    pub index_basis: Basis,
    /// Bytes by part.
    pub parts: Parts,
    /// What a fresh load of these rows would take, by the model.
    pub modelled: Parts,
    /// The indexes, in the manifest's order.
    pub indexes: Vec<ModelledIndex>,
    /// For each breakdown asked for, its groups, largest first.
    pub groups: Vec<Vec<Group>>,
}

impl Storage {
    /// The table's bytes.
    pub fn size_bytes(&self) -> u64 {
        self.parts.total().round() as u64
    }
}

/// Indexes that the log this tool was made for has; assumed, where their columns are there, if a file names none.
const USUAL_INDEXES: [&[&str]; 11] = [
    &["id"],
    &["entity_type", "entity_id"],
    &["artist_id"],
    &["album_id"],
    &["track_id"],
    &["status", "created_at"],
    &["is_root_job", "created_at"],
    &["operation"],
    &["sources"],
    &["user_id"],
    &["parent_job_id"],
];

/// Sizes the rows of `log`; `breakdowns` are SQL expressions over `log` whose values group the bytes.
///
/// # Errors
/// When the engine refuses to read the values.
pub fn measure(snapshot: &Snapshot, table: &OpenTable, columns: &LogColumns, breakdowns: &[String]) -> Result<Storage> {
    let described = snapshot.manifest.as_ref().and_then(|m| m.tables.iter().find(|t| t.name == table.name));
    // The engine sees `json` and `jsonb` alike; only the manifest tells them apart.
    let is_text_json = |name: &str| {
        let actual = columns.actual(name).unwrap_or(name);
        described.is_some_and(|d| d.columns.iter().any(|c| c.name == actual && c.type_name == "json"))
    };
    let attributes = attributes(snapshot, is_text_json)?;
    let widths = widths(snapshot, &attributes, breakdowns)?;
    let catalog = described.map(|d| d.indexes.as_slice()).filter(|indexes| !indexes.is_empty());
    let index_basis = if catalog.is_some() { Basis::Modelled } else { Basis::Assumed };
    let indexes = match catalog {
        Some(indexes) => catalog_indexes(snapshot, columns, &attributes, &widths, indexes)?,
        None => assumed_indexes(snapshot, &attributes, &widths)?,
    };
    let rows = widths.rows;
    let toast = widths.all.toast as f64;
    let modelled = Parts {
        heap: layout::heap_bytes(rows, widths.all.slot),
        index: indexes.iter().filter_map(|i| i.modelled_bytes).sum::<u64>() as f64,
        toast,
        // Three pages of the free space map for any table of a few MB: less than the model's error.
        maps: 0.0,
    };
    let measured = described.and_then(|d| d.sizes.as_ref());
    let (basis, index_basis, parts) = match measured {
        Some(sizes) => (Basis::Measured, Basis::Measured, Parts::of(sizes)),
        None => (Basis::Modelled, index_basis, modelled),
    };
    let groups = widths.groups.iter().map(|groups| share_out(groups.clone(), &widths, &parts)).collect();
    Ok(Storage { basis, index_basis, parts, modelled, indexes, groups })
}

/// One column of `log`, as the server stores it.
struct Attribute {
    name: String,
    stored: Stored,
    /// DuckDB SQL for the payload's bytes, or for a JSON text; NULL for NULL.
    payload_sql: String,
    /// `payload_sql` is the text of a `jsonb` value, whose bytes only a reader can tell.
    json: bool,
    /// Equal values may share an index item.
    dedup: bool,
    /// Values mostly ascend with insertion.
    ascending: bool,
}

fn attributes(snapshot: &Snapshot, is_text_json: impl Fn(&str) -> bool) -> Result<Vec<Attribute>> {
    let columns = query::GROWTH_COLUMNS.fetch(snapshot.connection(), [], |row| {
        Ok((row.get::<_, String>("column_name")?, row.get::<_, String>("column_type")?))
    })?;
    Ok(columns
        .into_iter()
        .map(|(name, ty)| {
            let ty = if is_text_json(&name) { "VARCHAR" } else { &ty };
            attribute(name, ty)
        })
        .collect())
}

/// How the server stores a column that DuckDB sees as `ty`.
fn attribute(name: String, ty: &str) -> Attribute {
    let column = quote_identifier(&name);
    let fixed =
        |length, align| (Stored::Fixed { length, align }, format!("CASE WHEN {column} IS NOT NULL THEN {length} END"));
    let base = ty.split('(').next().unwrap_or(ty);
    let (stored, payload_sql) = match base {
        _ if ty.ends_with("[]") => (Stored::Varlena, array_payload(&column, &ty[..ty.len() - 2])),
        "BOOLEAN" => fixed(1, 1),
        "TINYINT" | "UTINYINT" | "SMALLINT" => fixed(2, 2),
        "USMALLINT" | "INTEGER" | "DATE" | "FLOAT" | "ENUM" => fixed(4, 4),
        "UUID" => fixed(16, 1),
        "UINTEGER" | "BIGINT" | "DOUBLE" | "TIME" => fixed(8, 8),
        _ if base.starts_with("TIMESTAMP") => fixed(8, 8),
        "INTERVAL" => fixed(16, 8),
        "BLOB" => (Stored::Varlena, format!("octet_length({column})")),
        // numeric: two bytes, and two more for each four digits.
        "DECIMAL" | "HUGEINT" | "UHUGEINT" | "UBIGINT" => {
            (Stored::Varlena, format!("2 + 2 * ((strlen(CAST({column} AS VARCHAR)) + 3) // 4)"))
        }
        "VARCHAR" => (Stored::Varlena, format!("strlen({column})")),
        "JSON" => (Stored::Varlena, format!("CAST({column} AS VARCHAR)")),
        // Nothing PostgreSQL has: its text stands for it.
        _ => (Stored::Varlena, format!("strlen(CAST({column} AS VARCHAR))")),
    };
    let dedup = !(ty.ends_with("[]")
        || ["DECIMAL", "FLOAT", "DOUBLE", "JSON", "INTERVAL", "HUGEINT", "UHUGEINT", "UBIGINT"].contains(&base));
    let json = base == "JSON";
    Attribute { name, stored, payload_sql, json, dedup, ascending: base.starts_with("TIMESTAMP") || base == "DATE" }
}

/// A one-dimensional array: 12 bytes empty, else a 20-byte head and the elements, text ones padded to 4 with their length.
fn array_payload(column: &str, element: &str) -> String {
    let elements = match element.split('(').next().unwrap_or(element) {
        "UUID" | "INTERVAL" => format!("16 * len({column})"),
        "BOOLEAN" => format!("len({column})"),
        "SMALLINT" => format!("2 * len({column})"),
        "INTEGER" | "DATE" | "FLOAT" | "ENUM" => format!("4 * len({column})"),
        "BIGINT" | "DOUBLE" | "TIMESTAMP" | "TIME" => format!("8 * len({column})"),
        _ => {
            format!(
                "list_sum(list_transform({column}, lambda e: (7 + coalesce(strlen(CAST(e AS VARCHAR)), -4)) // 4 * 4))"
            )
        }
    };
    format!("CASE WHEN len({column}) = 0 THEN 12 ELSE 20 + {elements} END")
}

/// Bytes summed over rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    rows: u64,
    slot: u64,
    toast: u64,
}

impl Sums {
    fn add(&mut self, tuple: layout::TupleBytes) {
        self.rows += 1;
        self.slot += u64::from(tuple.slot);
        self.toast += u64::from(tuple.toast);
    }
}

/// Sums by the value grouped by.
#[derive(Debug, Clone, Default)]
struct Breakdown {
    named: Vec<(String, Sums)>,
    /// Value to its place in `named`.
    index: HashMap<String, usize>,
    /// Of the rows whose value is NULL.
    unnamed: Sums,
}

impl Breakdown {
    fn sums(&mut self, key: Option<&str>) -> &mut Sums {
        let Some(key) = key else { return &mut self.unnamed };
        let index = match self.index.get(key) {
            Some(index) => *index,
            // Only a new value allocates: a million rows have a few dozen.
            None => {
                self.index.insert(key.to_owned(), self.named.len());
                self.named.push((key.to_owned(), Sums::default()));
                self.named.len() - 1
            }
        };
        &mut self.named[index].1
    }

    fn into_groups(self) -> impl Iterator<Item = (Option<String>, Sums)> {
        let named = self.named.into_iter().map(|(name, sums)| (Some(name), sums));
        named.chain((self.unnamed.rows > 0).then_some((None, self.unnamed)))
    }
}

/// The layout model's answer over all rows.
struct Widths {
    rows: u64,
    all: Sums,
    /// For each breakdown, sums by value.
    groups: Vec<Breakdown>,
    /// For each attribute, values that aren't NULL and their payload bytes.
    filled: Vec<(u64, u64)>,
}

/// Runs the layout model over every row. The payload lengths come out of the engine column by column, batch by batch.
fn widths(snapshot: &Snapshot, attributes: &[Attribute], breakdowns: &[String]) -> Result<Widths> {
    let mut selected: Vec<String> = breakdowns.iter().map(|b| format!("CAST({b} AS VARCHAR)")).collect();
    selected.extend(
        attributes
            .iter()
            .map(|a| if a.json { a.payload_sql.clone() } else { format!("CAST({} AS INTEGER)", a.payload_sql) }),
    );
    // Column names come from the user's table, so this text can't be a file; they are quoted, and nothing else is pasted.
    let sql = format!("SELECT {} FROM log", selected.join(", "));
    let stored: Vec<Stored> = attributes.iter().map(|a| a.stored).collect();
    let mut widths = Widths {
        rows: 0,
        all: Sums::default(),
        groups: vec![Breakdown::default(); breakdowns.len()],
        filled: vec![(0, 0); attributes.len()],
    };
    let mut run = || -> Result<()> {
        let mut statement = snapshot.connection().prepare(&sql)?;
        for batch in statement.stream_arrow([])? {
            add_batch(&mut widths, &stored, &batch?)?;
        }
        Ok(())
    };
    run().context("reading the length of every value")?;
    Ok(widths)
}

fn add_batch(widths: &mut Widths, stored: &[Stored], batch: &RecordBatch) -> Result<()> {
    let breakdowns = widths.groups.len();
    let keys: Vec<&StringArray> = (0..breakdowns).map(|i| downcast(batch, i)).collect::<Result<_>>()?;
    let lengths: Vec<Lengths<'_>> =
        (breakdowns..batch.num_columns()).map(|i| Lengths::of(batch, i)).collect::<Result<_>>()?;
    let mut payloads = vec![None; stored.len()];
    // A fixed-length column without a NULL in this batch is the same for each of its rows.
    let mut varying = Vec::new();
    for (index, column) in lengths.iter().enumerate() {
        match stored[index] {
            Stored::Fixed { length, .. } if column.null_count() == 0 => {
                payloads[index] = Some(length);
                widths.filled[index].0 += batch.num_rows() as u64;
                widths.filled[index].1 += u64::from(length) * batch.num_rows() as u64;
            }
            _ => varying.push((index, column)),
        }
    }
    for row in 0..batch.num_rows() {
        for (index, column) in &varying {
            payloads[*index] = column.at(row);
            if let Some(bytes) = payloads[*index] {
                widths.filled[*index].0 += 1;
                widths.filled[*index].1 += u64::from(bytes);
            }
        }
        let tuple = layout::tuple(stored, &payloads);
        widths.rows += 1;
        widths.all.add(tuple);
        for (groups, column) in widths.groups.iter_mut().zip(&keys) {
            let key = column.is_valid(row).then(|| column.value(row));
            groups.sums(key).add(tuple);
        }
    }
    Ok(())
}

/// A column of payload lengths, or of JSON texts to be measured.
enum Lengths<'a> {
    Known(&'a Int32Array),
    Json(&'a StringArray),
}

impl<'a> Lengths<'a> {
    fn of(batch: &'a RecordBatch, index: usize) -> Result<Self> {
        match batch.column(index).as_any().downcast_ref() {
            Some(lengths) => Ok(Lengths::Known(lengths)),
            None => Ok(Lengths::Json(downcast(batch, index)?)),
        }
    }

    fn null_count(&self) -> usize {
        match self {
            Lengths::Known(lengths) => lengths.null_count(),
            Lengths::Json(texts) => texts.null_count(),
        }
    }

    fn at(&self, row: usize) -> Option<u32> {
        match self {
            Lengths::Known(lengths) => lengths.is_valid(row).then(|| lengths.value(row).unsigned_abs()),
            Lengths::Json(texts) => texts.is_valid(row).then(|| jsonb::payload_bytes(texts.value(row))),
        }
    }
}

fn downcast<T: 'static>(batch: &RecordBatch, index: usize) -> Result<&T> {
    let column = batch.column(index);
    column
        .as_any()
        .downcast_ref()
        .ok_or_else(|| anyhow!("the engine returned column {index} as {}", column.data_type()))
}

/// Splits the table's bytes over the groups: heap and TOAST by modelled width, indexes and maps by rows.
fn share_out(groups: Breakdown, widths: &Widths, parts: &Parts) -> Vec<Group> {
    let share = |of: u64, all: u64| if all == 0 { 0.0 } else { of as f64 / all as f64 };
    let mut shared: Vec<(Group, f64)> = groups
        .into_groups()
        .map(|(name, sums)| {
            let by_rows = share(sums.rows, widths.rows);
            let by_slot = share(sums.slot, widths.all.slot);
            // A table with a TOAST relation but no value the model would move out: spread like the heap.
            let by_toast = if widths.all.toast == 0 { by_slot } else { share(sums.toast, widths.all.toast) };
            let bytes = parts.heap * by_slot + parts.toast * by_toast + (parts.index + parts.maps) * by_rows;
            (Group { name, rows: sums.rows, size_bytes: bytes.floor() as u64 }, bytes.fract())
        })
        .collect();
    // Largest remainder: whole bytes that sum to the total.
    shared.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.name.cmp(&b.0.name)));
    let floors: u64 = shared.iter().map(|(group, _)| group.size_bytes).sum();
    let missing = (parts.total().round() as u64).saturating_sub(floors) as usize;
    for (group, _) in shared.iter_mut().take(missing) {
        group.size_bytes += 1;
    }
    let mut groups: Vec<Group> = shared.into_iter().map(|(group, _)| group).collect();
    groups.sort_by(|a, b| b.size_bytes.cmp(&a.size_bytes).then_with(|| a.name.cmp(&b.name)));
    groups
}

fn catalog_indexes(
    snapshot: &Snapshot,
    columns: &LogColumns,
    attributes: &[Attribute],
    widths: &Widths,
    indexes: &[Index],
) -> Result<Vec<ModelledIndex>> {
    let keys: Vec<Option<Vec<usize>>> = indexes.iter().map(|index| key_columns(index, columns, attributes)).collect();
    let sizes = index_bytes(snapshot, attributes, widths, &keys)?;
    Ok(indexes
        .iter()
        .zip(sizes)
        .map(|(index, modelled_bytes)| ModelledIndex {
            name: index.name.clone(),
            modelled_bytes,
            measured_bytes: index.size_bytes,
        })
        .collect())
}

fn assumed_indexes(snapshot: &Snapshot, attributes: &[Attribute], widths: &Widths) -> Result<Vec<ModelledIndex>> {
    let position = |name: &str| attributes.iter().position(|a| a.name == name);
    let known: Vec<(String, Vec<usize>)> = USUAL_INDEXES
        .iter()
        .filter_map(|names| {
            let key: Option<Vec<usize>> = names.iter().map(|n| position(n)).collect();
            key.map(|key| (format!("({})", names.join(", ")), key))
        })
        .collect();
    let keys: Vec<Option<Vec<usize>>> = known.iter().map(|(_, key)| Some(key.clone())).collect();
    let sizes = index_bytes(snapshot, attributes, widths, &keys)?;
    Ok(known
        .into_iter()
        .zip(sizes)
        .map(|((name, _), modelled_bytes)| ModelledIndex { name, modelled_bytes, measured_bytes: None })
        .collect())
}

/// The attributes an index is over; `None` for what the closed formulas don't cover.
fn key_columns(index: &Index, columns: &LogColumns, attributes: &[Attribute]) -> Option<Vec<usize>> {
    use pg_query::NodeEnum;
    if index.method != "btree" {
        return None;
    }
    let parsed = pg_query::parse(&index.definition, pg_query::ParserOptions::default()).ok()?;
    let statement = parsed.protobuf.stmts.first()?.stmt.as_ref()?.node.as_ref()?;
    let NodeEnum::IndexStmt(statement) = statement else { return None };
    if statement.where_clause.is_some() {
        return None;
    }
    statement
        .index_params
        .iter()
        .chain(&statement.index_including_params)
        .map(|param| {
            let Some(NodeEnum::IndexElem(element)) = param.node.as_ref() else { return None };
            // The index names the table's own columns, `log` the canonical ones.
            attributes.iter().position(|a| columns.actual(&a.name).unwrap_or(&a.name) == element.name)
        })
        .collect()
}

/// Sizes of indexes over these keys; one pass over the rows counts the distinct keys of all (approximately: HyperLogLog).
fn index_bytes(
    snapshot: &Snapshot,
    attributes: &[Attribute],
    widths: &Widths,
    keys: &[Option<Vec<usize>>],
) -> Result<Vec<Option<u64>>> {
    let counted: Vec<String> = keys
        .iter()
        .flatten()
        .map(|key| {
            let names: Vec<String> = key.iter().map(|i| quote_identifier(&attributes[*i].name)).collect();
            format!("approx_count_distinct(hash({}))", names.join(", "))
        })
        .collect();
    if counted.is_empty() {
        return Ok(vec![None; keys.len()]);
    }
    // As in `widths`: the columns are the user's.
    let sql = format!("SELECT [{}]::BIGINT[] AS distinct_keys FROM log", counted.join(", "));
    let value: duckdb::types::Value = snapshot
        .connection()
        .query_row(&sql, [], |row| row.get("distinct_keys"))
        .context("counting the distinct keys of the indexes")?;
    let duckdb::types::Value::List(distinct) = value else {
        return Err(anyhow!("the engine didn't return a list of counts"));
    };
    let mut distinct = distinct.into_iter().map(|v| match v {
        duckdb::types::Value::BigInt(n) => n as f64,
        _ => 1.0,
    });
    let rows = widths.rows as f64;
    Ok(keys
        .iter()
        .map(|key| {
            let columns = key.as_ref()?.iter().map(|i| key_column(&attributes[*i], widths.filled[*i], rows)).collect();
            let shape = IndexShape { columns, rows, distinct_keys: distinct.next().unwrap_or(1.0) };
            Some(btree::bytes(&shape).round() as u64)
        })
        .collect())
}

fn key_column(attribute: &Attribute, (filled, payload_bytes): (u64, u64), rows: f64) -> KeyColumn {
    KeyColumn {
        storage: attribute.stored,
        mean_payload_bytes: if filled == 0 { 0.0 } else { payload_bytes as f64 / filled as f64 },
        null_share: 1.0 - filled as f64 / rows.max(1.0),
        dedup: attribute.dedup,
        ascending: attribute.ascending,
    }
}
