//! A session: statements run one after the other, as a client would send them.
//!
//! Input: a snapshot, statements. Output: a [`StatementReport`] for each, and a state that can be asked. Invariants: what the server
//! takes back at an error is taken back here, by starting again from the snapshot with the statements that were committed; a
//! statement that can't be told leaves its tables marked, and every later statement that reads them is named.
//! Left out: two-phase commit.

mod batch;
mod binding;
mod body;
mod calls;
pub(super) mod claims;
mod configuration;
mod held;
mod moments;
mod outcome;
mod partitions;
mod pending;
mod points;
mod prepared;
mod run;
mod sequences;
mod statement;
mod taint;
mod transaction;
mod triggers;

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Result, anyhow};
use indicatif::ProgressBar;

use super::engine::{Engine, Halt};
pub use super::execution::DEFAULT_ROW_BUDGET;
use super::expect::{Figures, Row};
use super::recognition::Recognition;
use super::report::StatementReport;
use super::schema::Provenance;
use super::store::Store;
use crate::catalog::locks::LockMode;
use crate::catalog::{Catalog, Numbers, Oid, Outcome, Problem};
use crate::migration::{Migration, Statement};
use crate::snapshot::Snapshot;
use crate::snapshot::manifest::Source;
use crate::translate::{Settings, Variables};
use crate::ui::hinted;
pub use body::DEFAULT_STEP_BUDGET;
use held::Held;
pub(super) use statement::shown;
use transaction::Block;
pub use transaction::Transactions;

/// How a migration is sent.
#[derive(Debug, Clone)]
pub struct Options {
    /// What makes a transaction.
    pub transactions: Transactions,
    /// Rows a recursive query may make.
    pub row_budget: u64,
    /// Statements and rounds of loops that a body in PL/pgSQL may run.
    pub step_budget: u64,
    /// Sample rows.
    pub samples: usize,
    /// Moves on by one at each statement of the migration, the roll-back and the version compared with.
    pub progress: Option<ProgressBar>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            transactions: Transactions::PerFile,
            row_budget: DEFAULT_ROW_BUDGET,
            step_budget: DEFAULT_STEP_BUDGET,
            samples: 5,
            progress: None,
        }
    }
}

/// A rehearsal under way.
pub struct Session<'s> {
    pub(super) store: Store<'s>,
    /// The schema now.
    pub(super) catalog: Catalog,
    /// The schema in the snapshot.
    pub(super) base: Catalog,
    pub(super) settings: Settings,
    /// The server's zone, where it isn't UTC.
    server_zone: Option<String>,
    /// The time of the first transaction.
    started: String,
    options: Options,
    /// Reports so far, in order.
    reports: Vec<StatementReport>,
    /// First rows of queries, by statement.
    first_rows: BTreeMap<usize, Row>,
    /// Statements that were committed.
    committed: Vec<Sent>,
    /// Statements of the transaction under way.
    open: Vec<Sent>,
    block: Block,
    /// File of the last statement: a new one begins a new transaction.
    file: Option<(usize, usize)>,
    /// An error ended the run.
    stopped: bool,
    /// Tables whose rows can't be told, with the statement to blame.
    unreliable: BTreeMap<Oid, usize>,
    /// The same at the last commit.
    unreliable_before: BTreeMap<Oid, usize>,
    /// Migrations begun: a file's number means something only within one.
    migrations: usize,
    /// The text of all statements, in lower case, as they were announced.
    outlook: Vec<String>,
    /// Locks taken, in order.
    locks: Vec<TakenLock>,
    /// Transactions ended so far.
    ended: usize,
    /// Ladders and walks among the statements that ran.
    pub(super) recognition: Recognition,
    /// Which statement made what.
    pub(super) provenance: Provenance,
    /// Savepoints of the transaction under way, the last one last.
    savepoints: Vec<transaction::Savepoint>,
    /// Writes under way whose triggers run.
    nesting: usize,
    /// Deferred constraints that rows of the transaction under way have broken, to be checked at its end.
    deferred: BTreeMap<Oid, super::verification::Side>,
    /// Triggers that wait for its end.
    waiting: Vec<triggers::Waiting>,
    /// Tables with checks that wait for its end.
    pending: pending::Pending,
    /// Committed statements are run again.
    replaying: bool,
    /// Bodies under way.
    bodies: usize,
    /// Calls that are being made for a statement's rows, the innermost last.
    call_effects: Vec<calls::CallEffects>,
    /// Tables that volatile functions have read for the statement under way.
    read_by_calls: std::collections::BTreeSet<Oid>,
    /// The error under way is one that the migration raises itself.
    raised: bool,
    /// Statements kept by PREPARE.
    prepared: BTreeMap<String, prepared::Prepared>,
    /// What the snapshot holds otherwise than the server.
    held: Held,
}

