//! The migration fixtures on a real server: each ends as its header says, and the rows are what its author means.

use std::collections::{BTreeMap, BTreeSet};

use postgres::Client;
use rehearsal::migration::Migration;

use crate::{cases, fixtures, server};

#[test]
fn every_case_ends_as_its_header_says() {
    for case in cases::all() {
        let database = server::database();
        let mut client = database.client();
        cases::prepare(&mut client, &case);
        let ran = cases::run(&mut client, &cases::read(&[cases::path(&case.name, "migration.sql")]));
        let last = ran.last().expect("a statement");
        assert_eq!(last.error, case.error, "{}: statement {}: {:?}", case.name, last.index, last.message);
    }
}

/// Loads and runs the cases up to this one; returns the connection.
fn run(case: &str) -> (server::Database, Client) {
    let case = cases::case(case);
    let database = server::database();
    let mut client = database.client();
    cases::prepare(&mut client, &case);
    let ran = cases::run(&mut client, &cases::read(&[cases::path(&case.name, "migration.sql")]));
    assert!(ran.iter().all(|r| r.error.is_none()), "{ran:?}");
    (database, client)
}

fn counts(client: &mut Client, sql: &str) -> BTreeMap<String, i64> {
    client.query(sql, &[]).expect(sql).iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn number(client: &mut Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).expect(sql).get(0)
}

#[test]
fn categories_are_the_published_ones() {
    let expected = [("CACHED", 1), ("CORRECTED", 15), ("CREATED", 266), ("ENRICHED", 3770)];
    let expected: BTreeMap<String, i64> = expected.map(|(name, rows)| (name.to_owned(), rows)).into();
    for case in ["category", "category-with-rename"] {
        let (_database, mut client) = run(case);
        let found = counts(&mut client, "SELECT category::text, count(*) FROM llama_logs GROUP BY 1");
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn roots_are_the_published_ones() {
    for (case, own) in [("roots-applied", 3980), ("roots-example-3", 3980), ("roots-pattern-2", 3998)] {
        let (_database, mut client) = run(case);
        assert_eq!(number(&mut client, "SELECT count(root_job_id) FROM llama_logs"), 4010, "{case}");
        let found = number(&mut client, "SELECT count(*) FROM llama_logs WHERE root_job_id = job_id");
        assert_eq!(found, own, "{case}: rows that are their own root");
    }
}

#[test]
fn batch_1_makes_what_its_checks_expect() {
    let (_database, mut client) = run("batch-1");
    let sql = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public' AND indexname LIKE '%\\_idx' AND indexname NOT IN \
               ('Lead_status_created_at_idx', 'Lead_postcode_idx', 'Quote_lead_id_idx', 'Job_lead_id_idx', \
               'Audit_lead_id_created_at_idx')";
    assert_eq!(number(&mut client, sql), 22);
    check_promises(&mut client, "batch-1");
}

/// Runs each query of a case's checks and holds it against the comment behind it, or against `no rows` above it.
fn check_promises(client: &mut Client, case: &str) {
    let checks = cases::read(&[cases::path(case, "checks.sql")]);
    for statement in &checks.statements {
        let rows = client.query(statement.sql.as_str(), &[]).expect(&statement.sql);
        let promises = checks.files[0].promises.iter().filter(|p| p.statement == Some(statement.index));
        let figures: Vec<_> = promises.flat_map(|p| &p.figures).collect();
        if figures.is_empty() {
            assert!(statement.comments.iter().any(|c| c.text.ends_with("no rows")), "{case}: {}", statement.sql);
            assert_eq!(rows.len(), 0, "{case}: {}", statement.sql);
        }
        for (name, expected) in figures {
            assert_eq!(
                rows[0].get::<_, i64>(name.as_str()),
                i64::try_from(*expected).expect("small"),
                "{case}: {name}"
            );
        }
    }
}

/// The customers that `fixtures/leads/customers.csv` labels by hand, as sets of leads.
fn labelled() -> BTreeSet<BTreeSet<String>> {
    let text = std::fs::read_to_string(fixtures::folder("leads").join("customers.csv")).expect("the labels");
    let mut groups: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let mut fields = line.splitn(3, ',');
        let (lead, customer) = (fields.next().expect("a lead"), fields.next().expect("a customer"));
        groups.entry(customer).or_default().insert(lead.to_owned());
    }
    groups.into_values().collect()
}

#[test]
fn batch_2_finds_the_labelled_customers() {
    let (_database, mut client) = run("batch-2");
    check_promises(&mut client, "batch-2");
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in client.query("SELECT customer_id::text, id::text FROM \"Lead\"", &[]).expect("leads") {
        found.entry(row.get(0)).or_default().insert(row.get(1));
    }
    assert_eq!(found.into_values().collect::<BTreeSet<_>>(), labelled());
    let messages = number(&mut client, "SELECT count(*) FROM \"Message\"");
    let sql = "SELECT count(*) FROM \"Audit\" WHERE lead_id IS NOT NULL AND \"stateMetadata\"->>'role' IS NOT NULL";
    assert_eq!(messages, number(&mut client, sql));
    assert!(messages > 100);
}

/// The catalog and the rows, as one text.
fn state(client: &mut Client) -> String {
    const CATALOG: &str = "
        SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
            SELECT table_name || '.' || column_name || ' ' || udt_name || ' ' || is_nullable || coalesce(column_default, '')
            FROM information_schema.columns WHERE table_schema = 'public'
            UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL SELECT conrelid::regclass || conname || pg_get_constraintdef(oid)
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace
            UNION ALL SELECT t.typname || '=' || e.enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
        ) AS lines (line)";
    let mut text: String = client.query_one(CATALOG, &[]).expect("the catalog").get(0);
    for (table, columns) in
        counts(client, "SELECT tablename::text, 1::bigint FROM pg_tables WHERE schemaname = 'public'")
    {
        let sql =
            format!("SELECT md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM \"{table}\" AS t");
        text += &format!("\n{table} {columns} {}", client.query_one(&sql, &[]).expect(&sql).get::<_, String>(0));
    }
    text
}

