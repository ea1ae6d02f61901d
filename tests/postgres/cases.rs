//! The migration fixtures: what each runs on, how it ends, and running it on a server as Prisma does.
//!
//! A case's header comment says both, so that a person who opens the file knows and the tests hold it to its word:
//! `-- Runs on: demo, after category.` and `-- Ends on the server: committed …` or `-- Ends on the server: 42804.`

use std::io::Write;
use std::path::PathBuf;

use postgres::{Client, SimpleQueryMessage};
use rehearsal::migration::{Migration, Selection, Statement};

use crate::fixtures;

/// Old names of what the rename takes: the log table before it.
const BEFORE_RENAME: &str = "
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT indexname FROM pg_indexes WHERE tablename = 'llama_logs' LOOP
        EXECUTE format('ALTER INDEX %I RENAME TO %I', name, replace(name, 'llama_logs', 'enrichment_logs'));
    END LOOP;
END $$;
ALTER TABLE llama_logs RENAME TO enrichment_logs;";

/// One folder of `fixtures/migrations`.
pub struct Case {
    /// Its name.
    pub name: String,
    /// The snapshot it runs on.
    pub base: String,
    /// Cases that run before it.
    pub after: Vec<String>,
    /// SQLSTATE it ends with; nothing where it is committed.
    pub error: Option<String>,
}

/// The file of a case.
pub fn path(case: &str, file: &str) -> PathBuf {
    fixtures::folder("migrations").join(case).join(file)
}

/// All cases, by name.
pub fn all() -> Vec<Case> {
    let mut names: Vec<String> = std::fs::read_dir(fixtures::folder("migrations"))
        .expect("the folder of cases")
        .map(|entry| entry.expect("a readable entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() > 10, "the cases are there: {names:?}");
    names.iter().map(|name| case(name)).collect()
}

/// One case.
pub fn case(name: &str) -> Case {
    let text = std::fs::read_to_string(path(name, "migration.sql")).expect(name);
    let line = |label: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix("-- ")?.strip_prefix(label)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("{name}: the header doesn't say \"{label}\"")).to_owned()
    };
    let runs = line("Runs on");
    let words: Vec<&str> = runs.split([',', '.', ' ', '(']).filter(|w| !w.is_empty()).collect();
    let after = words.iter().skip_while(|w| **w != "after").skip(1).map(|w| (*w).to_owned()).collect();
    let end = line("Ends on the server");
    let end = end.split(['.', ';', ',', ' ']).next().expect("a word").to_owned();
    let error = (end != "committed").then_some(end);
    assert!(error.as_ref().is_none_or(|e| e.len() == 5), "{name}: {error:?} is no SQLSTATE");
    Case { name: name.to_owned(), base: words[0].to_owned(), after, error }
}

/// Tables of the fixture `leads`, in an order in which foreign keys allow loading.
pub fn lead_tables() -> Vec<String> {
    let schema = std::fs::read_to_string(fixtures::folder("leads").join("schema.sql")).expect("the schema");
    let named = |line: &str| Some(line.strip_prefix("CREATE TABLE \"")?.split('"').next()?.to_owned());
    schema.lines().filter_map(named).collect()
}

/// Creates a snapshot's tables and loads its rows.
pub fn load(client: &mut Client, base: &str) {
    match base {
        "leads" => {
            let schema = std::fs::read_to_string(fixtures::folder(base).join("schema.sql")).expect("the schema");
            client.batch_execute(&schema).expect("the schema is PostgreSQL's");
            for table in lead_tables() {
                let rows = std::fs::read(fixtures::folder(base).join(format!("{table}.csv"))).expect("the rows");
                let sql = format!("COPY \"{table}\" FROM STDIN (FORMAT csv, HEADER)");
                let mut copy = client.copy_in(&sql).expect("COPY");
                copy.write_all(&rows).expect("COPY takes the rows");
                copy.finish().unwrap_or_else(|error| panic!("{table}: {error:?}"));
            }
        }
        "before-rename" => {
            fixtures::load(client, "demo");
            client.batch_execute(BEFORE_RENAME).expect("old names");
        }
        _ => fixtures::load(client, base),
    }
}

/// What the server made of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Position in the migration, from 1.
    pub index: usize,
    /// Rows of its command tag; 0 where it has none.
    pub rows: u64,
    /// SQLSTATE, where it failed: the last one then.
    pub error: Option<String>,
    /// The server's message, where it failed.
    pub message: Option<String>,
}

/// Reads files as the tool does.
pub fn read(paths: &[PathBuf]) -> Migration {
    Migration::read(paths, &Selection::default()).unwrap_or_else(|error| panic!("{paths:?}: {error:#}"))
}

/// Runs a migration statement by statement, one transaction a file, until the first error.
pub fn run(client: &mut Client, migration: &Migration) -> Vec<Ran> {
    run_with(client, migration, |_, _, _| {})
}

/// The same; `after` sees what the server has made of each statement, a failed one's transaction rolled back.
pub fn run_with(
    client: &mut Client,
    migration: &Migration,
    mut after: impl FnMut(&mut Client, &Statement, &Ran),
) -> Vec<Ran> {
    let mut ran = Vec::new();
    for file in 0..migration.files.len() {
        client.batch_execute("BEGIN").expect("a transaction");
        for statement in migration.statements.iter().filter(|s| s.place.file == file) {
            let outcome = send(client, statement);
            let failed = outcome.error.is_some();
            if failed {
                client.batch_execute("ROLLBACK").expect("the end of the transaction");
            }
            after(client, statement, &outcome);
            ran.push(outcome);
            if failed {
                return ran;
            }
        }
        client.batch_execute("COMMIT").expect("the end of the transaction");
    }
    ran
}

fn send(client: &mut Client, statement: &Statement) -> Ran {
    let mut outcome = Ran { index: statement.index, rows: 0, error: None, message: None };
    match client.simple_query(&statement.sql) {
        Ok(messages) => {
            let tags = messages.iter().filter_map(|message| match message {
                SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
                _ => None,
            });
            outcome.rows = tags.sum();
        }
        Err(error) => {
            let error = error.as_db_error().unwrap_or_else(|| panic!("{error:?}"));
            outcome.error = Some(error.code().code().to_owned());
            outcome.message = Some(error.message().to_owned());
        }
    }
    outcome
}

/// Loads a case's snapshot and runs what comes before it.
pub fn prepare(client: &mut Client, case: &Case) {
    load(client, &case.base);
    for before in &case.after {
        let ran = run(client, &read(&[path(before, "migration.sql")]));
        assert!(ran.iter().all(|r| r.error.is_none()), "{before}: {ran:?}");
    }
}
