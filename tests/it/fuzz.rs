//! Any text, and any mutation of SQL that is in the fixtures: the reader, the catalog, the translator and a session neither panic nor
//! hang, and what goes wrong is the statement's verdict, never an error of the tool.
//!
//! A fixed budget of new seeds at every run; `REHEARSAL_CASES=20000` makes a long one.

use std::cell::OnceCell;
use std::path::Path;
use std::time::{Duration, Instant};

use pg_query::NodeEnum;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rehearsal::catalog::{Catalog, TransactionState, ddl, locks};
use rehearsal::dry_run::session::{Options, Session, Transactions};
use rehearsal::migration::Migration;
use rehearsal::snapshot::{EngineOptions, Snapshot};
use rehearsal::translate::{Settings, Tie, Translator};

/// Longer than any script here may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Words that stand anywhere in SQL, and some that stand nowhere.
const WORDS: &[&str] = &[
    "NULL",
    "'x'",
    "''",
    "0",
    "-1",
    "99999999999999999999",
    "1e400",
    "t",
    "id",
    "*",
    "(",
    ")",
    ",",
    "::int",
    "::text[]",
    "::jsonb",
    "DEFAULT",
    "ARRAY[]",
    "'{'",
    "'2024-13-01'",
    "interval '1 day'",
    "$1",
    "$$ $$",
    "/*",
    "--",
    "\"",
    "E'\\x'",
    "AS",
    "FROM",
    "WHERE",
    "ON CONFLICT DO NOTHING",
    "CASCADE",
    "unnest(ARRAY[1,2])",
    "row_number() OVER ()",
    "(SELECT 1)",
    "ROW(1,2)",
    "excluded.id",
    "pg_catalog.int4",
    "IS NULL",
    "NOT",
    "''''",
    "ÄÖ",
    "\u{0}",
    "\u{1f600}",
];

/// All SQL of the fixtures: migrations, and the scripts of `semantics`.
fn fixtures_sql() -> Vec<String> {
    fn walk(folder: &Path, texts: &mut Vec<String>) {
        let entries = std::fs::read_dir(folder).expect("a folder of fixtures");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        for path in paths {
            let read = || std::fs::read_to_string(&path).expect("a fixture");
            match path.extension().and_then(|e| e.to_str()) {
                _ if path.is_dir() => walk(&path, texts),
                Some("sql") => texts.push(read()),
                Some("txt") if path.parent().is_some_and(|p| p.ends_with("semantics")) => {
                    texts.extend(read().lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(script_of));
                }
                _ => {}
            }
        }
    }
    let mut texts = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"), &mut texts);
    texts.retain(|text| text.len() < 20_000);
    assert!(texts.len() > 100, "the fixtures hold SQL");
    texts
}

/// The SQL of a line of `semantics`: a script behind its title, or an expression.
fn script_of(line: &str) -> String {
    line.split_once(" :: ").map_or_else(|| format!("SELECT {line}"), |(_, script)| script.to_owned())
}

/// Words, numbers, strings, blanks and signs.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut last = ' ';
    for c in text.chars() {
        let class = |c: char| if c.is_alphanumeric() || c == '_' { 'w' } else { c };
        match tokens.last_mut() {
            Some(token) if class(c) == class(last) => token.push(c),
            _ => tokens.push(c.to_string()),
        }
        last = c;
    }
    tokens
}

