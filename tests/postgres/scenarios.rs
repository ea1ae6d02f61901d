//! Small scripts, statement by statement, in a rehearsal and on a real server: the same fate, the same row counts, the same tables.
//!
//! `fixtures/semantics/*.txt` hold one script a line, `title :: statement; statement …`. After each statement all tables and views
//! are read on both sides and compared as multisets of rows; the rows of a SELECT are compared as well, in order where it has
//! an order. A statement that can't be rehearsed is left out on both sides: an answer that is allowed to exist, not to become common.
//!
//! A title may end with `[any t.a, t.b]`: columns whose values are new at every run and are compared only for being NULL.

use postgres::{Client, SimpleQueryMessage};
use rehearsal::catalog::Problem;
use rehearsal::dry_run::expect::{Figures, Row};
use rehearsal::dry_run::report::{StatementReport, Verdict};
use rehearsal::dry_run::session::{Options, Session, Transactions};
use rehearsal::migration::Migration;
use rehearsal::snapshot::{EngineOptions, Snapshot};
use serde_json::Value;

use crate::{fixtures, server};

/// More rows than any table here has.
const ALL: usize = 1000;

/// One line of a file of scripts.
struct Script {
    title: String,
    sql: String,
    /// Columns whose values can't be foretold.
    any: Vec<String>,
}

fn scripts(file: &str) -> Vec<Script> {
    let text = std::fs::read_to_string(fixtures::folder("semantics").join(file)).expect(file);
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let (title, sql) = line.split_once(" :: ").unwrap_or_else(|| panic!("{file}: no title: {line}"));
            let any = title.split_once("[any ").map_or("", |(_, list)| list.trim_end_matches(']'));
            let any = any.split(", ").map(str::to_owned).collect();
            Script { title: title.to_owned(), sql: sql.to_owned(), any }
        })
        .collect()
}

/// Rows by column; `None` is NULL.
pub type ServerRows = Vec<Vec<(String, Option<String>)>>;

/// What the server makes of a statement, or of several sent as one query.
pub struct Ran {
    /// SQLSTATE and message.
    pub error: Option<(String, String)>,
    /// Rows of the last command tag.
    pub affected: u64,
    pub rows: ServerRows,
}

pub fn send(client: &mut Client, sql: &str) -> Ran {
    let mut ran = Ran { error: None, affected: 0, rows: Vec::new() };
    match client.simple_query(sql) {
        Ok(messages) => {
            for message in messages {
                match message {
                    SimpleQueryMessage::CommandComplete(rows) => ran.affected = rows,
                    SimpleQueryMessage::Row(row) => {
                        let values = (0..row.len()).map(|n| row.get(n).map(str::to_owned));
                        let names = row.columns().iter().map(|column| column.name().to_owned());
                        ran.rows.push(names.zip(values).collect());
                    }
                    _ => {}
                }
            }
        }
        Err(error) => {
            let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}"));
            ran.error = Some((error.code().code().to_owned(), error.message().to_owned()));
        }
    }
    ran
}

/// The same value, as an engine's JSON and as the server's text.
fn same(ours: &Value, server: Option<&str>) -> bool {
    let Some(server) = server else { return ours.is_null() };
    let json = || serde_json::from_str::<Value>(server).ok();
    match ours {
        Value::Null => false,
        Value::Bool(yes) => server == if *yes { "t" } else { "f" } || json().as_ref() == Some(ours),
        Value::Number(number) => {
            let text = number.to_string();
            text == server || server.parse::<f64>().is_ok_and(|theirs| number.as_f64() == Some(theirs))
        }
        Value::String(text) => {
            let number = |text: &str| text.parse::<f64>().ok();
            text == server
                || moment(text) == moment(server)
                || (number(text).is_some() && number(text) == number(server) && text.len() == server.len())
                || json()
                    .is_some_and(|theirs| &theirs == ours || serde_json::from_str::<Value>(text).ok() == Some(theirs))
        }
        Value::Array(items) => {
            let written: Vec<String> = items.iter().map(array_item).collect();
            format!("{{{}}}", written.join(",")) == server || json().as_ref() == Some(ours)
        }
        Value::Object(_) => json().as_ref() == Some(ours),
    }
}

