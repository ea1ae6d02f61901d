//! Generated scripts on both sides: schemas, rows and statements that nobody thought of.
//!
//! Each script goes through a session and a server, statement by statement; verdict, SQLSTATE, row counts and all tables must agree. A
//! script that doesn't is shrunk to the statements that matter and printed as a line for `fixtures/semantics/generated.txt`, where
//! those that were found stay and are run every time. Each run draws the same scripts first, which must agree, and then new ones for
//! half a minute, or for `REHEARSAL_SECONDS`; the seed it begins with is printed, and `REHEARSAL_SEED` draws the same ones again. Of new
//! scripts about one in three hundred still differs, so that only a share beyond that fails the run; each is printed.
//! `REHEARSAL_CASES=5000` draws so many and prints what is refused most.

mod alterations;
pub mod dice;
mod expressions;
mod objects;
mod schema;
mod statements;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use postgres::Client;
use rehearsal::dry_run::session::{Session, Transactions};
use rehearsal::migration::Migration;
use rehearsal::snapshot::{EngineOptions, Snapshot};

use crate::beside::{Beside, Fate};
use crate::scenarios::{empty, options};
use crate::{fixtures, server};
use dice::Dice;
use schema::Schema;

/// Seeds that every run draws, and that agree.
const SEEDS: std::ops::Range<u64> = 700_000..700_080;
/// How long an ordinary run draws new ones.
const SECONDS: u64 = 30;
/// Of a hundred new scripts so many may differ.
const DIFFERENT_PERCENT: usize = 3;
/// From so many statements on their shares mean something.
const MANY: usize = 300;
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
        sql.push(match dice.below(20) {
            0..=5 => alterations::alteration(&mut dice, &mut model),
            6..=8 => objects::object(&mut dice, &mut model),
            _ => statements::statement(&mut dice, &model),
        });
    }
    sql
}

/// An enum's labels as SQL.
fn labels(number: usize) -> String {
    schema::LABELS[number].iter().map(|label| format!("'{label}'")).collect::<Vec<_>>().join(", ")
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
            Fate::Failed(_) => tally.failed += 1,
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
            if beside.are_numbered {
                tally.open += 1;
                return None;
            }
            return Some(format!("after {}\n      table {table}: {what}", statement.sql));
        }
    }
    None
}

/// The line of `fixtures/semantics/generated.txt` that keeps a script.
fn line(script: &[String]) -> String {
    format!("found :: {}", script.join("; "))
}

/// Leaves statements out, the last first, while the script still differs.
fn shrunk(script: &[String], mut differs: impl FnMut(&[String]) -> bool) -> Vec<String> {
    let mut kept = script.to_vec();
    for at in (0..script.len()).rev() {
        let mut fewer = kept.clone();
        fewer.remove(at);
        if !fewer.is_empty() && differs(&fewer) {
            kept = fewer;
        }
    }
    kept
}

/// The number in an environment variable.
fn given(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}: {text} is no number")))
}

/// The seed asked for, or one that no run had before.
fn seed() -> u64 {
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock").as_nanos() as u64;
    given("REHEARSAL_SEED").unwrap_or_else(|| now() % 1_000_000_000_000)
}

#[test]
#[allow(clippy::print_stdout, reason = "a seed is printed to be used again")]
fn generated_scripts_agree_or_are_refused() {
    let database = server::database();
    let mut client = database.client();
    let snapshot = Snapshot::empty(&EngineOptions::default()).expect("nothing to read");
    let mut tally = Tally::default();
    if let Some(cases) = given("REHEARSAL_CASES") {
        long_run(&mut client, &snapshot, seed(), cases, &mut tally);
        return;
    }
    for seed in SEEDS {
        if let Some(what) = difference_of(&mut client, &snapshot, seed, (seed - SEEDS.start) as usize, &mut tally) {
            panic!("{what}");
        }
    }
    let first = seed();
    let budget = Duration::from_secs(given("REHEARSAL_SECONDS").unwrap_or(SECONDS));
    println!("new scripts from REHEARSAL_SEED={first}");
    let (begun, mut drawn, mut found) = (Instant::now(), 0, Vec::new());
    for seed in (first..).take_while(|_| begun.elapsed() < budget) {
        let number = 100_000 + (seed - first) as usize;
        found.extend(difference_of(&mut client, &snapshot, seed, number, &mut tally));
        drawn += 1;
    }
    let most = (drawn * DIFFERENT_PERCENT).div_ceil(100).max(2);
    assert!(found.len() <= most, "{} of {drawn} new scripts differ:\n\n{}", found.len(), found.join("\n\n"));
    found.iter().for_each(|what| println!("{what}\n"));
    let statements = tally.agreed + tally.failed + tally.open + tally.refusals();
    assert!(
        statements < MANY || tally.refusals() * 100 <= statements * REFUSED_PERCENT,
        "{} of {statements} statements are refused: {:?}",
        tally.refusals(),
        tally.refused
    );
}

/// How a seed's script differs, shrunk to what matters; nothing where it agrees.
fn difference_of(
    client: &mut Client,
    snapshot: &Snapshot,
    seed: u64,
    number: usize,
    tally: &mut Tally,
) -> Option<String> {
    let script = script(seed);
    let what = run(client, snapshot, &script, number, tally)?;
    let mut other = Tally::default();
    let small = shrunk(&script, |s| run(client, snapshot, s, number, &mut other).is_some());
    let what = run(client, snapshot, &small, number, &mut other).unwrap_or(what);
    Some(format!("{what}\n\nto run it again: REHEARSAL_CASES=1 REHEARSAL_SEED={seed}\nto keep it:\n{}", line(&small)))
}

/// Many scripts, going on after differences; what was found is printed.
#[allow(clippy::print_stdout, reason = "a long run is started to be read")]
fn long_run(client: &mut Client, snapshot: &Snapshot, seed: u64, cases: u64, tally: &mut Tally) {
    let mut found = 0;
    for case in 0..cases {
        let script = script(seed + case);
        let number = case as usize;
        let Some(first) = run(client, snapshot, &script, number, tally) else { continue };
        found += 1;
        let mut other = Tally::default();
        let small = shrunk(&script, |s| run(client, snapshot, s, number, &mut other).is_some());
        let what = run(client, snapshot, &small, number, &mut other).unwrap_or(first);
        println!("--- seed {}\n{what}\n  {}", seed + case, line(&small));
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
