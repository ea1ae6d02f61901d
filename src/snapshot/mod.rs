//! Snapshots: what they are on disk, and how they are opened in DuckDB.
//!
//! Input: the built-in `demo`, a snapshot folder, or bare Parquet (a file, a folder or a glob). Output: [`Snapshot`], an
//! in-memory DuckDB with a view per table. Invariants: files are proven against the manifest's hashes before anything is read
//! from them; the engine never downloads an extension; nothing writes to a snapshot. Left out: what the rows mean.

pub mod certificate;
pub mod chunk;
pub mod digest;
pub mod extremes;
pub mod groups;
pub mod manifest;
pub mod part;
pub mod physical;
pub mod types;
pub mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail};
use duckdb::Connection;
use rayon::prelude::*;
use tempfile::TempDir;

use crate::query::{quote_identifier, quote_literal};
use crate::report::SnapshotRef;
use crate::staging::Staged;
use crate::ui::{self, HintExt, hinted};
use manifest::{DataFile, Manifest};
use writer::hash_file;

/// The word that names the built-in snapshot.
pub const DEMO: &str = "demo";
/// The word that names a database without tables, where a whole history is rehearsed.
pub const EMPTY: &str = "empty";
/// What `now()` gives in an empty database: a run says the same whenever it is made.
const EMPTY_NOW: &str = "2026-01-01T00:00:00Z";

const DEMO_MANIFEST: &str = include_str!("../../fixtures/demo/manifest.json");
const DEMO_ROWS: &[u8] = include_bytes!("../../fixtures/demo/llama_logs.parquet");

/// How to run the engine.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Threads; all cores where absent.
    pub threads: Option<usize>,
    /// DuckDB's memory limit (`2GB`, `80%`); its own default where absent.
    pub memory_limit: Option<String>,
}

/// An opened snapshot.
pub struct Snapshot {
    /// What the user wrote.
    pub source: String,
    /// Everything the manifest says; absent for bare Parquet files.
    pub manifest: Option<Manifest>,
    /// Identifies the content: derived from the files' hashes.
    pub id: String,
    /// The tables, each a view of the same name in DuckDB.
    pub tables: Vec<OpenTable>,
    connection: Connection,
    /// Keeps the demo's files while it is open.
    _unpacked: Option<TempDir>,
}

/// A table of an opened snapshot.
#[derive(Debug, Clone)]
pub struct OpenTable {
    /// Its name.
    pub name: String,
    /// Rows, as the files' footers say.
    pub rows: u64,
    /// Bytes of its Parquet files.
    pub file_bytes: u64,
    /// Columns in order, with DuckDB's type.
    pub columns: Vec<(String, String)>,
    /// Its Parquet files.
    pub files: Vec<PathBuf>,
}

impl OpenTable {
    /// Does the table have this column, in exactly this case?
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|(name, _)| name == column)
    }
}

/// Which of the canonical columns the view `log` has.
#[derive(Debug, Clone)]
pub struct LogColumns {
    /// (canonical, actual), in the table's order.
    names: Vec<(String, String)>,
}

impl LogColumns {
    /// Is the canonical column there?
    pub fn has(&self, column: &str) -> bool {
        self.names.iter().any(|(canonical, _)| canonical == column)
    }

    /// The canonical names, in the table's order.
    pub fn names(&self) -> Vec<&str> {
        self.names.iter().map(|(canonical, _)| canonical.as_str()).collect()
    }

    /// The table's own name of a canonical column.
    pub fn actual(&self, column: &str) -> Option<&str> {
        self.names.iter().find(|(canonical, _)| canonical == column).map(|(_, actual)| actual.as_str())
    }
}

impl Snapshot {
    /// Opens `source`: `demo`, a snapshot folder, a Parquet file, or a folder or glob of Parquet files.
    ///
    /// # Errors
    /// Nothing there, not a snapshot, a file that is truncated, changed or not Parquet: each named, with the way out.
    pub fn open(source: &str, options: &EngineOptions) -> Result<Snapshot> {
        // A folder of that name is reached as ./demo.
        if source == DEMO {
            return open_demo(options);
        }
        let path = Path::new(source);
        if path.is_dir() {
            if path.join(manifest::FILE_NAME).is_file() {
                return open_folder(source, path, options, None);
            }
            let files = parquet_files_in(path)?;
            if files.is_empty() {
                return Err(hinted(
                    anyhow!("{source} isn't a snapshot: it has no {} and no .parquet file", manifest::FILE_NAME),
                    "make one with `rehearsal export`, or try `demo`, the built-in snapshot",
                ));
            }
            return open_bare(source, files, options);
        }
        if path.is_file() {
            return open_bare(source, vec![path.to_owned()], options);
        }
        if source.contains(['*', '?', '[']) {
            let files = glob_files(source)?;
            if files.is_empty() {
                bail!("no file matches {source}");
            }
            return open_bare(source, files, options);
        }
        Err(hinted(
            anyhow!("{source} doesn't exist"),
            "name a snapshot folder, a Parquet file, a glob of them, or `demo`, the built-in snapshot",
        ))
    }