/// An item as PostgreSQL writes it in an array.
fn array_item(item: &Value) -> String {
    match item {
        Value::Null => "NULL".to_owned(),
        Value::String(text)
            if text.is_empty()
                || text.eq_ignore_ascii_case("null")
                || text.contains(['\\', ' ', ',', '"', '{', '}']) =>
        {
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
        Value::String(text) => text.clone(),
        Value::Bool(yes) => if *yes { "t" } else { "f" }.to_owned(),
        Value::Number(number) => number.to_string().trim_end_matches(".0").to_owned(),
        other => other.to_string(),
    }
}

/// A time without what engines write differently.
fn moment(text: &str) -> String {
    let text = text.trim_end_matches("+00");
    match text.rsplit_once('.') {
        Some((whole, fraction)) if text.contains(':') => {
            format!("{whole}.{}", fraction.trim_end_matches('0')).trim_end_matches('.').to_owned()
        }
        _ => text.to_owned(),
    }
}

/// What differs between two sets of rows; nothing where they are the same. Large ones are only counted.
pub fn difference(ours: &[Row], server: &ServerRows, in_order: bool, any: &dyn Fn(&str) -> bool) -> Option<String> {
    let equal = |row: &Row, theirs: &Vec<(String, Option<String>)>| {
        row.len() == theirs.len()
            && theirs.iter().all(|(name, value)| {
                row.get(name)
                    .is_some_and(|v| same(v, value.as_deref()) || (any(name) && v.is_null() == value.is_none()))
            })
    };
    if server.len() > ALL {
        let what = format!("server {} rows\n      ours   {}", server.len(), ours.len());
        return (ours.len() != server.len()).then_some(what);
    }
    let mut left: Vec<_> = ours.iter().collect();
    let mut agree = left.len() == server.len();
    for row in server {
        let at = if in_order {
            left.first().filter(|o| equal(o, row)).map(|_| 0)
        } else {
            left.iter().position(|o| equal(o, row))
        };
        match at {
            Some(at) => drop(left.remove(at)),
            None => agree = false,
        }
    }
    let shown = || ours.iter().map(|row| Value::Object(row.clone()).to_string()).collect::<Vec<_>>().join(" ");
    (!agree).then(|| format!("server {server:?}\n      ours   {}", shown()))
}

/// Names of the server's tables and views.
pub fn relations(client: &mut Client) -> Vec<String> {
    let sql = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'p') ORDER BY 1";
    send(client, sql).rows.into_iter().filter_map(|row| row.into_iter().next()?.1).collect()
}

/// How a script went.
enum End {
    Agreed,
    /// What can't be rehearsed.
    Unsupported(String),
    Different(String),
}

/// A script on both sides.
struct Pair<'a> {
    client: &'a mut Client,
    session: Session<'a>,
    script: &'a Script,
    /// Statements that can't be rehearsed.
    left: Vec<String>,
}

impl Pair<'_> {
    fn run(&mut self, migration: &Migration) -> End {
        for statement in &migration.statements {
            let report = self.session.run(migration, statement).expect("no interrupt");
            if report.verdict == Verdict::Unsupported {
                // Left out on both sides, the rest can still be compared.
                let what = report.unsupported.map_or_else(String::new, |unsupported| unsupported.what);
                self.left.push(format!("{}: {}: {what}", self.script.title, statement.sql));
                continue;
            }
            let server = send(self.client, &statement.sql);
            // The server checks a unique key row by row, in the order of its scan; here it is checked at the end.
            let may_fail = report.notes.iter().any(|note| note.contains("may fail"));
            if may_fail && server.error.as_ref().is_some_and(|(code, _)| code == "23505") {
                return End::Agreed;
            }
            if let Some(what) = compare(&server, &report, &statement.node, &|name| self.is_any(name)) {
                return End::Different(format!("{}\n      {what}", statement.sql));
            }
            let aborted = server.error.is_some() && send(self.client, "SELECT 1").error.is_some();
            if !aborted && let Some(end) = self.compare_tables() {
                return match end {
                    End::Different(what) => End::Different(format!("after {}\n      {what}", statement.sql)),
                    end => end,
                };
            }
        }
        End::Agreed
    }

    fn is_any(&self, name: &str) -> bool {
        self.script.any.iter().any(|any| any.rsplit('.').next() == Some(name))
    }

    fn compare_tables(&mut self) -> Option<End> {
        let names = relations(self.client);
        let ours =
            self.session.catalog().tables.values().filter(|t| t.snapshot_table.is_none() && t.schema == "public");
        if let Some(table) = ours.map(|table| &table.name).find(|name| !names.contains(name)) {
            return Some(End::Different(format!("the server has no table {table}")));
        }
        for name in names {
            let sql = format!("SELECT * FROM \"{}\"", name.replace('"', "\"\""));
            let server = send(self.client, &sql);
            let any = |column: &str| self.script.any.contains(&format!("{name}.{column}"));
            let rows = match self.session.query(&sql) {
                Ok(rows) => rows,
                Err(Problem::Unsupported(what)) => return Some(End::Unsupported(format!("{name}: {}", what.what))),
                Err(problem) => return Some(End::Different(format!("{name}: {problem}"))),
            };
            if let Some(what) = difference(&rows, &server.rows, false, &any) {
                return Some(End::Different(format!("table {name}\n      {what}")));
            }
        }
        None
    }
}

