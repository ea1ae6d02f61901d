//! Whole migration histories on both sides, from an empty database: file by file, statement by statement.
//!
//! `REHEARSAL_HISTORY=DIR cargo test --release --test postgres history -- --nocapture` takes any folder of migrations and prints, for
//! each kind of statement, how many agree, fail alike, are refused and differ; then each difference with its place. With
//! `REHEARSAL_HISTORY_ROWS=n`, tables that are empty get n rows after each file. Without the variable the histories in
//! `fixtures/histories` run, nothing may differ, and no fewer files may be rehearsed than `fixtures/histories/README.md`
//! says (`REHEARSAL_BLESS=1` writes its figures).
//!
//! With `REHEARSAL_HISTORY_FAULTS=SEED`, statements are broken at random before both sides run them, each in a transaction of its own, and
//! the share of rejected ones that get the server's SQLSTATE is printed.
//!
//! A file is one transaction, as Prisma sends it, unless it has its own or needs to be outside of one. After a statement that only
//! one side accepts, the file is taken back on both.

mod faults;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use pg_query::NodeEnum;
use postgres::Client;
use rehearsal::catalog::{Catalog, Column, Table, Type};
use rehearsal::dry_run::session::{Session, Transactions};
use rehearsal::migration::{Migration, Selection, Statement};
use rehearsal::snapshot::{EngineOptions, Snapshot};

use crate::beside::{Beside, Fate};
use crate::catalog::{in_catalog, on_server};
use crate::scenarios::{empty, options};
use crate::{fixtures, server};

/// Where the figures stand between these lines of the README.
const MARKS: [&str; 2] = ["<!-- coverage -->", "<!-- end of coverage -->"];

/// How the statements of one kind fared.
#[derive(Debug, Default, Clone)]
struct Counts {
    agreed: usize,
    failed: usize,
    refused: usize,
    open: usize,
    differ: usize,
}

/// How a history went.
#[derive(Debug, Default)]
struct Outcome {
    kinds: BTreeMap<String, Counts>,
    /// What differs, each with its place.
    differences: Vec<String>,
    /// Errors that both sides have, each with its place: the first of a file, from which the others follow.
    failures: Vec<String>,
    /// What can't be rehearsed, with its places.
    refusals: BTreeMap<String, Vec<String>>,
    /// Files, and those of them in which nothing was refused, open or different.
    files: usize,
    complete: usize,
    rejections: faults::Rejections,
}

impl Outcome {
    fn count(&mut self, kind: &str, spot: &str, fate: &Fate) {
        let counts = self.kinds.entry(kind.to_owned()).or_default();
        match fate {
            Fate::Agreed => counts.agreed += 1,
            Fate::Failed(what) => {
                counts.failed += 1;
                if !what.starts_with("25P02") {
                    self.failures.push(format!("{spot}: {what}"));
                }
            }
            Fate::Refused(what) => {
                counts.refused += 1;
                self.refusals.entry(what.clone()).or_default().push(spot.to_owned());
            }
            Fate::Open(_) => counts.open += 1,
            Fate::Different(what) => {
                counts.differ += 1;
                self.differences.push(format!("{spot}: {what}"));
            }
        }
    }

    /// The figures as a Markdown table.
    fn table(&self) -> String {
        let mut text = String::from(
            "| statement | agree | fail alike | refused | left open | differ |\n|---|---|---|---|---|---|\n",
        );
        let mut total = Counts::default();
        let mut line = |kind: &str, c: &Counts| {
            writeln!(text, "| {kind} | {} | {} | {} | {} | {} |", c.agreed, c.failed, c.refused, c.open, c.differ)
                .expect("text grows");
        };
        for (kind, counts) in &self.kinds {
            line(kind, counts);
            total.agreed += counts.agreed;
            total.failed += counts.failed;
            total.refused += counts.refused;
            total.open += counts.open;
            total.differ += counts.differ;
        }
        line("all", &total);
        writeln!(text, "\n{} of {} files are rehearsed completely.", self.complete, self.files).expect("text grows");
        text
    }
}

