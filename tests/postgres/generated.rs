//! Generated scripts on both sides: schemas, rows and statements that nobody thought of.
//!
//! Each script goes through a session and a server, statement by statement; verdict, SQLSTATE, row counts and all tables must agree. A
//! script that doesn't is shrunk to the statements that matter and printed as a line for `fixtures/semantics/generated.txt`, where
//! those that were found stay. An ordinary run draws the same scripts every time, so that a change is judged by what it changes;
//! `REHEARSAL_CASES=5000` draws so many from a new seed, goes on after a difference and prints what is refused most.

mod alterations;
mod dice;
mod expressions;
mod schema;
mod statements;

use std::collections::BTreeMap;

use postgres::Client;
use proptest::prelude::*;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::{Config, TestError, TestRng, TestRunner};
use rehearsal::dry_run::session::{Session, Transactions};
use rehearsal::migration::Migration;
use rehearsal::snapshot::{EngineOptions, Snapshot};

use crate::beside::{Beside, Fate};
use crate::scenarios::{empty, options};
use crate::{fixtures, server};
use dice::Dice;
use schema::Schema;

/// Scripts in an ordinary run.
const CASES: u32 = 100;
/// Of a hundred statements so many may be refused: an answer that is allowed to exist, not to become common.
const REFUSED_PERCENT: usize = 40;

/// A script from a seed.
fn script(seed: u64) -> Vec<String> {
    let mut dice = Dice::new(seed);
    let mut model = Schema::default();
    let mut sql: Vec<String> = (0..2).map(|n| format!("CREATE TYPE e{n} AS ENUM ({})", labels(n))).collect();
    for _ in 0..dice.between(1, 3) {
        sql.push(schema::create_table(&mut dice, &mut model));
    }
    for table in model.tables.clone() {
        for _ in 0..dice.between(1, 2) {
            sql.push(statements::insert_values(&mut dice, &model, &table));
        }
    }
    for _ in 0..dice.between(4, 12) {
        sql.push(if dice.percent(30) {
            alterations::alteration(&mut dice, &mut model)
        } else {
            statements::statement(&mut dice, &model)
        });
    }
    sql
}

/// An enum's labels as SQL.
fn labels(number: usize) -> String {
    schema::LABELS[number].iter().map(|label| format!("'{label}'")).collect::<Vec<_>>().join(", ")
}

/// Scripts for proptest: smaller ones are those with statements left out, the last first.
#[derive(Debug, Clone, Copy)]
struct Scripts;

struct Shrinking {
    statements: Vec<String>,
    kept: Vec<bool>,
    /// The statement to be left out next, counted from the end.
    next: usize,
    /// The one left out last.
    tried: Option<usize>,
}

impl Strategy for Scripts {
    type Tree = Shrinking;
    type Value = Vec<String>;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Scripts> {
        let seed = any::<u64>().no_shrink().new_tree(runner)?.current();
        let statements = script(seed);
        let kept = vec![true; statements.len()];
        Ok(Shrinking { statements, kept, next: 0, tried: None })
    }
}

impl ValueTree for Shrinking {
    type Value = Vec<String>;

    fn current(&self) -> Vec<String> {
        self.statements.iter().zip(&self.kept).filter(|(_, kept)| **kept).map(|(s, _)| s.clone()).collect()
    }

    fn simplify(&mut self) -> bool {
        if self.next >= self.statements.len() {
            return false;
        }
        let at = self.statements.len() - 1 - self.next;
        self.next += 1;
        self.kept[at] = false;
        self.tried = Some(at);
        true
    }

    fn complicate(&mut self) -> bool {
        let Some(at) = self.tried.take() else { return false };
        self.kept[at] = true;
        true
    }
}

/// What came of the statements of all scripts.
#[derive(Debug, Default)]
struct Tally {
    agreed: usize,
    failed: usize,
    open: usize,
    refused: BTreeMap<String, usize>,
}

impl Tally {
    fn refusals(&self) -> usize {
        self.refused.values().sum()
    }
}