/// What a statement did on both sides, apart from the tables.
fn compare(
    server: &Ran,
    report: &StatementReport,
    node: &pg_query::NodeEnum,
    any: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let ours = report.error.as_ref().map(|error| (error.sqlstate.clone(), error.message.clone()));
    if ours != server.error {
        return Some(format!("server {:?}\n      ours   {ours:?}", server.error));
    }
    if server.error.is_none() && report.rows_affected.unwrap_or(0) != server.affected {
        return Some(format!("server {} rows\n      ours   {:?}", server.affected, report.rows_affected));
    }
    let pg_query::NodeEnum::SelectStmt(select) = node else { return None };
    if server.error.is_some() || select.into_clause.is_some() {
        return None;
    }
    difference(&report.rows, &server.rows, !select.sort_clause.is_empty(), any)
}

pub fn empty(client: &mut Client) {
    client
        .batch_execute("ROLLBACK; DROP SCHEMA public CASCADE; CREATE SCHEMA public; SET TimeZone = 'UTC'")
        .expect("an empty schema");
}

pub fn options(transactions: Transactions) -> Options {
    Options { transactions, samples: ALL, ..Options::default() }
}

/// Runs all scripts of a file; at most `unsupported` statements may be left out.
fn check_all(file: &str, unsupported: usize) {
    check_on("demo", file, unsupported);
}

/// The same on a snapshot of its own: of what it doesn't list, only the one of an empty database is sure.
fn check_on(snapshot: &str, file: &str, unsupported: usize) {
    let database = server::database();
    let mut client = database.client();
    let snapshot = match snapshot {
        "empty" => Snapshot::empty(&EngineOptions::default()),
        name => Snapshot::open(name, &EngineOptions::default()),
    };
    let snapshot = snapshot.expect("a snapshot");
    let (mut agreed, mut left, mut wrong) = (0, Vec::new(), Vec::new());
    let only = std::env::var("SCENARIO").unwrap_or_default();
    for (number, script) in scripts(file).iter().enumerate().filter(|(_, s)| s.title.contains(&only)) {
        empty(&mut client);
        let migration = Migration::from_text("script.sql", &script.sql);
        let migration = migration.unwrap_or_else(|error| panic!("{}: {error:#}", script.title));
        let session = Session::new(&snapshot, &format!("run{number}"), &[&migration], options(Transactions::None));
        let mut pair = Pair { client: &mut client, session: session.expect("a session"), script, left: Vec::new() };
        match pair.run(&migration) {
            End::Agreed => agreed += 1,
            End::Unsupported(what) => left.push(format!("{}: {what}", script.title)),
            End::Different(what) => wrong.push(format!("{}: {what}", script.title)),
        }
        left.append(&mut pair.left);
    }
    let left_over = left.join("\n  ");
    assert!(
        wrong.is_empty(),
        "{} of {file} differ, {agreed} agree:\n  {}\nand can't be rehearsed:\n  {left_over}",
        wrong.len(),
        wrong.join("\n  ")
    );
    assert!(
        left.len() <= unsupported,
        "{} of {file} can't be rehearsed, {unsupported} before:\n  {left_over}",
        left.len()
    );
}