    /// An empty database as PostgreSQL 15 makes it: the schema `public`, UTF-8, text in the order of its bytes, UTC.
    ///
    /// # Errors
    /// When the engine can't be started.
    pub fn empty(options: &EngineOptions) -> Result<Snapshot> {
        let manifest = Manifest {
            format_version: manifest::FORMAT_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            id: EMPTY.to_owned(),
            captured_at: EMPTY_NOW.to_owned(),
            source: manifest::Source::Empty,
            enums: Vec::new(),
            masking: None,
            tables: Vec::new(),
        };
        Ok(Snapshot {
            source: EMPTY.to_owned(),
            id: manifest.id.clone(),
            manifest: Some(manifest),
            tables: Vec::new(),
            connection: engine(options)?,
            _unpacked: None,
        })
    }

    /// Is this the empty database?
    pub fn is_empty(&self) -> bool {
        self.manifest.as_ref().is_some_and(|m| m.source == manifest::Source::Empty)
    }

    /// The engine. Tables are views; analyses read the view `log` after [`Snapshot::open_log`].
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The table to analyse: the one named, else the only one, else `llama_logs` or `enrichment_logs`.
    ///
    /// # Errors
    /// Unknown name (with the nearest ones), or several tables and none named.
    pub fn table(&self, name: Option<&str>) -> Result<&OpenTable> {
        let names: Vec<&str> = self.tables.iter().map(|t| t.name.as_str()).collect();
        if let Some(name) = name {
            return self.tables.iter().find(|t| t.name == name).ok_or_else(|| {
                let error = anyhow!("table {name} isn't in {}", self.source);
                hinted(error, suggestion(name, &names).unwrap_or_else(|| format!("it holds {}", names.join(", "))))
            });
        }
        match self.tables.as_slice() {
            [only] => Ok(only),
            tables => {
                tables.iter().find(|t| ["llama_logs", "enrichment_logs"].contains(&t.name.as_str())).ok_or_else(|| {
                    hinted(
                        anyhow!("{} holds {} tables", self.source, tables.len()),
                        format!("choose one with --table: {}", names.join(", ")),
                    )
                })
            }
        }
    }

    /// Lets the engine open no file but the snapshot's and those in `readable` (files or folders), and fixes its settings:
    /// for SQL from outside. There is no way back. What the engine may open it may also write; telling those apart is left to
    /// the guard of the module `sql`.
    ///
    /// # Errors
    /// When a readable path doesn't exist, or the engine refuses.
    pub fn lock(&self, readable: &[PathBuf]) -> Result<()> {
        let mut files: Vec<String> = Vec::new();
        let mut folders: Vec<String> = Vec::new();
        for path in self.tables.iter().flat_map(|t| &t.files).chain(readable) {
            let real = path.canonicalize().with_context(|| format!("{} can't be read", path.display()))?;
            let list = if real.is_dir() { &mut folders } else { &mut files };
            // The engine compares paths as they are written: both as the views have them and as the user may.
            list.push(quote_literal(&path.display().to_string()));
            list.push(quote_literal(&real.display().to_string()));
        }
        for setting in [
            format!("SET allowed_paths = [{}]", files.join(", ")),
            format!("SET allowed_directories = [{}]", folders.join(", ")),
            "SET enable_external_access = false".to_owned(),
            "SET lock_configuration = true".to_owned(),
        ] {
            self.connection.execute_batch(&setting).context("locking the engine")?;
        }
        Ok(())
    }

