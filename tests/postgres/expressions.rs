//! Expressions, translated and asked of DuckDB, beside the server's answers: the same value and type, the same error, or a refusal.
//!
//! `fixtures/semantics/expressions.txt` holds one select list a line. A refusal is an answer; a different value never is.

use duckdb::Connection;
use postgres::Client;
use rehearsal::catalog::{Catalog, Problem, Type};
use rehearsal::translate::{Settings, Tie, Translator};

use crate::{fixtures, server};

/// Expressions, one a line.
const FILES: &[&str] = &[
    "expressions.txt",
    "numbers.txt",
    "texts.txt",
    "documents.txt",
    "ranges.txt",
    "clocks.txt",
    "aggregates.txt",
    "functions.txt",
];

/// Expressions that are refused today.
const REFUSED: usize = 24;

/// What an engine makes of an expression.
#[derive(Debug, PartialEq)]
enum Answer {
    /// Type and rows.
    Rows(String, Vec<Option<String>>),
    /// SQLSTATE.
    Error(String),
    /// Ours alone.
    Refused(String),
}

fn ask_server(client: &mut Client, expression: &str) -> Answer {
    let (value, tail) = split(expression);
    let sql = format!("SELECT pg_typeof(v)::text, v::text FROM (SELECT {value} AS v{tail}) AS q");
    match client.simple_query(&sql) {
        Ok(messages) => {
            let mut rows = Vec::new();
            let mut ty = String::new();
            for message in messages {
                if let postgres::SimpleQueryMessage::Row(row) = message {
                    ty = row.get(0).expect("a type").to_owned();
                    rows.push(row.get(1).map(str::to_owned));
                }
            }
            Answer::Rows(ty, rows)
        }
        Err(error) => Answer::Error(error.code().expect("an SQLSTATE").code().to_owned()),
    }
}

/// `count(x) from t` -> (`count(x)`, ` from t`)
fn split(expression: &str) -> (&str, &str) {
    match expression.find(" from (") {
        // substring('…' from '…') has its own FROM, inside parentheses.
        Some(at)
            if !expression[..at].contains('(')
                || expression[..at].matches('(').count() == expression[..at].matches(')').count() =>
        {
            expression.split_at(at)
        }
        _ => (expression, ""),
    }
}

fn ask_us(connection: &Connection, catalog: &Catalog, expression: &str) -> Answer {
    let settings = Settings {
        calls: 0,
        trigger_depth: 0,
        trusts_functions: false,
        now: "2026-02-09 18:04:11.524".to_owned(),
        time_zone: None,
        collation: None,
        variables: Default::default(),
    };
    let translator = Translator { catalog, settings: &settings, tie: Tie::Least };
    let (value, tail) = split(expression);
    let Ok(parsed) = pg_query::parse(&format!("SELECT {value} AS v{tail}"), 0) else {
        return Answer::Error("42601".to_owned());
    };
    let parsed = parsed.protobuf;
    let node = parsed.stmts[0].stmt.as_ref().and_then(|s| s.node.as_ref()).expect("a statement");
    let plan = match translator.select(node) {
        Ok(plan) => plan,
        Err(Problem::Rejected(error)) => return Answer::Error(error.sqlstate.to_owned()),
        Err(Problem::Unsupported(unsupported)) => return Answer::Refused(unsupported.what),
    };
    let column = &plan.outputs[0];
    let shown = match &column.ty {
        // The server is asked for the value as text, which isn't the form that it writes rows in.
        Type::Bool => format!("CAST({} AS VARCHAR)", column.column),
        ty => match rehearsal::translate::text_of(&column.column, ty, catalog) {
            Ok(shown) => shown,
            Err(_) if matches!(ty, Type::Timestamptz(_)) => format!("CAST({} AS VARCHAR) || '+00'", column.column),
            Err(_) => format!("CAST({} AS VARCHAR)", column.column),
        },
    };
    let run = || -> duckdb::Result<Vec<Option<String>>> {
        let mut statement = connection.prepare(&format!("SELECT {shown} FROM ({}) AS q", plan.sql))?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(row.get(0)?);
        }
        Ok(all)
    };
    match run() {
        Ok(rows) => Answer::Rows(column.ty.name(catalog), rows),
        Err(error) => engine_error(&error.to_string()),
    }
}

