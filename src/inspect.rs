//! Inspect: what does this snapshot hold, and is it intact?
//!
//! Input: an opened snapshot, whose file hashes were proven on opening. Output: the certificate, the schema, the sizes, and what was
//! proven by reading every value again: rows, content hash, NULLs, extremes, keys. Invariant: whatever differs from the manifest is
//! an error, not a finding.

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use serde_json::Value;

use crate::query::quote_identifier;
use crate::report::{Block, Cell, Finding, Report, Table, View};
use crate::snapshot::certificate::{Content, Plan};
use crate::snapshot::manifest::{self, LedgerEntry, Manifest, RelationSizes, Source};
use crate::snapshot::{OpenTable, Snapshot};
use crate::ui::hinted;

/// The certificate of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InspectReport {
    /// The content's name.
    pub id: String,
    /// Files whose hash was compared with the manifest's; 0 for bare Parquet, which has none.
    pub proven_files: u64,
    /// The tables, in the manifest's order.
    pub tables: Vec<InspectedTable>,
    /// The whole manifest; absent for bare Parquet.
    pub manifest: Option<Manifest>,
}

/// One table of the certificate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InspectedTable {
    /// Its name.
    pub table: String,
    /// Rows counted by reading the files.
    pub rows: u64,
    /// Bytes of its Parquet files.
    pub file_bytes: u64,
    /// Bytes on the server at export, where known.
    pub server_bytes: Option<RelationSizes>,
    /// What the rows hold, read again and equal to the certificate; absent where there is none.
    pub content: Option<Content>,
    /// Columns in order.
    pub columns: Vec<InspectedColumn>,
}

/// One column of the certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InspectedColumn {
    /// Its name.
    pub name: String,
    /// PostgreSQL's type, or DuckDB's for bare Parquet.
    #[serde(rename = "type")]
    pub type_name: String,
    /// NOT NULL held on the server; absent for bare Parquet.
    pub not_null: Option<bool>,
}

/// Counts every table's rows and gathers the certificate.
///
/// # Errors
/// When a file can't be read to its end, or holds anything else than its footer or the manifest says: all that differs is named.
pub fn analyze(snapshot: &Snapshot) -> Result<InspectReport> {
    let mut tables = Vec::new();
    let mut differences = Vec::new();
    for table in &snapshot.tables {
        let sql = format!(
            "SELECT count(*) FROM (SELECT COLUMNS(*)::VARCHAR FROM {}) AS every_column",
            quote_identifier(&table.name)
        );
        let rows: i64 = snapshot
            .connection()
            .query_row(&sql, [], |row| row.get(0))
            .with_context(|| format!("reading table {} of {} to its end", table.name, snapshot.source))?;
        if rows.unsigned_abs() != table.rows {
            bail!("table {} has {rows} rows, and its files' footers say {}", table.name, table.rows);
        }
        let described = snapshot.manifest.as_ref().and_then(|m| m.tables.iter().find(|t| t.name == table.name));
        let content = prove(snapshot, table, described, &mut differences)?;
        tables.push(InspectedTable {
            table: table.name.clone(),
            rows: table.rows,
            file_bytes: table.file_bytes,
            server_bytes: described.and_then(|d| d.sizes),
            content,
            columns: match described {
                Some(described) => described
                    .columns
                    .iter()
                    .map(|c| InspectedColumn {
                        name: c.name.clone(),
                        type_name: c.type_name.clone(),
                        not_null: Some(c.not_null),
                    })
                    .collect(),
                None => table
                    .columns
                    .iter()
                    .map(|(name, ty)| InspectedColumn { name: name.clone(), type_name: ty.clone(), not_null: None })
                    .collect(),
            },
        });
    }
    if !differences.is_empty() {
        let error = anyhow!("{} isn't what its certificate says: {}", snapshot.source, differences.join("; "));
        return Err(hinted(error, "the manifest or the files were changed: export again"));
    }
    let manifest = snapshot.manifest.clone();
    let proven_files = manifest.as_ref().map_or(0, |m| m.tables.iter().map(|t| t.files.len() as u64).sum());
    Ok(InspectReport { id: snapshot.id.clone(), proven_files, tables, manifest })
}

/// Reads a table's files again and holds them against its certificate, where it has one.
fn prove(
    snapshot: &Snapshot,
    table: &OpenTable,
    described: Option<&manifest::Table>,
    differences: &mut Vec<String>,
) -> Result<Option<Content>> {
    let (Some(manifest), Some(described)) = (&snapshot.manifest, described) else { return Ok(None) };
    let Some(said) = &described.content else { return Ok(None) };
    let plan = Plan::new(described, &described.types(&manifest.enum_labels()));
    let found = plan.read(&table.files).with_context(|| format!("proving table {}", table.name))?;
    let found_differences = said.differences(&found);
    differences.extend(found_differences.into_iter().map(|what| format!("in table {}, {what}", table.name)));
    Ok(Some(found))
}