/// What is done to a script.
#[derive(Debug, Clone)]
enum Mutation {
    Drop(Index),
    Double(Index),
    Swap(Index, Index),
    Word(Index, &'static str),
    /// A piece of another script.
    Graft(Index, Index, Index, usize),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let one = prop_oneof![
        any::<Index>().prop_map(Mutation::Drop),
        any::<Index>().prop_map(Mutation::Double),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        (any::<Index>(), select(WORDS)).prop_map(|(at, word)| Mutation::Word(at, word)),
        (any::<Index>(), any::<Index>(), any::<Index>(), 1_usize..12)
            .prop_map(|(a, b, c, n)| Mutation::Graft(a, b, c, n)),
    ];
    proptest::collection::vec(one, 0..5)
}

fn mutated(corpus: &[String], which: &Index, mutations: &[Mutation]) -> String {
    let mut words = tokens(&corpus[which.index(corpus.len())]);
    for mutation in mutations.iter().filter(|_| !corpus.is_empty()) {
        if words.is_empty() {
            break;
        }
        let len = words.len();
        match mutation {
            Mutation::Drop(at) => drop(words.remove(at.index(len))),
            Mutation::Double(at) => words.insert(at.index(len), words[at.index(len)].clone()),
            Mutation::Swap(a, b) => words.swap(a.index(len), b.index(len)),
            Mutation::Word(at, word) => words[at.index(len)] = format!(" {word} "),
            Mutation::Graft(at, script, from, count) => {
                let other = tokens(&corpus[script.index(corpus.len())]);
                let from = from.index(other.len().max(1));
                let piece: Vec<String> = other.into_iter().skip(from).take(*count).collect();
                let at = at.index(len);
                words.splice(at..at, piece);
            }
        }
    }
    words.concat()
}

/// Reads every statement as a rehearsal would, on an empty catalog.
fn read(text: &str) {
    let Ok(migration) = Migration::from_text("fuzz.sql", text) else { return };
    let settings = Settings {
        calls: 0,
        trigger_depth: 0,
        trusts_functions: false,
        now: "2026-02-09 18:04:11.524".to_owned(),
        time_zone: None,
        collation: None,
        variables: Default::default(),
    };
    let mut catalog = Catalog::empty();
    let state = TransactionState { in_block: false };
    for statement in &migration.statements {
        locks(&catalog, &statement.node);
        let translator = Translator { catalog: &catalog, settings: &settings, tie: Tie::Least };
        match &statement.node {
            NodeEnum::InsertStmt(_) | NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_) => {
                drop(translator.write(&statement.node));
            }
            NodeEnum::SelectStmt(select) if select.into_clause.is_none() => drop(translator.select(&statement.node)),
            node => {
                let query = ddl::table_query(node).and_then(|query| query.node);
                let columns = query.and_then(|query| translator.select(&query).ok());
                let applied = catalog.apply(node, &state);
                if let (Ok(None), Some(plan)) = (&applied, columns) {
                    let columns = plan.outputs.into_iter().map(|output| (output.name, output.ty)).collect();
                    drop(catalog.create_table_as(node, columns, &state));
                }
                catalog.commit_transaction();
            }
        }
    }
}

fn in_time(text: &str, work: impl FnOnce()) {
    let begun = Instant::now();
    work();
    assert!(begun.elapsed() < PATIENCE, "{:?} for {text}", begun.elapsed());
}

/// So many, or as many as a long run asks for.
fn cases(ordinary: u32) -> u32 {
    std::env::var("REHEARSAL_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(ordinary)
}

thread_local! {
    static CORPUS: OnceCell<Vec<String>> = const { OnceCell::new() };
    static SNAPSHOT: OnceCell<Snapshot> = const { OnceCell::new() };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(400), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        in_time(&text, || read(&text));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        in_time(&text, || read(&text));
    }

    #[test]
    fn mutated_sql_is_read_or_refused(which in any::<Index>(), mutations in mutations()) {
        let text = CORPUS.with(|corpus| mutated(corpus.get_or_init(fixtures_sql).as_slice(), &which, &mutations));
        in_time(&text, || read(&text));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(40), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_scripts_run_to_a_verdict(which in any::<Index>(), mutations in mutations(), number in any::<u32>()) {
        let text = CORPUS.with(|corpus| mutated(corpus.get_or_init(fixtures_sql).as_slice(), &which, &mutations));
        // Generated rows by the million are a matter of speed.
        prop_assume!(!text.contains("0000"));
        let Ok(migration) = Migration::from_text("fuzz.sql", &text) else { return Ok(()) };
        SNAPSHOT.with(|snapshot| {
            let snapshot = snapshot.get_or_init(|| Snapshot::empty(&EngineOptions::default()).expect("nothing to read"));
            let options = Options { transactions: Transactions::None, row_budget: 10_000, ..Options::default() };
            let mut session = Session::new(snapshot, &format!("fuzz{number}"), &[&migration], options).expect("a session");
            in_time(&text, || {
                if let Err(error) = session.run_all(&migration) {
                    panic!("an error of the tool: {error:#}\n{text}");
                }
            });
        });
    }
}

#[test]
fn what_is_deep_or_long_ends() {
    let deep = |open: &str, close: &str| format!("SELECT {}1{}", open.repeat(3000), close.repeat(3000));
    let texts = [
        deep("(", ")"),
        deep("coalesce(", ")"),
        deep("(SELECT ", ")"),
        deep("- ", ""),
        format!("SELECT 1{}", " + 1".repeat(5000)),
        format!("SELECT 'a'{}", " || 'a'".repeat(5000)),
        format!("SELECT 1 WHERE true{}", " AND 1 = 1".repeat(5000)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(3000)),
        format!("SELECT CASE {} END", "WHEN true THEN 1 ".repeat(3000)),
        format!("SELECT {}", vec!["1"; 3000].join(", ")),
        "/*".repeat(5000),
        "$a$".repeat(2001),
        "'".repeat(2001),
        ";".repeat(100_000),
        "SELECT 1;".repeat(20_000),
    ];
    for text in texts {
        in_time(&text[..40], || read(&text));
    }
}
