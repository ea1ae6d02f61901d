//! The three recorded backfills on a real server, beside their replay: every row, every possible answer, every intermediate row.
//!
//! For each row the server is asked for its answer and, separately, for all candidates that tie at the greatest depth. The replay
//! must name exactly those candidates, and its one answer must be the server's where there is only one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use postgres::Client;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rehearsal::query;

use crate::{fixtures, server};

const DEPTH_LIMIT: &str = "10";
/// Rows of the recursive query that one random archive may make on the server.
const FAN_OUT_BUDGET: u64 = 2_000;
const VARIANTS: [(&str, query::Query); 3] = [
    ("applied", query::ROOTS_BACKFILL_APPLIED),
    ("example-3", query::ROOTS_BACKFILL_EXAMPLE_3),
    ("pattern-2", query::ROOTS_BACKFILL_PATTERN_2),
];

/// Rows that have another root than a row of their parent job, among rows whose answer doesn't depend on the plan.
const SPLIT_FAMILIES: &str = "
WITH certain AS (SELECT * FROM llama_logs WHERE id::text = ANY ($1))
SELECT count(*) FROM certain AS child
WHERE EXISTS (
    SELECT FROM certain AS parent
    WHERE parent.job_id = child.parent_job_id AND parent.root_job_id IS DISTINCT FROM child.root_job_id
)";

/// Runs all three forms on the loaded table and compares each with `rehearsal roots SNAP`.
fn check(client: &mut Client, snapshot: &str, rows: usize) {
    client.batch_execute("ALTER TABLE llama_logs ADD COLUMN root_job_id varchar(200)").expect("a new column");
    let folder = tempfile::tempdir().expect("a folder");
    for (variant, backfill) in VARIANTS {
        let file = format!("{variant}.parquet");
        let args = ["roots", snapshot, "--variant", variant, "--output-rows", &file, "--fail-on", "never"];
        let report = fixtures::json(folder.path(), &args, 0);
        let replay = &report["result"]["replay"];
        let predicted = fixtures::rows(
            &folder.path().join(&file),
            &[
                "id",
                "replay_root_job_id",
                "array_to_string(list_sort(coalesce(replay_possible, [replay_root_job_id])), chr(31))",
            ],
        );
        assert_eq!(predicted.len(), rows, "{snapshot}");

        let sql = backfill.text.replace("$1", DEPTH_LIMIT);
        let chain = sql.split("UPDATE llama_logs").next().expect("the recursive query");
        client.batch_execute("UPDATE llama_logs SET root_job_id = NULL").expect("reset");
        client.batch_execute(query::ROOTS_BACKFILL_ROOT_ROWS.text).expect("the first statement");
        client.batch_execute(&sql).expect(variant);
        let answers = pairs(client, "SELECT id::text, root_job_id FROM llama_logs");
        let candidates = pairs(
            client,
            &format!(
                "{chain} SELECT id::text, array_to_string(array_agg(DISTINCT candidate ORDER BY candidate), chr(31)) \
                 FROM chain JOIN (SELECT id, max(depth) AS depth FROM chain GROUP BY id) AS deepest USING (id, depth) GROUP BY id"
            ),
        );
        let made: i64 = client.query_one(&format!("{chain} SELECT count(*) FROM chain"), &[]).expect("a count").get(0);
        let filled = answers.values().filter(|answer| answer.is_some()).count();

        assert_eq!(replay["fan_out_rows"], made, "{snapshot}, {variant}: rows of the recursive query");
        assert_eq!(replay["filled_rows"], filled, "{snapshot}, {variant}: rows filled");
        assert_eq!(replay["null_rows"], rows - filled, "{snapshot}, {variant}: rows left NULL");
        let mut plan_dependent = 0;
        for row in &predicted {
            let id = row[0].as_deref().expect("an id");
            let possible: BTreeSet<&str> =
                row[2].as_deref().filter(|p| !p.is_empty()).map_or_else(BTreeSet::new, split);
            let answer = answers[id].as_deref();
            if let Some(on_server) = candidates.get(id) {
                let tied: BTreeSet<&str> =
                    on_server.as_deref().filter(|p| !p.is_empty()).map_or_else(BTreeSet::new, split);
                assert_eq!(possible, tied, "{snapshot}, {variant}, row {id}: candidates at the greatest depth");
            }
            if possible.len() > 1 {
                plan_dependent += 1;
                assert!(answer.is_some_and(|a| possible.contains(a)), "{snapshot}, {variant}, row {id}: {answer:?}");
            } else {
                assert_eq!(row[1].as_deref(), answer, "{snapshot}, {variant}, row {id}");
            }
        }
        assert_eq!(replay["plan_dependent_rows"], plan_dependent, "{snapshot}, {variant}: rows up to the plan");
        let certain: Vec<&str> = predicted
            .iter()
            .filter(|row| !row[2].as_deref().unwrap_or_default().contains('\u{1f}'))
            .filter_map(|row| row[0].as_deref())
            .collect();
        let split: i64 = client.query_one(SPLIT_FAMILIES, &[&certain]).expect("a count").get(0);
        assert_eq!(
            replay["split_family_rows"], split,
            "{snapshot}, {variant}: rows with another root than their parent's"
        );
    }
}