/// Rows of a query over several come in any order.
fn unordered(answer: Answer, expression: &str) -> Answer {
    match answer {
        Answer::Rows(ty, mut rows) if expression.contains(" from (") => {
            rows.sort();
            Answer::Rows(ty, rows)
        }
        answer => answer,
    }
}

fn engine_error(message: &str) -> Answer {
    if let Some(rest) = message.split("PG|").nth(1) {
        return Answer::Error(rest[..5].to_owned());
    }
    match message {
        m if m.contains("NS|") => Answer::Refused(m.to_owned()),
        m if m.contains("Overflow") => Answer::Error("22003".to_owned()),
        m => Answer::Refused(format!("the engine says: {m}")),
    }
}

/// The same value, text by text.
fn same(ours: &Answer, server: &Answer) -> bool {
    match (ours, server) {
        (Answer::Rows(our_type, ours), Answer::Rows(their_type, theirs)) => {
            // pg_typeof() names types without their length.
            let name = |ty: &str| {
                let bare: String =
                    ty.split('(').map(|part| part.split_once(')').map_or(part, |(_, rest)| rest)).collect();
                bare.replace("bpchar", "character")
            };
            // Of no rows the server tells no type.
            // A type or a relation leaves a query as its name.
            let theirs_as_ours = name(their_type).replace("unknown", "text").replace("regtype", "text");
            (name(our_type) == theirs_as_ours || theirs.is_empty()) && ours == theirs
        }
        (ours, server) => ours == server,
    }
}

#[test]
fn expressions_agree_or_are_refused() {
    let files = FILES.iter().map(|file| fixtures::folder("semantics").join(file));
    let text: String = files.map(|file| std::fs::read_to_string(file).expect("the expressions")).collect();
    let (agreed, refused) = compare(&text);
    // Refusals are answers, but they may not become more.
    assert!(
        refused.len() <= REFUSED,
        "{} of {} are refused:\n  {}",
        refused.len(),
        agreed + refused.len(),
        refused.join("\n  ")
    );
}

/// Expressions of one's own: `REHEARSAL_EXPRESSIONS=FILE cargo test --release --test postgres own_expressions`.
#[test]
fn own_expressions() {
    if let Ok(file) = std::env::var("REHEARSAL_EXPRESSIONS") {
        let (agreed, refused) = compare(&std::fs::read_to_string(file).expect("the expressions"));
        assert!(refused.is_empty(), "{agreed} agree, {} are refused:\n  {}", refused.len(), refused.join("\n  "));
    }
}

/// How many expressions agree, and those that are refused. None may differ.
fn compare(text: &str) -> (usize, Vec<String>) {
    let database = server::database();
    let mut client = database.client();
    client.batch_execute("SET TimeZone = 'UTC'").expect("a setting");
    let connection = Connection::open_in_memory().expect("DuckDB");
    rehearsal::translate::register_functions(&connection).expect("native functions");
    connection
        .execute_batch("SET integer_division = true; SET default_null_order = 'nulls_last_on_asc_first_on_desc'; SET preserve_insertion_order = false")
        .expect("settings");
    let catalog = Catalog::empty();
    let (mut agreed, mut refused, mut wrong) = (0, Vec::new(), Vec::new());
    for line in text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()) {
        let (server, ours) = (ask_server(&mut client, line), ask_us(&connection, &catalog, line));
        let (server, ours) = (unordered(server, line), unordered(ours, line));
        match &ours {
            Answer::Refused(what) => refused.push(format!("{line}: {what}")),
            _ if same(&ours, &server) => agreed += 1,
            _ => wrong.push(format!("{line}\n    server {server:?}\n    ours   {ours:?}")),
        }
    }
    let listed = refused.join("\n  ");
    assert!(wrong.is_empty(), "{} differ:\n  {}\nrefused:\n  {listed}", wrong.len(), wrong.join("\n  "));
    (agreed, refused)
}