/// The files of a folder, each wrapped in a transaction where Prisma's would be.
fn read(folder: &Path, seed: Option<u64>) -> Migration {
    let mut read = Migration::read(&[folder.to_path_buf()], &Selection::default())
        .unwrap_or_else(|error| panic!("{}: {error:#}", folder.display()));
    if let Some(seed) = seed {
        let texts = faults::broken(&read, seed);
        let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        read = Migration::from_texts(&texts).expect("what still parses");
    }
    let texts: Vec<(String, String)> = read
        .files
        .iter()
        .enumerate()
        .map(|(file, read_file)| {
            let mut own = read.statements.iter().filter(|s| s.place.file == file);
            let alone = own.any(|s| matches!(s.node, NodeEnum::TransactionStmt(_)) || is_outside(&s.sql));
            let text =
                if alone { read_file.text.clone() } else { format!("BEGIN; {}\n;COMMIT;ROLLBACK", read_file.text) };
            (read_file.name.clone(), text)
        })
        .collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Migration::from_texts(&texts).expect("it was read before")
}

/// Statements that the server refuses inside a transaction.
fn is_outside(sql: &str) -> bool {
    let sql = sql.to_uppercase();
    sql.contains("CONCURRENTLY") || sql.starts_with("VACUUM")
}

/// What a statement is, as the table of figures names it.
fn kind(statement: &Statement) -> String {
    let words: Vec<String> = statement.sql.split_whitespace().map(str::to_uppercase).collect();
    let plain = |word: &str| word.trim_end_matches([';', '(']).to_owned();
    let unique =
        |word: &&String| !["UNIQUE", "OR", "REPLACE", "TEMP", "TEMPORARY", "UNLOGGED"].contains(&word.as_str());
    let mut words = words.iter().filter(unique).map(|word| plain(word));
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match first.as_str() {
        _ if matches!(statement.node, NodeEnum::UpdateStmt(_)) => "UPDATE".to_owned(),
        _ if matches!(statement.node, NodeEnum::InsertStmt(_)) => "INSERT".to_owned(),
        _ if matches!(statement.node, NodeEnum::DeleteStmt(_)) => "DELETE".to_owned(),
        "WITH" => "SELECT".to_owned(),
        "CREATE" | "ALTER" | "DROP" | "COMMENT" | "REFRESH" | "TRUNCATE" => format!("{first} {second}"),
        _ => first,
    }
}

struct Run<'a> {
    beside: Beside<'a>,
    folder: &'a Path,
    outcome: Outcome,
    /// Tables that got rows, with their number of columns then.
    filled: BTreeMap<String, usize>,
    rows: usize,
}