/// A lock that a statement takes; its transaction keeps it.
#[derive(Debug, Clone)]
pub(super) struct TakenLock {
    pub(super) statement: usize,
    pub(super) transaction: usize,
    pub(super) table: String,
    pub(super) mode: LockMode,
}

/// A statement that was sent, or a batch of them as one.
#[derive(Clone)]
struct Sent {
    statement: Statement,
    /// Its report; of a batch, those of its statements.
    reports: Range<usize>,
    /// It couldn't be told, so that nothing has happened.
    unsupported: bool,
    /// Where the sequences stood before it: numbers that a failed statement took are gone.
    numbers: Vec<(Oid, Option<Numbers>)>,
    /// It stood in a transaction block.
    in_block: bool,
    /// It was the last one of its transaction.
    ends: bool,
    /// Transactions that had ended before it.
    moment: usize,
}

impl<'s> Session<'s> {
    /// A session on a snapshot; `name` tells its tables from another session's on the same one. `migrations` are those that will
    /// be run: columns they name are loaded with their tables.
    ///
    /// # Errors
    /// A snapshot without a catalog (bare Parquet), or one that can't be read.
    pub fn new(snapshot: &'s Snapshot, name: &str, migrations: &[&Migration], options: Options) -> Result<Session<'s>> {
        let Some(manifest) = &snapshot.manifest else {
            return Err(hinted(
                anyhow!("{} has no catalog: keys, types and constraints aren't known", snapshot.source),
                "a dry run needs a snapshot made by `rehearsal export`, or `demo`",
            ));
        };
        let base = Catalog::from_manifest(manifest)?;
        let engine = Engine::attach(snapshot.connection(), name)?;
        let statements = migrations.iter().flat_map(|migration| &migration.statements);
        let outlook: Vec<String> = statements.map(|statement| statement.sql.to_lowercase()).collect();
        let zone = match &manifest.source {
            Source::Postgres(server) => server.time_zone.as_str(),
            Source::Synthetic { .. } | Source::Empty => "UTC",
        };
        engine.set_zone(zone)?;
        let started = manifest.captured_at.trim_end_matches('Z').replace('T', " ");
        engine.set_now(&started)?;
        let store = Store::new(engine, snapshot, base.clone(), &outlook.join("\n"));
        let (time_zone, collation) = match &manifest.source {
            Source::Postgres(server) => (Some(server.time_zone.clone()), server.collation.clone()),
            Source::Synthetic { .. } | Source::Empty => (None, None),
        };
        let server_zone = time_zone.and_then(configuration::other_than_utc);
        let held = Held::of(manifest, &base);
        let settings = Settings {
            calls: 0,
            trigger_depth: 0,
            trusts_functions: false,
            now: started.clone(),
            time_zone: server_zone.clone(),
            variables: Variables::default(),
            collation: collation.filter(|name| !["C", "POSIX", "C.UTF-8", "C.utf8"].contains(&name.as_str())),
        };
        Ok(Session {
            store,
            catalog: base.clone(),
            base,
            settings,
            server_zone,
            started,
            options,
            reports: Vec::new(),
            first_rows: BTreeMap::new(),
            committed: Vec::new(),
            open: Vec::new(),
            block: Block::None,
            file: None,
            stopped: false,
            unreliable: BTreeMap::new(),
            unreliable_before: BTreeMap::new(),
            migrations: 0,
            outlook,
            locks: Vec::new(),
            ended: 0,
            recognition: Recognition::default(),
            provenance: Provenance::default(),
            savepoints: Vec::new(),
            nesting: 0,
            deferred: BTreeMap::new(),
            waiting: Vec::new(),
            pending: pending::Pending::new(),
            replaying: false,
            bodies: 0,
            call_effects: Vec::new(),
            read_by_calls: std::collections::BTreeSet::new(),
            raised: false,
            prepared: BTreeMap::new(),
            held,
        })
    }

    /// The schema as it stands.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Reports so far: a later failure marks earlier ones as rolled back.
    pub fn reports(&self) -> &[StatementReport] {
        &self.reports
    }

    /// Takes the reports out, for a second migration to begin with none. What was committed stays: an error in the second one
    /// leads back to it.
    pub(super) fn take_reports(&mut self) -> Vec<StatementReport> {
        self.locks.clear();
        self.first_rows.clear();
        std::mem::take(&mut self.reports)
    }

    /// What the snapshot holds otherwise than the server.
    pub(super) fn held(&self) -> &Held {
        &self.held
    }

    /// Has an error ended the run?
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Tables whose rows can't be told.
    pub(super) fn is_unreliable(&self, table: Oid) -> bool {
        self.unreliable.contains_key(&table)
    }

    /// Lets another migration run after one that stopped.
    pub(super) fn go_on(&mut self) {
        self.stopped = false;
    }

    /// Rows of a table in the snapshot.
    pub(super) fn rows_in_snapshot(&self, table: Oid) -> Option<u64> {
        self.store.rows_in_snapshot(table)
    }

    /// Rows of a table now.
    pub(super) fn row_count(&mut self, table: Oid) -> Result<u64> {
        let partition = self.catalog.partitions.get(&table).and_then(|_| self.catalog.tables.get(&table));
        if let Some(partition) = partition {
            let names = [&partition.schema, &partition.name].map(|name| crate::query::quote_identifier(name));
            let parsed = pg_query::parse(&format!("SELECT 1 FROM {}", names.join(".")), 0)?;
            let node = parsed.protobuf.stmts.into_iter().find_map(|statement| statement.stmt?.node);
            let node = node.ok_or_else(|| anyhow!("a query of a partition"))?;
            return match self.ask(&node, 0) {
                Ok(selected) => Ok(selected.row_count),
                // By its hash, nobody knows.
                Err(halt) if statement::is_unsupported(&halt) => Ok(0),
                Err(halt) => Err(broken(halt, "counting rows")),
            };
        }
        self.store.row_count(table).map_err(|halt| broken(halt, "counting rows"))
    }

    /// Locks taken so far.
    pub(super) fn locks(&self) -> &[TakenLock] {
        &self.locks
    }
}

/// An error for what should not have stopped.
pub(super) fn broken(halt: Halt, doing: &str) -> anyhow::Error {
    match halt {
        Halt::Broken(error) => error.context(doing.to_owned()),
        Halt::Calls => anyhow!("a function that would have to be called").context(doing.to_owned()),
        Halt::Problem(problem) => anyhow!("{problem}").context(doing.to_owned()),
        Halt::Violation(violation) => anyhow!("{}", violation.error.message).context(doing.to_owned()),
    }
}

impl Figures for Session<'_> {
    fn query(&mut self, sql: &str) -> Outcome<Vec<Row>> {
        let parsed = pg_query::parse(sql, 0).map_err(|error| Problem::rejected("42601", error.to_string()))?;
        let nodes: Vec<_> = parsed.protobuf.stmts.into_iter().filter_map(|s| s.stmt.and_then(|s| s.node)).collect();
        let [node] = nodes.as_slice() else {
            return Err(Problem::unsupported("anything but one query"));
        };
        let selected = self.ask(node, usize::MAX >> 1).map_err(|halt| match halt {
            Halt::Problem(problem) => problem,
            other => Problem::unsupported(format!("the query ({:#})", broken(other, "asking"))),
        })?;
        Ok(selected.rows)
    }