#[test]
fn roll_backs_restore_everything_and_the_hostile_ones_do_not() {
    for (case, file, restored) in [
        ("batch-1", "rollback.sql", true),
        ("batch-1", "rollback-hostile.sql", false),
        ("batch-2", "rollback.sql", true),
        ("batch-2", "rollback-hostile.sql", false),
    ] {
        let before = {
            let database = server::database();
            let mut client = database.client();
            cases::prepare(&mut client, &cases::case(case));
            state(&mut client)
        };
        let (_database, mut client) = run(case);
        assert_ne!(state(&mut client), before, "{case}");
        let ran = cases::run(&mut client, &cases::read(&[cases::path(case, file)]));
        let failed = ran.last().expect("a statement").error.is_some();
        assert_eq!(state(&mut client) == before && !failed, restored, "{case}/{file}: {ran:?}");
    }
}

/// Texts that don't parse, each in another way.
const BROKEN: [&str; 16] = [
    "SELEC 1",
    "SELECT 1;\n-- é\nSELECT 'é' FORM t WHERE x",
    "SELECT a, b, FROM t",
    "SELECT (1",
    "UPDATE t SET a = 1 WHERE a = 1 AND WHERE b = 2",
    "CREATE TABLE t (a int, b int,)",
    "CREATE TABLE t (\n    a int\n    b int\n)",
    "INSERT INTO t VALUES (1, 2",
    "ALTER TABLE t ADD COLUMN a int NOT NUL",
    "DELETE t WHERE a = 1",
    "SELECT * FROM a JOIN b ON WHERE 1 = 1",
    "CREATE INDEX i ON t (a) WHERE",
    "SELECT 'it''s",
    "SELECT 1; SELECT \"open",
    "DO $body$ BEGIN END",
    "ALTER TYPE t ADD VALUE NOT 'x' BEFORE 'é' 'z'",
];

#[test]
fn syntax_errors_stand_where_the_server_puts_them() {
    let database = server::database();
    let mut client = database.client();
    for sql in BROKEN {
        let error = client.simple_query(sql).expect_err(sql);
        let error = error.as_db_error().expect("an error of the server");
        let Some(postgres::error::ErrorPosition::Original(position)) = error.position() else { panic!("{error:?}") };
        let before: String = sql.chars().take(*position as usize - 1).collect();
        let (line, column) = (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or_default());
        let place = format!("m.sql:{line}:{}: ", column.chars().count() + 1);
        let ours = Migration::from_text("m.sql", sql).map(|_| ()).expect_err(sql).to_string();
        let message = ours.lines().next().and_then(|first| first.strip_prefix(&place));
        assert!(message.is_some_and(|m| error.message().starts_with(m)), "{sql}\n{error:?}\n{ours}");
    }
}