fn split(text: &str) -> BTreeSet<&str> {
    text.split('\u{1f}').collect()
}

fn pairs(client: &mut Client, sql: &str) -> BTreeMap<String, Option<String>> {
    client.query(sql, &[]).expect(sql).iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[test]
fn the_demo() {
    let database = server::database();
    let mut client = database.client();
    fixtures::load(&mut client, "demo");
    check(&mut client, "demo", 4052);
}

#[test]
fn the_hostile_fixture() {
    let database = server::database();
    let mut client = database.client();
    fixtures::load(&mut client, "hostile");
    let rows: i64 = client.query_one("SELECT count(*) FROM llama_logs", &[]).expect("a count").get(0);
    client.batch_execute("CREATE INDEX ON llama_logs (job_id)").expect("an index");
    check(&mut client, &fixtures::folder("hostile").display().to_string(), rows as usize);
}

/// One row of a random archive: job and parent.
type Edge = (Option<u8>, Option<u8>);

/// A small archive: few jobs and many rows, so that chains, cycles, ties, missing parents and mixed jobs all occur.
fn archive(draw: &mut ChaCha8Rng) -> Vec<Edge> {
    loop {
        let jobs = draw.random_range(2..9u8);
        let rows: Vec<Edge> = (0..draw.random_range(3..15))
            .map(|_| {
                let job = draw.random_bool(0.92).then(|| draw.random_range(0..jobs));
                // One more than there are jobs: some parents are borne by no row.
                let parent = draw.random_bool(0.7).then(|| draw.random_range(0..=jobs));
                (job, parent)
            })
            .collect();
        if fan_out(&rows) <= FAN_OUT_BUDGET {
            return rows;
        }
    }
}

/// Rows of the longest of the recursive queries, counted walk by walk; stops early beyond the budget.
fn fan_out(rows: &[Edge]) -> u64 {
    let mut level: Vec<u8> = rows.iter().filter_map(|row| row.1).collect();
    let mut made = 0;
    for _ in 0..11 {
        made += level.len() as u64;
        if made > FAN_OUT_BUDGET {
            break;
        }
        level = level.iter().flat_map(|id| rows.iter().filter(move |r| r.0 == Some(*id)).filter_map(|r| r.1)).collect();
    }
    made
}

#[test]
fn two_hundred_random_archives() {
    let seed = std::env::var("REHEARSAL_SEED").map_or(20_260_210, |seed| seed.parse().expect("a number"));
    let mut draw = ChaCha8Rng::seed_from_u64(seed);
    let mut values = String::new();
    let mut rows = 0;
    for number in 0..200 {
        let name = |id: Option<u8>| id.map_or("NULL".to_owned(), |id| format!("'{number}:{id}'"));
        for (job, parent) in archive(&mut draw) {
            let comma = if rows == 0 { "" } else { ", " };
            write!(values, "{comma}({rows}, {}, {}, {})", name(job), name(parent), rows % 3 == 0).expect("a string");
            rows += 1;
        }
    }
    let database = server::database();
    let mut client = database.client();
    client
        .batch_execute(&format!(
            "CREATE TABLE llama_logs (id int PRIMARY KEY, job_id varchar(100), parent_job_id varchar(100), is_root_job boolean NOT NULL);
             INSERT INTO llama_logs VALUES {values};
             CREATE INDEX ON llama_logs (job_id)"
        ))
        .expect("the archives");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("llama_logs.parquet").display().to_string();
    let connection = duckdb::Connection::open_in_memory().expect("DuckDB");
    connection
        .execute_batch(&format!(
            "COPY (SELECT * FROM (VALUES {values}) AS t(id, job_id, parent_job_id, is_root_job)) TO '{path}' (FORMAT parquet)"
        ))
        .expect("the archives as Parquet");
    check(&mut client, &path, rows);
}