    /// Lays the view `log` over `table`: its columns under canonical names, as `mapping` (canonical to actual) says.
    ///
    /// # Errors
    /// An empty table, a mapped column that isn't there, or a `required` canonical column without a counterpart: named,
    /// with the columns that look alike and how to map them.
    pub fn open_log(
        &self,
        table: &OpenTable,
        mapping: &BTreeMap<String, String>,
        required: &[&str],
    ) -> Result<LogColumns> {
        if table.rows == 0 {
            return Err(hinted(
                anyhow!("table {} in {} is empty: there is nothing to analyse", table.name, self.source),
                "check the export's --table and the database it was read from",
            ));
        }
        let actual_names: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
        for (canonical, actual) in mapping {
            if !table.has(actual) {
                return Err(missing_column(table, canonical, Some(actual), &actual_names));
            }
        }
        for canonical in required {
            if !mapping.contains_key(*canonical) && !table.has(canonical) {
                return Err(missing_column(table, canonical, None, &actual_names));
            }
        }
        let mut selected = Vec::new();
        let mut names: Vec<(String, String)> = Vec::new();
        for name in &actual_names {
            let mapped = mapping.iter().filter(|(_, actual)| actual == name).map(|(canonical, _)| canonical.as_str());
            let mut mapped: Vec<&str> = mapped.collect();
            // A column whose own name is taken by a mapping is seen only under the names it is mapped to.
            if mapped.is_empty() && !mapping.contains_key(*name) {
                mapped.push(name);
            }
            for canonical in mapped {
                selected.push(format!("{} AS {}", quote_identifier(name), quote_identifier(canonical)));
                names.push((canonical.to_owned(), (*name).to_owned()));
            }
        }
        // The schema is named in full because the table's own name may be `log`, too.
        let sql = format!(
            "CREATE OR REPLACE TEMP VIEW log AS SELECT {} FROM memory.main.{}",
            selected.join(", "),
            quote_identifier(&table.name)
        );
        self.connection.execute_batch(&sql).with_context(|| format!("reading table {}", table.name))?;
        Ok(LogColumns { names })
    }

    /// Labels of a canonical column that is an enum on the server; `None` for any other column, and for bare Parquet.
    pub fn enum_labels(&self, table: &OpenTable, columns: &LogColumns, column: &str) -> Option<Vec<String>> {
        let actual = columns.actual(column)?;
        let manifest = self.manifest.as_ref()?;
        let described = manifest.tables.iter().find(|t| t.name == table.name)?;
        let type_name = &described.columns.iter().find(|c| c.name == actual)?.type_name;
        manifest.enum_labels().remove(type_name)
    }

    /// The envelope's `snapshot` object, for a report about `table` (or about everything).
    pub fn reference(&self, table: Option<&OpenTable>) -> SnapshotRef {
        let synthetic = self.manifest.as_ref().is_some_and(|m| matches!(m.source, manifest::Source::Synthetic { .. }));
        SnapshotRef {
            id: self.id.clone(),
            table: table.map(|t| t.name.clone()),
            rows: table.map_or_else(|| self.tables.iter().map(|t| t.rows).sum(), |t| t.rows),
            captured_at: self.manifest.as_ref().map(|m| m.captured_at.clone()),
            synthetic,
        }
    }
}

fn missing_column(table: &OpenTable, canonical: &str, actual: Option<&str>, names: &[&str]) -> anyhow::Error {
    let wanted = actual.unwrap_or(canonical);
    let error = anyhow!("column {wanted} isn't in table {}", table.name);
    let near = nearest(wanted, names);
    let has = format!("the table has {}", names.join(", "));
    match near {
        Some(near) => hinted(error, format!("did you mean {near}? Map it with --column {canonical}={near}; {has}")),
        None => hinted(error, format!("if it goes by another name, map it with --column {canonical}=NAME; {has}")),
    }
}

/// `did you mean X?` for the nearest of `names`, where one is near enough.
pub fn suggestion(wanted: &str, names: &[&str]) -> Option<String> {
    nearest(wanted, names).map(|near| format!("did you mean {near}?"))
}

fn nearest<'a>(wanted: &str, names: &[&'a str]) -> Option<&'a str> {
    let folded = |name: &str| name.to_lowercase().replace(['_', '-', ' '], "");
    let target = folded(wanted);
    names
        .iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&target, &folded(name)), *name))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// An in-memory DuckDB that works with no network and answers as PostgreSQL would where a setting decides.
fn engine(options: &EngineOptions) -> Result<Connection> {
    let connection = Connection::open_in_memory().context("starting the embedded DuckDB")?;
    let mut settings = vec![
        "SET autoinstall_known_extensions = false".to_owned(),
        "SET autoload_known_extensions = false".to_owned(),
        "SET integer_division = true".to_owned(),
        "SET default_null_order = 'nulls_last_on_asc_first_on_desc'".to_owned(),
        // Row order is never an answer: every query that needs one says ORDER BY.
        "SET preserve_insertion_order = false".to_owned(),
        format!(
            "SET temp_directory = {}",
            quote_literal(&std::env::temp_dir().join("rehearsal-spill").display().to_string())
        ),
    ];
    if let Some(threads) = options.threads {
        settings.push(format!("SET threads = {threads}"));
    }
    if let Some(limit) = &options.memory_limit {
        settings.push(format!("SET memory_limit = {}", quote_literal(limit)));
    }
    for setting in settings {
        connection.execute_batch(&setting).with_context(|| format!("setting up the engine: {setting}"))?;
    }
    ui::interruptible(&connection.interrupt_handle());
    Ok(connection)
}