    fn statements(&self) -> &[StatementReport] {
        &self.reports
    }

    fn first_row(&self, statement: usize) -> Option<Row> {
        self.first_rows.get(&statement).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dry_run::report::Verdict;
    use crate::snapshot::EngineOptions;

    /// Runs SQL on the demo; each line of the answer is a statement's verdict, its rows, and what the server says.
    fn run(sql: &str, transactions: Transactions) -> (Vec<String>, Vec<(u64, bool)>) {
        let snapshot = Snapshot::open("demo", &EngineOptions::default()).expect("the demo");
        let migration = Migration::from_text("m.sql", sql).expect(sql);
        let options = Options { transactions, ..Options::default() };
        let mut session = Session::new(&snapshot, "run", &[&migration], options).expect("a session");
        session.run_all(&migration).expect("no interrupt");
        let lines = session.reports().iter().map(line).collect();
        let tables: Vec<Oid> = session.catalog().tables.keys().copied().collect();
        let counts =
            tables.into_iter().map(|t| (session.row_count(t).expect("a count"), session.is_unreliable(t))).collect();
        (lines, counts)
    }

    fn line(report: &StatementReport) -> String {
        let mut line = format!("{:?}", report.verdict);
        if report.rolled_back {
            line.push_str(" (rolled back)");
        }
        if let Some(rows) = report.rows_affected {
            line.push_str(&format!(" {rows}"));
        }
        for (what, rows) in [("changed", report.rows_changed), ("cascaded", report.rows_cascaded)] {
            if let Some(rows) = rows {
                line.push_str(&format!(" {what} {rows}"));
            }
        }
        if let Some(error) = &report.error {
            line.push_str(&format!(" {} {}", error.sqlstate, error.message));
        }
        line
    }

    fn check(sql: &str, expected: &[&str]) {
        assert_eq!(run(sql, Transactions::PerFile).0, expected, "{sql}");
    }

    #[test]
    fn updates_are_counted_as_the_server_counts_them() {
        check("UPDATE llama_logs SET reason = 'x'", &["Executed 4052 changed 4052"]);
        check(
            "UPDATE llama_logs SET retry_count = 0; UPDATE llama_logs SET retry_count = retry_count",
            &["Executed 4052 changed 185", "Executed 4052 changed 0"],
        );
        check(
            "UPDATE llama_logs AS a SET reason = b.operation FROM llama_logs AS b WHERE b.id = a.id",
            &["Executed 4052 changed 4052"],
        );
    }

    #[test]
    fn a_failure_takes_its_transaction_back() {
        let sql = "UPDATE llama_logs SET reason = 'x' WHERE status = 'SUCCESS'; ALTER TABLE llama_logs ALTER COLUMN error_code SET NOT NULL; DELETE FROM llama_logs";
        let (lines, counts) = run(sql, Transactions::PerFile);
        assert!(lines[0].starts_with("Executed (rolled back)"), "{lines:?}");
        assert!(
            lines[1].starts_with("Failed 23502 column \"error_code\" of relation \"llama_logs\" contains null values"),
            "{lines:?}"
        );
        assert_eq!(lines[2], "NotReached");
        assert_eq!(counts, [(4052, false)]);
        let (lines, counts) = run(sql, Transactions::None);
        assert_eq!(lines[2], "Executed 4052");
        assert_eq!(counts, [(0, false)]);
    }

    #[test]
    fn a_failed_block_refuses_everything_until_it_ends() {
        let sql = "BEGIN; DELETE FROM llama_logs; SELECT nope; SELECT 1; COMMIT; SELECT count(*) FROM llama_logs";
        let (lines, counts) = run(sql, Transactions::None);
        assert_eq!(lines[1], "Executed (rolled back) 4052");
        assert!(lines[2].starts_with("Failed 42703"), "{lines:?}");
        assert!(lines[3].starts_with("Failed 25P02"), "{lines:?}");
        assert_eq!(lines[4..], ["Catalog", "Executed 1"]);
        assert_eq!(counts, [(4052, false)]);
    }

    #[test]
    fn a_failing_second_migration_leads_back_to_the_first() {
        let snapshot = Snapshot::open("demo", &EngineOptions::default()).expect("the demo");
        let read = |sql: &str| Migration::from_text("m.sql", sql).expect(sql);
        let first = read("DELETE FROM llama_logs WHERE status <> 'SUCCESS'; CREATE TABLE t AS SELECT 1 AS a");
        let second = read("DELETE FROM llama_logs; DROP TABLE t; SELECT nope");
        let mut session = Session::new(&snapshot, "run", &[&first, &second], Options::default()).expect("a session");
        session.run_all(&first).expect("no interrupt");
        let counts = |session: &mut Session<'_>| -> Vec<u64> {
            let tables: Vec<Oid> = session.catalog().tables.keys().copied().collect();
            tables.into_iter().map(|table| session.row_count(table).expect("a count")).collect()
        };
        let between = counts(&mut session);
        assert!(between[0] > 0 && between[0] < 4052 && between[1] == 1, "{between:?}");
        assert_eq!(session.take_reports().len(), 2);
        session.run_all(&second).expect("no interrupt");
        assert_eq!(session.reports()[2].verdict, Verdict::Failed);
        assert_eq!(counts(&mut session), between);
    }