impl Run<'_> {
    fn history(&mut self, migration: &Migration) {
        for file in 0..migration.files.len() {
            self.file(migration, file);
            if self.rows > 0 {
                self.fill();
            }
        }
        self.compare("at the end", None);
        let (server, ours) = (on_server(self.beside.client), in_catalog(self.beside.session.catalog()));
        for line in server.iter().filter(|line| !ours.contains(line)) {
            self.outcome.differences.push(format!("only on the server: {line}"));
        }
        for line in ours.iter().filter(|line| !server.contains(line)) {
            self.outcome.differences.push(format!("only here: {line}"));
        }
    }

    fn file(&mut self, migration: &Migration, file: usize) {
        let before = self.incomplete();
        let mut abandoned = false;
        for statement in migration.statements.iter().filter(|s| s.place.file == file) {
            if abandoned && statement.sql != "ROLLBACK" {
                continue;
            }
            let fate = self.beside.run(migration, statement);
            if matches!(statement.node, NodeEnum::TransactionStmt(_)) {
                if let Fate::Different(what) = &fate {
                    self.outcome.differences.push(format!("{}: {what}", migration.spot(statement)));
                }
                continue;
            }
            let name = &migration.files[file].name;
            let name = Path::new(name).strip_prefix(self.folder).unwrap_or(Path::new(name));
            let spot = format!("{}:{}", name.display(), statement.place.line);
            self.outcome.count(&kind(statement), &spot, &fate);
            if let Some((ours, server)) = self.beside.rejected.take() {
                self.outcome.rejections.all += 1;
                self.outcome.rejections.alike += usize::from(ours.as_ref() == Some(&server));
            }
            if matches!(fate, Fate::Different(_) | Fate::Open(_)) {
                abandoned = true;
            }
            if fate == Fate::Agreed && is_data(statement) {
                let table = self.beside.session.reports().last().and_then(|report| report.table.clone());
                self.compare(&spot, table.map(|table| BTreeSet::from([table])).as_ref());
            }
        }
        let text = &migration.files[file].text;
        let words: BTreeSet<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let tables = self.beside.session.catalog().tables.values().map(|t| t.name.clone());
        let named: BTreeSet<String> = tables.filter(|name| words.contains(name.as_str())).collect();
        let spot = format!("after {}", migration.files[file].name);
        self.compare(&spot, Some(&named));
        self.outcome.files += 1;
        self.outcome.complete += usize::from(self.incomplete() == before);
    }

    /// Statements so far that can't be counted on.
    fn incomplete(&self) -> usize {
        let uncounted: usize = self.outcome.kinds.values().map(|c| c.refused + c.open).sum();
        uncounted + self.outcome.differences.len()
    }

    fn compare(&mut self, spot: &str, only: Option<&BTreeSet<String>>) {
        while let Some((table, what)) = self.beside.compare_tables(only) {
            self.outcome.differences.push(format!("{spot}: table {table}: {what}"));
        }
    }

    /// Gives empty tables some rows. What a constraint forbids is forbidden on both sides.
    fn fill(&mut self) {
        let tables: Vec<Table> = self.beside.session.catalog().tables.values().cloned().collect();
        // A migration tool's own book would hold what the tool is about to write.
        let is_book = |table: &Table| table.name.contains("migration") || table.name.contains("version");
        let is_plain = |table: &&Table| table.schema == "public" && table.materialized.is_none() && !is_book(table);
        for table in tables.iter().filter(is_plain) {
            if self.filled.get(&table.name) == Some(&table.columns.len()) {
                continue;
            }
            self.filled.insert(table.name.clone(), table.columns.len());
            let count = format!("SELECT 1 FROM \"{}\" LIMIT 1", table.name);
            if crate::scenarios::send(self.beside.client, &count).rows.is_empty() {
                for row in 1..=self.rows {
                    self.insert(table, row);
                }
            }
        }
    }

    fn insert(&mut self, table: &Table, row: usize) {
        let catalog = self.beside.session.catalog();
        let columns: Vec<&Column> =
            table.columns.iter().filter(|c| c.generated.is_none() && c.identity.is_none()).collect();
        let names: Vec<String> = columns.iter().map(|c| format!("\"{}\"", c.name)).collect();
        let values: Option<Vec<String>> = columns.iter().map(|c| value(catalog, c, row)).collect();
        let Some(values) = values else { return };
        if values.is_empty() {
            return;
        }
        let sql = format!("INSERT INTO \"{}\" ({}) VALUES ({})", table.name, names.join(", "), values.join(", "));
        let migration = Migration::from_text("rows.sql", &sql).expect("an INSERT");
        if let Fate::Different(what) = self.beside.run(&migration, &migration.statements[0]) {
            self.outcome.differences.push(format!("{sql}: {what}"));
        }
    }
}

/// Row `row`'s value: keys count from 1, so that what refers to them finds them.
fn value(catalog: &Catalog, column: &Column, row: usize) -> Option<String> {
    Some(match &column.ty {
        Type::Bool => row.is_multiple_of(2).to_string(),
        Type::Int2 | Type::Int4 | Type::Int8 | Type::Float4 | Type::Float8 | Type::Numeric(_) => row.to_string(),
        Type::Uuid => format!("'00000000-0000-4000-8000-{row:012}'"),
        Type::Date | Type::Timestamp(_) | Type::Timestamptz(_) => format!("'2024-01-{:02} 10:00:00'", row % 28 + 1),
        Type::Json | Type::Jsonb => format!("'{{\"n\": {row}}}'"),
        Type::Array(_) => "'{}'".to_owned(),
        Type::Enum(oid) => {
            let labels = &catalog.enums.get(oid)?.labels;
            format!("'{}'", labels[row % labels.len()].replace('\'', "''"))
        }
        Type::Text | Type::Varchar(_) | Type::Char(_) | Type::Name => format!("'r{row}'"),
        _ if column.not_null => return None,
        _ => "NULL".to_owned(),
    })
}

fn is_data(statement: &Statement) -> bool {
    matches!(
        statement.node,
        NodeEnum::InsertStmt(_) | NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_) | NodeEnum::CreateTableAsStmt(_)
    )
}