fn open_demo(options: &EngineOptions) -> Result<Snapshot> {
    let folder = tempfile::Builder::new().prefix("rehearsal-demo-").tempdir().context("unpacking the demo")?;
    std::fs::write(folder.path().join(manifest::FILE_NAME), DEMO_MANIFEST).context("unpacking the demo")?;
    std::fs::write(folder.path().join("llama_logs.parquet"), DEMO_ROWS).context("unpacking the demo")?;
    let path = folder.path().to_owned();
    open_folder(DEMO, &path, options, Some(folder))
}

fn open_folder(source: &str, folder: &Path, options: &EngineOptions, unpacked: Option<TempDir>) -> Result<Snapshot> {
    let path = folder.join(manifest::FILE_NAME);
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let manifest = Manifest::parse(&text, &path)?;
    let files: Vec<&DataFile> = manifest.tables.iter().flat_map(|t| &t.files).collect();
    // Hashing takes as long as starting the engine and reading the footers: side by side, the proof is nearly free.
    let (proven, views) = rayon::join(
        || files.par_iter().try_for_each(|file| prove(folder, file)),
        || -> Result<(Connection, Vec<OpenTable>)> {
            let connection = engine(options)?;
            let tables = create_views(&connection, &manifest, folder)?;
            Ok((connection, tables))
        },
    );
    // In this order: what a changed file does to the views is beside the point.
    proven?;
    let (connection, tables) = views?;
    Ok(Snapshot {
        source: source.to_owned(),
        id: manifest.id.clone(),
        manifest: Some(manifest),
        tables,
        connection,
        _unpacked: unpacked,
    })
}

/// A view for each table of the manifest, with the types it has on the server.
fn create_views(connection: &Connection, manifest: &Manifest, folder: &Path) -> Result<Vec<OpenTable>> {
    let enums = manifest.enum_labels();
    let mut tables = Vec::new();
    for table in &manifest.tables {
        let types = table.types(&enums);
        let columns: Vec<String> = table
            .columns
            .iter()
            .zip(&types)
            .map(|(column, ty)| {
                let expression = ty.duckdb_expression(&column.name, column.numeric_extent.as_ref());
                format!("{expression} AS {}", quote_identifier(&column.name))
            })
            .collect();
        let paths: Vec<PathBuf> = table.files.iter().map(|f| folder.join(&f.path)).collect();
        let opened = create_view(connection, &table.name, &columns.join(", "), &paths)?;
        if opened.rows != table.rows {
            bail!("table {} has {} rows in its files and {} in the manifest", table.name, opened.rows, table.rows);
        }
        tables.push(opened);
    }
    Ok(tables)
}

/// The file is there and its bytes are those the manifest vouches for.
fn prove(folder: &Path, file: &DataFile) -> Result<()> {
    let path = folder.join(&file.path);
    let (sha256, size_bytes) =
        hash_file(&path).hint("the snapshot is incomplete: export it again, or copy it again")?;
    if (&sha256, size_bytes) != (&file.sha256, file.size_bytes) {
        return Err(hinted(
            anyhow!(
                "{} isn't the file that was exported: {} bytes with SHA-256 {}…, and the manifest has {} bytes with {}…",
                path.display(),
                size_bytes,
                &sha256[..12],
                file.size_bytes,
                file.sha256.get(..12).unwrap_or(&file.sha256)
            ),
            "the file was changed or cut short after the export: copy it again from where it was made, or export again",
        ));
    }
    Ok(())
}

fn open_bare(source: &str, files: Vec<PathBuf>, options: &EngineOptions) -> Result<Snapshot> {
    let hashes: Vec<(String, u64)> = files.par_iter().map(|f| hash_file(f)).collect::<Result<_>>()?;
    for (file, (_, size_bytes)) in files.iter().zip(&hashes) {
        if *size_bytes == 0 {
            bail!("{} is empty (0 bytes): it isn't a Parquet file", file.display());
        }
    }
    let name = match files.as_slice() {
        [only] => only.file_stem().and_then(|s| s.to_str()).unwrap_or("log").to_owned(),
        _ => Path::new(source.trim_end_matches('/'))
            .file_stem()
            .and_then(|s| s.to_str())
            .filter(|s| !s.contains(['*', '?', '[']))
            .unwrap_or("log")
            .to_owned(),
    };
    // The view `log` is the analyses' own.
    let name = if name == "log" { "logs".to_owned() } else { name };
    let connection = engine(options)?;
    let id = Manifest::content_id(hashes.iter().map(|(hash, _)| hash.as_str()));
    let table = create_view(&connection, &name, &bare_columns(&connection, &files)?, &files)?;
    Ok(Snapshot { source: source.to_owned(), manifest: None, id, tables: vec![table], connection, _unpacked: None })
}