    #[test]
    fn a_rule_broken_by_rows_that_cannot_be_told_is_not_called_a_failure() {
        let sql = "DO LANGUAGE plperl $$ BEGIN LOOP UPDATE llama_logs SET error_code = 'x'; EXIT; END LOOP; END $$;
                   ALTER TABLE llama_logs ALTER COLUMN error_code SET NOT NULL; SELECT 1";
        let (lines, _) = run(sql, Transactions::PerFile);
        assert_eq!(lines, ["Unsupported", "Unsupported", "Executed 1"]);
    }

    #[test]
    fn marks_on_tables_go_with_their_transaction() {
        fn check(sql: &str, expected: bool) {
            let (_, counts) = run(sql, Transactions::None);
            assert_eq!(counts[0].1, expected, "{sql}");
        }
        // A loop isn't carried out, so what it names can't be told.
        let doubtful = "DO LANGUAGE plperl $$ BEGIN LOOP UPDATE llama_logs SET reason = 'x'; EXIT; END LOOP; END $$";
        check(doubtful, true);
        check(&format!("BEGIN; {doubtful}; ROLLBACK"), false);
        check(&format!("{doubtful}; BEGIN; UPDATE llama_logs SET reason = 'y'; ROLLBACK"), true);
        check(
            &format!("BEGIN; {doubtful}; COMMIT; BEGIN; UPDATE llama_logs SET reason = 'y'; SELECT 1 / 0; COMMIT"),
            true,
        );
    }

