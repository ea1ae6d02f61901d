//! A session and a server side by side: one statement after the other, and what became of it on both.
//!
//! Input: statements. Output: a [`Fate`] for each. What can't be rehearsed is left out on both sides, so that what follows can
//! still be compared.

use std::collections::BTreeSet;

use postgres::Client;
use rehearsal::catalog::Problem;
use rehearsal::dry_run::expect::{Figures, Row};
use rehearsal::dry_run::report::{StatementReport, Verdict};
use rehearsal::dry_run::session::Session;
use rehearsal::migration::{Migration, Statement};
use serde_json::Value;

use crate::scenarios::{Ran, ServerRows, difference_but, relations, send};

/// What became of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The same on both sides.
    Agreed,
    /// It fails on both sides, and the same way.
    Failed,
    /// It can't be rehearsed; why.
    Refused(String),
    /// The answer is the server's plan's to choose, or was said not to be certain: nothing further can be compared.
    Open(String),
    /// Something isn't the same: what.
    Different(String),
}

/// Both sides.
pub struct Beside<'a> {
    pub client: &'a mut Client,
    pub session: Session<'a>,
    /// Tables that are known to differ, or can't be read.
    pub given_up: BTreeSet<String>,
    /// A query's rows have got numbers of a sequence, in an order that is the server's to choose.
    pub are_numbered: bool,
    /// Of a statement that the server rejected: the SQLSTATE here, where there is one, and there.
    pub rejected: Option<(Option<String>, String)>,
    /// Today at the server, where values that are the run's own are passed over.
    today: Option<String>,
}

impl<'a> Beside<'a> {
    /// Both at their beginning.
    pub fn new(client: &'a mut Client, session: Session<'a>) -> Beside<'a> {
        Beside { client, session, given_up: BTreeSet::new(), are_numbered: false, rejected: None, today: None }
    }

    /// From here on, the time of the run and random identifiers may be any, as long as they are such on both sides.
    pub fn passes_over_the_run(&mut self) {
        let rows = send(self.client, "SELECT current_date").rows;
        self.today = rows.into_iter().next().and_then(|row| row.into_iter().next()?.1);
    }

    fn difference(&self, ours: &[Row], server: &ServerRows, in_order: bool) -> Option<String> {
        let of_the_run =
            |ours: &Value, server: &str| self.today.as_ref().is_some_and(|day| of_the_run(ours, server, day));
        difference_but(ours, server, in_order, &|_| false, &of_the_run)
    }

    /// Runs a statement on both sides. The tables aren't looked at.
    pub fn run(&mut self, migration: &Migration, statement: &Statement) -> Fate {
        let report = match self.session.run(migration, statement) {
            Ok(report) => report,
            Err(error) => return Fate::Different(format!("an error of ours: {error:#}")),
        };
        if report.verdict == Verdict::Unsupported {
            // A transaction ends on both sides, whatever is known of it.
            if matches!(statement.node, pg_query::NodeEnum::TransactionStmt(_)) {
                send(self.client, &statement.sql);
            }
            return Fate::Refused(report.unsupported.map_or_else(String::new, |unsupported| unsupported.what));
        }
        let server = send(self.client, &statement.sql);
        self.are_numbered |= report.notes.iter().any(|note| is_new(note)) && !are_listed(&statement.node);
        let state = report.error.as_ref().map(|error| error.sqlstate.clone());
        self.rejected = server.error.as_ref().map(|(code, _)| (state, code.clone()));
        self.judge(&server, &report, statement)
    }

    fn judge(&self, server: &Ran, report: &StatementReport, statement: &Statement) -> Fate {
        let ours = report.error.as_ref().map(|error| (error.sqlstate.clone(), error.message.clone()));
        let said = |words: &[&str]| report.notes.iter().find(|note| words.iter().any(|word| note.contains(word)));
        let doubt = said(&["may fail", "in another order", "isn't verified", "aren't rehearsed", "can't be told"]);
        match (&ours, &server.error) {
            (Some(ours), Some(server)) if same_error(ours, server, are_listed(&statement.node)) => return Fate::Failed,
            (None, None) => {}
            _ => {
                let what = format!("server {:?}\n      ours   {ours:?}", server.error);
                return doubt.map_or(Fate::Different(what), |note| Fate::Open(note.clone()));
            }
        }
        if report.plan_dependent_rows > 0 {
            return Fate::Open("the server's plan decides".to_owned());
        }
        if report.rows_affected.unwrap_or(0) != server.affected {
            return Fate::Different(format!(
                "server {} rows\n      ours   {:?}",
                server.affected, report.rows_affected
            ));
        }
        let pg_query::NodeEnum::SelectStmt(select) = &statement.node else { return Fate::Agreed };
        if select.into_clause.is_some() {
            return Fate::Agreed;
        }
        let doubt = doubt.or_else(|| report.notes.iter().find(|note| is_new(note)));
        match self.difference(&report.rows, &server.rows, !select.sort_clause.is_empty()) {
            Some(_) if doubt.is_some() => Fate::Open(doubt.cloned().unwrap_or_default()),
            Some(_) if self.difference(&report.rows, &server.rows, false).is_none() => {
                Fate::Open("rows that ORDER BY holds for equal".to_owned())
            }
            Some(what) => Fate::Different(what),
            None => Fate::Agreed,
        }
    }

    /// The first difference between the tables of both sides: its table and what it is. A table that differs is left out from then
    /// on. With `only`, the other tables aren't looked at.
    pub fn compare_tables(&mut self, only: Option<&BTreeSet<String>>) -> Option<(String, String)> {
        let names = relations(self.client);
        let ours: Vec<String> = (self.session.catalog().tables.values())
            .filter(|t| t.snapshot_table.is_none() && t.schema == "public")
            .map(|t| t.name.clone())
            .collect();
        for name in ours {
            if !names.contains(&name) && self.given_up.insert(name.clone()) {
                return Some((name, "the server doesn't have it".to_owned()));
            }
        }
        for name in names {
            if self.given_up.contains(&name) || only.is_some_and(|only| !only.contains(&name)) {
                continue;
            }
            let sql = format!("SELECT * FROM \"{}\"", name.replace('"', "\"\""));
            let server = send(self.client, &sql);
            if server.error.is_some() {
                return None;
            }
            // A table without columns shows nothing here.
            if server.rows.first().is_some_and(Vec::is_empty) {
                continue;
            }
            let what = match self.session.query(&sql) {
                Ok(rows) => self.difference(&rows, &server.rows, false),
                Err(Problem::Unsupported(_)) => {
                    self.given_up.insert(name);
                    continue;
                }
                Err(problem) => Some(problem.to_string()),
            };
            if let Some(what) = what {
                self.given_up.insert(name.clone());
                return Some((name, what));
            }
        }
        None
    }
}

