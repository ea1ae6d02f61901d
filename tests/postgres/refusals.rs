//! Statements that the server refuses: in a rehearsal the same SQLSTATE, message and hint.
//!
//! `fixtures/semantics/refusals.txt` makes its tables in the lines before the first blank one; each line after it is a statement of its
//! own. A hint is compared where the server gives one: ours may say more.

use rehearsal::dry_run::report::Verdict;
use rehearsal::dry_run::session::{Options, Session, Transactions};
use rehearsal::migration::Migration;
use rehearsal::snapshot::{EngineOptions, Snapshot};

use crate::{fixtures, server};

/// Statements that can't be rehearsed.
const UNSUPPORTED: usize = 12;

/// An error: SQLSTATE, message, hint.
type Refusal = Option<(String, String, Option<String>)>;

fn ask_server(client: &mut postgres::Client, sql: &str) -> Refusal {
    client.batch_execute("BEGIN").expect("a transaction");
    let refusal = client.simple_query(sql).err().map(|error| {
        let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}"));
        (error.code().code().to_owned(), error.message().to_owned(), error.hint().map(str::to_owned))
    });
    client.batch_execute("ROLLBACK").expect("the end of the transaction");
    refusal
}

#[test]
fn what_the_server_refuses_is_refused_in_its_words() {
    let text = std::fs::read_to_string(fixtures::folder("semantics").join("refusals.txt")).expect("the statements");
    let (setup, statements) = text.split_once("\n\n").expect("a blank line");
    let lines = |text: &str| {
        text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let (setup, statements) = (lines(setup), lines(statements));
    let database = server::database();
    let mut client = database.client();
    client.batch_execute(&setup.join(";")).expect("the tables");

    let snapshot = Snapshot::open("demo", &EngineOptions::default()).expect("the demo");
    let options = Options { transactions: Transactions::None, ..Options::default() };
    let (mut left, mut wrong) = (Vec::new(), Vec::new());
    // Each in a session of its own few: one that is wrongly accepted must not change what the next ones see.
    for (number, statement) in statements.iter().enumerate() {
        let script = format!("{};\n{statement};", setup.join(";\n"));
        let Ok(migration) = Migration::from_text("script.sql", &script) else {
            wrong.push(format!("{statement}\n    isn't read"));
            continue;
        };
        let mut session =
            Session::new(&snapshot, &format!("refusal{number}"), &[&migration], options.clone()).expect("a session");
        let mut report = None;
        for statement in &migration.statements {
            report = Some(session.run(&migration, statement).expect("no interrupt"));
        }
        let report = report.expect("a statement");
        if report.verdict == Verdict::Unsupported {
            left.push(format!("{statement}: {}", report.unsupported.map_or_else(String::new, |u| u.what)));
            continue;
        }
        let ours = report.error.map(|error| (error.sqlstate, error.message, error.hint));
        let theirs = ask_server(&mut client, statement);
        let same = match (&ours, &theirs) {
            (Some(ours), Some(theirs)) => {
                ours.0 == theirs.0 && ours.1 == theirs.1 && (theirs.2.is_none() || ours.2 == theirs.2)
            }
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        if !same {
            wrong.push(format!("{statement}\n    server {theirs:?}\n    ours   {ours:?}"));
        }
    }
    assert!(
        wrong.is_empty() && left.len() <= UNSUPPORTED,
        "{} differ:\n  {}\n{} can't be rehearsed:\n  {}",
        wrong.len(),
        wrong.join("\n  "),
        left.len(),
        left.join("\n  ")
    );
}