/// Sends a script as one file, or statement by statement until an error, and compares how it ends.
fn check_transactions(client: &mut Client, snapshot: &Snapshot, script: &Script, transactions: Transactions) -> End {
    empty(client);
    let migration = Migration::from_text("script.sql", &script.sql).expect("a script");
    let error = if transactions == Transactions::PerFile {
        send(client, &script.sql).error
    } else {
        migration.statements.iter().find_map(|statement| send(client, &statement.sql).error)
    };
    client.batch_execute("ROLLBACK").expect("the end of the connection");
    let name = format!("{transactions:?} {}", script.title).replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let mut session = Session::new(snapshot, &name, &[&migration], options(transactions)).expect("a session");
    session.run_all(&migration).expect("no interrupt");
    let reports = session.reports();
    if let Some(what) = reports.iter().find_map(|report| report.unsupported.as_ref()) {
        return End::Unsupported(what.what.clone());
    }
    let ours = reports.iter().find_map(|report| report.error.as_ref());
    let ours = ours.map(|error| (error.sqlstate.clone(), error.message.clone()));
    if ours != error {
        return End::Different(format!("server {error:?}\n      ours   {ours:?}"));
    }
    let failed = reports.iter().position(|report| report.verdict == Verdict::Failed).unwrap_or(reports.len());
    if reports.iter().skip(failed + 1).any(|report| report.verdict != Verdict::NotReached) {
        return End::Different("statements run on after the error".to_owned());
    }
    Pair { client, session, script, left: Vec::new() }.compare_tables().unwrap_or(End::Agreed)
}

#[test]
fn transactions() {
    let database = server::database();
    let mut client = database.client();
    let snapshot = Snapshot::open("demo", &EngineOptions::default()).expect("the demo");
    let (mut left, mut wrong) = (Vec::new(), Vec::new());
    for script in scripts("transactions.txt") {
        for transactions in [Transactions::PerFile, Transactions::PerStatement] {
            match check_transactions(&mut client, &snapshot, &script, transactions) {
                End::Agreed => {}
                End::Unsupported(what) => left.push(format!("{}, {transactions:?}: {what}", script.title)),
                End::Different(what) => wrong.push(format!("{}, {transactions:?}: {what}", script.title)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n  {}", wrong.len(), wrong.join("\n  "));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn traps() {
    check_all("scenarios.txt", 4);
}

#[test]
fn documents() {
    check_all("documents-writes.txt", 0);
}

#[test]
fn writes() {
    check_all("writes.txt", 60);
}

/// Scripts of one's own: `REHEARSAL_SCRIPTS=FILE cargo test --release --test postgres own_scripts -- --nocapture`.
#[test]
fn own_scripts() {
    if let Ok(file) = std::env::var("REHEARSAL_SCRIPTS") {
        check_all(&file, 0);
    }
}

#[test]
fn composite_types_and_functions_of_rows_agree_with_postgres() {
    check_on("empty", "composites.txt", 0);
}

#[test]
fn domains() {
    check_all("domains.txt", 0);
}

#[test]
fn routines() {
    check_all("routines.txt", 4);
}

#[test]
fn triggers() {
    check_all("triggers.txt", 0);
}

#[test]
fn bodies() {
    check_all("bodies.txt", 0);
}

#[test]
fn objects() {
    check_all("objects.txt", 3);
}

#[test]
fn attachments() {
    check_all("attachments.txt", 0);
}

#[test]
fn carried() {
    check_all("carried.txt", 0);
}

#[test]
fn dependents() {
    check_all("dependents.txt", 0);
}

#[test]
fn procedures() {
    check_all("procedures.txt", 8);
}

#[test]
fn equality() {
    check_all("equality.txt", 12);
}

#[test]
fn likes() {
    check_all("likes.txt", 0);
}

#[test]
fn numbering() {
    check_all("numbering.txt", 0);
}

#[test]
fn pending() {
    check_all("pending.txt", 0);
}

#[test]
fn arrival() {
    check_all("arrival.txt", 0);
}

#[test]
fn state() {
    check_all("state.txt", 0);
}

#[test]
fn questions_to_the_catalogs_have_the_servers_answers() {
    check_on("empty", "catalogs.txt", 0);
}