    #[test]
    fn a_constraint_on_rows_that_cannot_be_told_is_not_broken() {
        check(
            "CREATE TABLE p (id int PRIMARY KEY);
             CREATE TABLE c (p int REFERENCES p);
             DO LANGUAGE plperl $$ BEGIN FOR n IN 1..3 LOOP INSERT INTO p VALUES (n); END LOOP; END $$;
             INSERT INTO c VALUES (1);
             SELECT 1",
            &["Executed", "Executed", "Unsupported", "Unsupported", "Executed 1"],
        );
    }

    #[test]
    fn conflicts_and_cascades() {
        check(
            "CREATE TABLE p (id int PRIMARY KEY, n int);
             INSERT INTO p VALUES (1, 1), (2, 2), (3, 3);
             INSERT INTO p VALUES (3, 9), (4, 4) ON CONFLICT (id) DO NOTHING;
             INSERT INTO p VALUES (3, 9), (5, 5) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n + p.n;
             CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE);
             CREATE TABLE d (c int REFERENCES c ON DELETE SET NULL);
             INSERT INTO c VALUES (10, 1), (11, 1), (12, 2);
             INSERT INTO d VALUES (10), (12);
             DELETE FROM p WHERE id = 1;
             INSERT INTO c VALUES (13, 99)",
            &[
                "Executed (rolled back)",
                "Executed (rolled back) 3",
                "Executed (rolled back) 1",
                "Executed (rolled back) 2 changed 1",
                "Executed (rolled back)",
                "Executed (rolled back)",
                "Executed (rolled back) 3",
                "Executed (rolled back) 2",
                "Executed (rolled back) 1 cascaded 3",
                "Failed 23503 insert or update on table \"c\" violates foreign key constraint \"c_p_fkey\"",
            ],
        );
        check(
            "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1), (1)",
            &["Executed (rolled back)", "Failed 23505 duplicate key value violates unique constraint \"p_pkey\""],
        );
        check(
            "CREATE TABLE p (id int PRIMARY KEY, n int); INSERT INTO p VALUES (1, 1), (1, 2) ON CONFLICT (id) DO UPDATE SET n = 3",
            &["Executed (rolled back)", "Failed 21000 ON CONFLICT DO UPDATE command cannot affect row a second time"],
        );
    }
}