/// Does a note say that values are new at every run, or that the server chooses which row gets which?
fn is_new(note: &str) -> bool {
    note.contains("new values") || note.contains("of a sequence")
}

/// The day of every rehearsal of an empty database.
const REHEARSED: &str = "2026-01-01";

/// The time of the run on both sides, or a random identifier on both.
fn of_the_run(ours: &Value, server: &str, today: &str) -> bool {
    let Some(ours) = ours.as_str() else { return false };
    let random = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts[2].starts_with('4')
    };
    (random(ours) && random(server)) || (ours.contains(REHEARSED) && server.contains(today))
}

/// Of several wrong rows, or of several errors in one, the server's plan decides which is met first. An error of another kind is
/// the same to the letter; of rows that are given, at least the state is.
fn same_error(ours: &(String, String), server: &(String, String), listed: bool) -> bool {
    let in_rows = |code: &str| code.starts_with("22") || code.starts_with("23") || code == "21000";
    // Values, those of generated columns among them, are all computed here before any row is judged.
    let is_rule = |code: &str| code.starts_with("23");
    let strict = listed && is_rule(&ours.0) && is_rule(&server.0);
    ours == server || (in_rows(&ours.0) && in_rows(&server.0) && (!strict || ours.0 == server.0))
}

/// An INSERT of given rows, whose values and rules have an order.
fn are_listed(node: &pg_query::NodeEnum) -> bool {
    let pg_query::NodeEnum::InsertStmt(insert) = node else { return false };
    match insert.select_stmt.as_deref().and_then(|select| select.node.as_ref()) {
        Some(pg_query::NodeEnum::SelectStmt(select)) => {
            !select.values_lists.is_empty() && insert.on_conflict_clause.is_none()
        }
        _ => false,
    }
}
