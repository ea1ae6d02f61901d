//! What an export says: the tables, what was proven of them, and what the server gave for how long.
//!
//! Input: the manifest of a published snapshot. Output: the report of the command. Left out: how the rows came.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::inspect;
use crate::report::{Block, Cell, Finding, Report, SnapshotRef, Table, View};
use crate::snapshot::certificate::Content;
use crate::snapshot::manifest::{self, LedgerEntry, Manifest, RelationSizes};
use crate::snapshot::part::{MaskedColumn, Part};

/// What was exported.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportReport {
    /// The snapshot folder.
    pub path: String,
    /// The content's name.
    pub id: String,
    /// When the server's snapshot was taken (RFC 3339, UTC).
    pub captured_at: String,
    /// The server and its snapshot.
    pub server: manifest::Server,
    /// The tables, in the order asked for.
    pub tables: Vec<ExportedTable>,
    /// Rows of all tables.
    pub rows: u64,
    /// Bytes of all Parquet files.
    pub file_bytes: u64,
    /// Time from connecting to the finished snapshot.
    pub elapsed_ms: u64,
    /// Connections that read.
    pub connections: u64,
    /// Bytes that the server sent.
    pub received_bytes: u64,
    /// Why there weren't more, or why a table was read over one: whole sentences.
    pub notes: Vec<String>,
}

/// One table of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedTable {
    /// Schema on the server.
    pub schema: String,
    /// Name on the server.
    pub table: String,
    /// Rows, counted by the server and written here.
    pub rows: u64,
    /// Columns.
    pub columns: u64,
    /// Bytes of its Parquet file.
    pub file_bytes: u64,
    /// Bytes on the server; absent for views.
    pub server_bytes: Option<RelationSizes>,
    /// Columns whose values aren't carried in a type of their own.
    pub ledger: Vec<LedgerEntry>,
    /// Which part of the server's table was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// Columns and paths whose values were masked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masked: Vec<MaskedColumn>,
    /// What the rows hold.
    pub content: Option<Content>,
}

impl ExportReport {
    pub(super) fn new(path: String, manifest: Manifest, server: manifest::Server) -> ExportReport {
        let tables: Vec<ExportedTable> = manifest
            .tables
            .iter()
            .map(|t| ExportedTable {
                schema: t.schema.clone(),
                table: t.name.clone(),
                rows: t.rows,
                columns: t.columns.len() as u64,
                file_bytes: t.files.iter().map(|f| f.size_bytes).sum(),
                server_bytes: t.sizes,
                ledger: t.ledger.clone(),
                part: t.part.clone(),
                masked: t.masked.clone(),
                content: t.content.clone(),
            })
            .collect();
        ExportReport {
            path,
            id: manifest.id,
            captured_at: manifest.captured_at,
            server,
            rows: tables.iter().map(|t| t.rows).sum(),
            file_bytes: tables.iter().map(|t| t.file_bytes).sum(),
            tables,
            elapsed_ms: 0,
            connections: 1,
            received_bytes: 0,
            notes: Vec::new(),
        }
    }

    /// Bytes from the server, and what that is a second.
    fn speed(&self) -> String {
        let seconds = (self.elapsed_ms.max(1)) as f64 / 1000.0;
        let (bytes, rows) = (self.received_bytes as f64 / seconds, self.rows as f64 / seconds);
        format!(
            "{} of binary COPY, {} and {} rows a second",
            crate::render::bytes(self.received_bytes),
            crate::render::bytes(bytes as u64),
            crate::render::count(rows as u64)
        )
    }

    /// The envelope's `snapshot` object.
    pub fn reference(&self) -> SnapshotRef {
        SnapshotRef {
            id: self.id.clone(),
            table: if let [only] = self.tables.as_slice() { Some(only.table.clone()) } else { None },
            rows: self.rows,
            captured_at: Some(self.captured_at.clone()),
            synthetic: false,
        }
    }
}

impl Report for ExportReport {
    fn name(&self) -> &'static str {
        "export"
    }

    fn findings(&self) -> &[Finding] {
        &[]
    }

    fn result(&self) -> Result<Value> {
        Ok(serde_json::to_value(self)?)
    }

    fn view(&self) -> View {
        let what = match self.tables.as_slice() {
            [only] => only.table.clone(),
            tables => format!("{} tables", tables.len()),
        };
        let rows =
            if self.rows == 1 { "1 row".to_owned() } else { format!("{} rows", crate::render::count(self.rows)) };
        let elapsed = match self.elapsed_ms {
            ms @ 0..1000 => format!("{ms} ms"),
            ms => format!("{:.1} s", ms as f64 / 1000.0),
        };
        let headline = format!(
            "Exported {rows} of {what} to {} ({}) in {elapsed}; the server counts as many in the same snapshot.",
            self.path,
            crate::render::bytes(self.file_bytes),
        );
        let server = &self.server;
        let standby = if server.in_recovery { ", standby" } else { "" };
        let mut facts: Vec<(&str, Cell)> = vec![
            ("source", server.location.as_str().into()),
            ("server", format!("PostgreSQL {}{standby}", server.version).into()),
            ("captured at", self.captured_at.as_str().into()),
            ("server snapshot", server.snapshot.as_str().into()),
            ("LSN", server.lsn.clone().map_or_else(|| "not readable by this role".into(), Cell::Text)),
            ("snapshot id", self.id.as_str().into()),
            ("connections", self.connections.into()),
            ("read", self.speed().into()),
        ];
        facts.extend(inspect::run_facts(server));
        let mut tables = Table::new("Tables", &["table", "rows", "columns", "Parquet", "on the server"]);
        for table in &self.tables {
            tables.push(vec![
                format!("{}.{}", table.schema, table.table).into(),
                table.rows.into(),
                table.columns.into(),
                Cell::Bytes(table.file_bytes),
                table.server_bytes.map_or(Cell::Empty, |s| Cell::Bytes(s.total_bytes)),
            ]);
        }
        let facts = facts.into_iter().map(|(label, cell)| (label.to_owned(), cell)).collect();
        let mut blocks = vec![Block::Facts(facts), Block::Table(tables)];
        let contents = self.tables.iter().filter_map(|table| Some((&table.table, table.content.as_ref()?)));
        blocks.extend(inspect::certificate_table(contents));
        let ledger = self.tables.iter().flat_map(|table| table.ledger.iter().map(move |entry| (&table.table, entry)));
        blocks.extend(inspect::ledger_table(ledger));
        blocks
            .extend(inspect::part_blocks(self.tables.iter().map(|t| (&t.table, t.part.as_ref(), t.masked.as_slice()))));
        blocks.extend(self.notes.iter().cloned().map(Block::Note));
        blocks.push(Block::Note(format!("Look at it with `rehearsal inspect {}`.", self.path)));
        View { title: format!("Export {}", self.id), headline: vec![headline], blocks }
    }
}