/// Runs a script on both sides; the first difference, if there is one.
fn run(
    client: &mut Client,
    snapshot: &Snapshot,
    script: &[String],
    number: usize,
    tally: &mut Tally,
) -> Option<String> {
    empty(client);
    let migration = Migration::from_text("script.sql", &script.join(";\n")).expect("what is generated can be read");
    let session = Session::new(snapshot, &format!("gen{number}"), &[&migration], options(Transactions::None));
    let mut beside = Beside::new(client, session.expect("a session"));
    for statement in &migration.statements {
        match beside.run(&migration, statement) {
            Fate::Agreed => tally.agreed += 1,
            Fate::Failed => tally.failed += 1,
            Fate::Refused(what) => {
                *tally.refused.entry(what).or_default() += 1;
                continue;
            }
            Fate::Open(_) => {
                tally.open += 1;
                return None;
            }
            Fate::Different(what) => return Some(format!("{}\n      {what}", statement.sql)),
        }
        if let Some((table, what)) = beside.compare_tables(None) {
            return Some(format!("after {}\n      table {table}: {what}", statement.sql));
        }
    }
    None
}

/// The line of `fixtures/semantics/generated.txt` that keeps a script.
fn line(script: &[String]) -> String {
    format!("found :: {}", script.join("; "))
}

/// Leaves statements out while the script still differs.
fn shrunk(script: &[String], mut differs: impl FnMut(&[String]) -> bool) -> Vec<String> {
    let mut tree = Shrinking { statements: script.to_vec(), kept: vec![true; script.len()], next: 0, tried: None };
    while tree.simplify() {
        if !differs(&tree.current()) {
            tree.complicate();
        }
    }
    tree.current()
}

#[test]
fn generated_scripts_agree_or_are_refused() {
    let database = server::database();
    let mut client = database.client();
    let snapshot = Snapshot::empty(&EngineOptions::default()).expect("nothing to read");
    let mut tally = Tally::default();
    if let Ok(cases) = std::env::var("REHEARSAL_CASES") {
        long_run(&mut client, &snapshot, cases.parse().expect("a number of cases"), &mut tally);
        return;
    }
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let cell = std::cell::RefCell::new((client, &mut tally, 0));
    let drawn = TestRng::deterministic_rng(config.rng_algorithm);
    let result = TestRunner::new_with_rng(config, drawn).run(&Scripts, |script| {
        let (client, tally, number) = &mut *cell.borrow_mut();
        *number += 1;
        match run(client, &snapshot, &script, *number, tally) {
            Some(what) => Err(TestCaseError::fail(what)),
            None => Ok(()),
        }
    });
    if let Err(TestError::Fail(what, script)) = result {
        panic!("{what}\n\nto keep it:\n{}", line(&script));
    }
    let statements = tally.agreed + tally.failed + tally.open + tally.refusals();
    assert!(
        tally.refusals() * 100 <= statements * REFUSED_PERCENT,
        "{} of {statements} statements are refused: {:?}",
        tally.refusals(),
        tally.refused
    );
}

/// Many scripts, going on after differences; what was found is printed.
#[allow(clippy::print_stdout, reason = "a long run is started to be read")]
fn long_run(client: &mut Client, snapshot: &Snapshot, cases: usize, tally: &mut Tally) {
    let seed = std::env::var("REHEARSAL_SEED").ok().and_then(|text| text.parse::<u64>().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) * 1_000_003);
    let mut found = 0;
    for case in 0..cases {
        let script = script(seed + case as u64);
        let Some(first) = run(client, snapshot, &script, case, tally) else { continue };
        found += 1;
        let mut other = Tally::default();
        let small = shrunk(&script, |s| !s.is_empty() && run(client, snapshot, s, case, &mut other).is_some());
        let what = run(client, snapshot, &small, case, &mut other).unwrap_or(first);
        println!("--- seed {}\n{what}\n  {}", seed + case as u64, line(&small));
    }
    println!(
        "{cases} scripts from seed {seed}: {found} differ; statements: {} agree, {} fail alike, {} open, {} refused",
        tally.agreed,
        tally.failed,
        tally.open,
        tally.refusals()
    );
    let mut refused: Vec<_> = tally.refused.iter().collect();
    refused.sort_by_key(|(what, count)| (std::cmp::Reverse(**count), (*what).clone()));
    for (what, count) in refused.iter().take(60) {
        println!("{count:6} {what}");
    }
}

#[test]
fn scripts_that_differed_agree_now() {
    let database = server::database();
    let mut client = database.client();
    let snapshot = Snapshot::empty(&EngineOptions::default()).expect("nothing to read");
    let text = std::fs::read_to_string(fixtures::folder("semantics").join("generated.txt")).expect("the scripts");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    for (number, line) in lines.enumerate() {
        let (title, sql) = line.split_once(" :: ").expect("a title");
        let script: Vec<String> = vec![sql.to_owned()];
        if let Some(what) = run(&mut client, &snapshot, &script, 100_000 + number, &mut tally) {
            wrong.push(format!("{title}: {what}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tally.refusals() <= 20, "{:?}", tally.refused);
}