/// The certificates of tables, where there are any.
pub fn certificate_table<'a>(contents: impl Iterator<Item = (&'a String, &'a Content)>) -> Option<Block> {
    let mut certificate = Table::new("Certificate", &["table", "rows", "content hash", "unique keys"]);
    for (table, content) in contents {
        let named = |key: &crate::snapshot::certificate::KeyContent| match key.unique {
            Some(true) => key.name.clone(),
            Some(false) => format!("{} (not unique)", key.name),
            None => format!("{} (left to inspect)", key.name),
        };
        let keys: Vec<String> = content.keys.iter().map(named).collect();
        certificate.push(vec![
            table.as_str().into(),
            content.rows.into(),
            content.hash.as_str().into(),
            keys.join(", ").as_str().into(),
        ]);
    }
    (!certificate.rows.is_empty()).then_some(Block::Table(certificate))
}

/// The ledger, where there is something in it.
pub fn ledger_table<'a>(entries: impl Iterator<Item = (&'a String, &'a LedgerEntry)>) -> Option<Block> {
    let mut ledger = Table::new("Not carried in a type of their own", &["column", "type", "values", "rule"]);
    for (table, entry) in entries {
        ledger.push(vec![
            format!("{table}.{}", entry.column).into(),
            entry.type_name.as_str().into(),
            entry.values.into(),
            entry.rule.as_str().into(),
        ]);
    }
    (!ledger.rows.is_empty()).then_some(Block::Table(ledger))
}

impl Report for InspectReport {
    fn name(&self) -> &'static str {
        "inspect"
    }

    fn findings(&self) -> &[Finding] {
        &[]
    }

    fn result(&self) -> Result<Value> {
        Ok(serde_json::to_value(self)?)
    }

    fn view(&self) -> View {
        let rows: u64 = self.tables.iter().map(|t| t.rows).sum();
        let proven = if self.manifest.is_some() {
            format!(
                "intact: {} file(s) have the hashes and all {} rows the manifest vouches for{}",
                self.proven_files,
                crate::render::count(rows),
                if self.tables.iter().any(|table| table.content.is_some()) {
                    "; read again, their content hash, NULLs, least and greatest values and keys are those of the certificate"
                } else {
                    ""
                }
            )
        } else {
            format!(
                "readable: all {} rows; without a manifest there is nothing to compare them with",
                crate::render::count(rows)
            )
        };
        let mut blocks = Vec::new();
        if let Some(manifest) = &self.manifest {
            blocks.push(Block::Facts(source_facts(manifest)));
        }
        let mut sizes =
            Table::new("Tables", &["table", "rows", "Parquet", "heap", "indexes", "TOAST", "on the server"]);
        for table in &self.tables {
            let part =
                |of: fn(&RelationSizes) -> u64| table.server_bytes.as_ref().map_or(Cell::Empty, |s| Cell::Bytes(of(s)));
            sizes.push(vec![
                table.table.as_str().into(),
                table.rows.into(),
                Cell::Bytes(table.file_bytes),
                part(|s| s.heap_bytes),
                part(|s| s.index_bytes),
                part(|s| s.toast_bytes),
                part(|s| s.total_bytes),
            ]);
        }
        blocks.push(Block::Table(sizes));
        blocks.extend(certificate_table(self.tables.iter().filter_map(|t| Some((&t.table, t.content.as_ref()?)))));
        blocks.extend(self.manifest.as_ref().and_then(physical_table));
        let described = self.manifest.iter().flat_map(|manifest| &manifest.tables);
        let ledger = described.flat_map(|table| table.ledger.iter().map(move |entry| (&table.name, entry)));
        blocks.extend(ledger_table(ledger));
        for table in &self.tables {
            blocks.push(columns_table(table));
            blocks.extend(self.catalog_blocks(&table.table));
        }
        View { title: format!("Snapshot {}", self.id), headline: vec![proven], blocks }
    }
}

/// The columns, with what they hold where that was proven.
fn columns_table(table: &InspectedTable) -> Block {
    let held = table.content.as_ref().map(|content| &content.columns);
    let mut heads = vec!["column", "type", "not null"];
    if held.is_some() {
        heads.extend(["NULLs", "least", "greatest"]);
    }
    let mut columns = Table::new(format!("Columns of {}", table.table), &heads);
    for (place, column) in table.columns.iter().enumerate() {
        let mut cells = vec![
            column.name.as_str().into(),
            column.type_name.as_str().into(),
            column.not_null.map_or(Cell::Empty, Cell::Flag),
        ];
        if let Some(held) = held.and_then(|held| held.get(place)) {
            cells.push(held.nulls.into());
            cells.extend([&held.min, &held.max].map(|value| value.as_deref().map_or(Cell::Empty, shortened)));
        }
        columns.push(cells);
    }
    Block::Table(columns)
}