fn run(client: &mut Client, snapshot: &Snapshot, folder: &Path, rows: usize, seed: Option<u64>) -> Outcome {
    empty(client);
    let migration = read(folder, seed);
    let name = folder.file_name().map_or_else(|| "history".to_owned(), |name| name.to_string_lossy().into_owned());
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let session = Session::new(snapshot, &format!("h{name}{rows}"), &[&migration], options(Transactions::None));
    let beside = Beside::new(client, session.expect("a session"));
    let mut run = Run { beside, folder, outcome: Outcome::default(), filled: BTreeMap::new(), rows };
    run.history(&migration);
    run.outcome
}

/// Folders of `fixtures/histories`, by name.
fn kept() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(fixtures::folder("histories")).expect("the histories");
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry").path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    folders
}

#[test]
fn history_agrees_or_is_refused() {
    let database = server::database();
    let mut client = database.client();
    let snapshot = Snapshot::empty(&EngineOptions::default()).expect("nothing to read");
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<usize>().expect("a number"));
    let rows = number("REHEARSAL_HISTORY_ROWS");
    if let Ok(folder) = std::env::var("REHEARSAL_HISTORY") {
        let seed = number("REHEARSAL_HISTORY_FAULTS").map(|seed| seed as u64);
        return print(&run(&mut client, &snapshot, Path::new(&folder), rows.unwrap_or(0), seed), seed.is_some());
    }
    let mut all = Outcome::default();
    for folder in kept() {
        let outcome = run(&mut client, &snapshot, &folder, rows.unwrap_or(3), None);
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        all.differences.extend(outcome.differences.iter().map(|what| format!("{name}/{what}")));
        all.files += outcome.files;
        all.complete += outcome.complete;
        for (kind, counts) in outcome.kinds {
            let sum = all.kinds.entry(kind).or_default();
            sum.agreed += counts.agreed;
            sum.failed += counts.failed;
            sum.refused += counts.refused;
            sum.open += counts.open;
            sum.differ += counts.differ;
        }
    }
    assert!(all.differences.is_empty(), "{} differ:\n{}", all.differences.len(), all.differences.join("\n"));
    compare_with_readme(&all.table());
}

/// The figures may not be worse than those in the README; blessed, they become them.
fn compare_with_readme(table: &str) {
    let path = fixtures::folder("histories").join("README.md");
    let text = std::fs::read_to_string(&path).expect("the README");
    let (head, rest) = text.split_once(MARKS[0]).expect("the place of the figures");
    let (written, tail) = rest.split_once(MARKS[1]).expect("the end of the figures");
    if std::env::var("REHEARSAL_BLESS").is_ok() {
        let text = format!("{head}{}\n\n{table}\n{}{tail}", MARKS[0], MARKS[1]);
        std::fs::write(&path, text).expect("the README is writable");
        return;
    }
    let (then, now) = (rehearsed(written), rehearsed(table));
    assert!(now >= then, "{now} files are rehearsed completely, {then} by the README:\n{table}");
}

/// The number before `of … files are rehearsed completely`.
fn rehearsed(table: &str) -> usize {
    let line = table.lines().find(|line| line.contains("files are rehearsed completely"));
    line.and_then(|line| line.split(' ').next()?.parse().ok()).unwrap_or(0)
}

#[allow(clippy::print_stdout, reason = "a run over one's own history is started to be read")]
fn print(outcome: &Outcome, broken: bool) {
    println!("{}", outcome.table());
    if broken {
        let faults::Rejections { all, alike } = outcome.rejections;
        println!("{alike} of {all} statements that the server rejects get the same SQLSTATE.");
    }
    let mut refusals: Vec<_> = outcome.refusals.iter().collect();
    refusals.sort_by_key(|(what, spots)| (std::cmp::Reverse(spots.len()), (*what).clone()));
    for (what, spots) in refusals {
        println!("{:5} refused: {what} ({})", spots.len(), spots[..spots.len().min(3)].join(", "));
    }
    for what in &outcome.failures {
        println!("      both: {what}");
    }
    println!("\n{} differences", outcome.differences.len());
    for what in &outcome.differences {
        println!("{what}");
    }
}