/// Bare files say their types themselves; only `timestamptz` must leave its zone, since the engine has no ICU.
fn bare_columns(connection: &Connection, files: &[PathBuf]) -> Result<String> {
    let columns = describe(connection, &format!("SELECT * FROM {}", read_parquet(files)))
        .with_context(|| format!("reading {}", files[0].display()))
        .hint("it isn't a Parquet file, or it was cut short: copy it again, or export again")?;
    let expressions: Vec<String> = columns
        .iter()
        .map(|(name, ty)| {
            let column = quote_identifier(name);
            if ty == "TIMESTAMP WITH TIME ZONE" { format!("CAST({column} AS TIMESTAMP) AS {column}") } else { column }
        })
        .collect();
    Ok(expressions.join(", "))
}

fn create_view(connection: &Connection, name: &str, columns: &str, files: &[PathBuf]) -> Result<OpenTable> {
    let view = quote_identifier(name);
    let paths: Vec<String> = files.iter().map(|f| quote_literal(&f.display().to_string())).collect();
    let opened = || -> Result<OpenTable> {
        connection.execute_batch(&format!("CREATE VIEW {view} AS SELECT {columns} FROM {}", read_parquet(files)))?;
        let columns = describe(connection, &format!("SELECT * FROM {view}"))?;
        let rows: i64 = connection.query_row(
            &format!("SELECT coalesce(sum(num_rows), 0)::BIGINT FROM parquet_file_metadata([{}])", paths.join(", ")),
            [],
            |row| row.get(0),
        )?;
        let file_bytes = files.iter().map(|f| std::fs::metadata(f).map_or(0, |m| m.len())).sum();
        Ok(OpenTable { name: name.to_owned(), rows: rows.unsigned_abs(), file_bytes, columns, files: files.to_vec() })
    };
    opened()
        .with_context(|| format!("reading table {name} from {}", files[0].display()))
        .hint("it isn't a Parquet file, or it was cut short: copy it again, or export again")
}

/// Writes a query's result to a Parquet file (zstd), whole or not at all.
///
/// # Errors
/// When DuckDB refuses the query, or the file can't be written.
pub fn write_parquet(connection: &Connection, sql: &str, path: &Path) -> Result<()> {
    let staged = Staged::beside(path)?;
    let target = quote_literal(&staged.path().display().to_string());
    let copied = connection.execute_batch(&format!("COPY ({sql}) TO {target} (FORMAT parquet, COMPRESSION zstd)"));
    copied.map_err(|error| os_error(&error.to_string()).map_or_else(|| error.into(), Error::from))?;
    staged.publish()
}

/// The operating system's error that the engine wraps in words of its own, with the name of a file that is never seen.
fn os_error(text: &str) -> Option<std::io::Error> {
    let (_, number) = text.split_once("\"errno\":\"")?;
    Some(std::io::Error::from_raw_os_error(number.split('"').next()?.parse().ok()?))
}

/// Names and DuckDB types of a query's columns.
fn describe(connection: &Connection, sql: &str) -> Result<Vec<(String, String)>> {
    let mut statement = connection.prepare(&format!("DESCRIBE {sql}"))?;
    let rows = statement.query_map([], |row| Ok((row.get("column_name")?, row.get("column_type")?)))?;
    Ok(rows.collect::<duckdb::Result<_>>()?)
}

fn read_parquet(files: &[PathBuf]) -> String {
    let paths: Vec<String> = files.iter().map(|f| quote_literal(&f.display().to_string())).collect();
    format!("read_parquet([{}])", paths.join(", "))
}

fn parquet_files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading the folder {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("reading the folder {}", folder.display()))?.path();
        if path.is_file() && path.extension().is_some_and(|e| e == "parquet") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn glob_files(pattern: &str) -> Result<Vec<PathBuf>> {
    let paths = glob::glob(pattern).with_context(|| format!("the pattern {pattern} isn't a valid glob"))?;
    let mut files = paths.collect::<Result<Vec<_>, _>>()?;
    files.retain(|f| f.is_file());
    files.sort();
    Ok(files)
}