/// A value in a narrow column.
fn shortened(value: &str) -> Cell {
    const LONGEST: usize = 28;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = value.chars().take(LONGEST).map(plain).collect();
    Cell::Text(if value.chars().count() > LONGEST { text + "…" } else { text })
}

impl InspectReport {
    /// Keys, constraints and indexes of a table, where the manifest has them.
    fn catalog_blocks(&self, table: &str) -> Vec<Block> {
        let Some(described) = self.manifest.as_ref().and_then(|m| m.tables.iter().find(|t| t.name == table)) else {
            return vec![];
        };
        let mut blocks = Vec::new();
        if !described.storage_columns.is_empty() {
            let names: Vec<&str> = described.storage_columns.iter().map(|column| column.column.as_str()).collect();
            blocks.push(Block::Note(format!(
                "The files of {table} also hold how the server stored each row: {}.",
                names.join(", ")
            )));
        }
        if !described.constraints.is_empty() {
            let mut content = Table::new(format!("Constraints of {table}"), &["constraint", "kind", "definition"]);
            for c in &described.constraints {
                content.push(vec![c.name.as_str().into(), c.kind.as_str().into(), c.definition.as_str().into()]);
            }
            blocks.push(Block::Table(content));
        }
        if !described.indexes.is_empty() {
            let mut content = Table::new(format!("Indexes of {table}"), &["index", "size", "definition"]);
            for i in &described.indexes {
                let size = i.size_bytes.map_or(Cell::Empty, Cell::Bytes);
                content.push(vec![i.name.as_str().into(), size, i.definition.as_str().into()]);
            }
            blocks.push(Block::Table(content));
        }
        blocks
    }
}

fn source_facts(manifest: &Manifest) -> Vec<(String, Cell)> {
    let mut facts: Vec<(&str, Cell)> = vec![("captured at", manifest.captured_at.as_str().into())];
    match &manifest.source {
        Source::Synthetic { description } => facts.push(("synthetic", description.as_str().into())),
        Source::Empty => facts.push(("empty", "a database without tables".into())),
        Source::Postgres(server) => {
            facts.extend([
                ("source", Cell::from(server.location.as_str())),
                (
                    "server",
                    format!("PostgreSQL {}{}", server.version, if server.in_recovery { ", standby" } else { "" })
                        .into(),
                ),
                ("server snapshot", server.snapshot.as_str().into()),
                ("LSN", server.lsn.clone().map_or_else(|| Cell::from("not readable by this role"), Cell::Text)),
                (
                    "encoding, collation",
                    format!("{}, {}", server.encoding, server.collation.as_deref().unwrap_or("unknown")).into(),
                ),
                ("time zone", server.time_zone.as_str().into()),
            ]);
            facts.extend(run_facts(server));
        }
    }
    facts.push((
        "written by",
        format!("rehearsal {}, layout {}", manifest.tool_version, manifest.format_version).into(),
    ));
    facts.into_iter().map(|(label, value)| (label.to_owned(), value)).collect()
}

/// How long the export held the server's horizon back, where it is known.
pub fn run_facts(server: &manifest::Server) -> Vec<(&'static str, Cell)> {
    let Some(run) = &server.run else { return vec![] };
    let transactions = match run.horizon_held_transactions {
        Some(1) => ", 1 transaction".to_owned(),
        Some(n) => format!(", {} transactions", crate::render::count(n)),
        None => String::new(),
    };
    vec![
        ("read until", run.ended_at.as_str().into()),
        ("horizon held", format!("{:.1} s{transactions}", run.horizon_held_ms as f64 / 1000.0).into()),
    ]
}

/// How the tables lay on the server's disk, where the manifest says.
fn physical_table(manifest: &Manifest) -> Option<Block> {
    let mut content = Table::new(
        "On the server's disk, in pages",
        &["relation", "heap", "TOAST", "indexes", "live rows", "dead", "updates", "HOT", "options"],
    );
    for relation in manifest.tables.iter().flat_map(|t| t.physical.iter().flat_map(|p| p.relations())) {
        let of = |count: fn(&crate::snapshot::physical::Activity) -> i64| {
            relation.activity.as_ref().map_or(Cell::Empty, |activity| count(activity).unsigned_abs().into())
        };
        content.push(vec![
            format!("{}.{}", relation.schema, relation.name).into(),
            relation.heap_pages.into(),
            relation.toast.as_ref().map_or(Cell::Empty, |toast| (toast.pages + toast.index_pages).into()),
            relation.indexes.iter().map(|index| index.pages).sum::<u64>().into(),
            of(|a| a.live_tuples),
            of(|a| a.dead_tuples),
            of(|a| a.updated_tuples),
            of(|a| a.hot_updated_tuples),
            relation.options.join(", ").as_str().into(),
        ]);
    }
    (!content.rows.is_empty()).then_some(Block::Table(content))
}
