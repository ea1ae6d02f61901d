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

use crate::scenarios::{Ran, difference, relations, send};

/// The day on which every rehearsal of the tests runs.
const NOW: &str = "2026-01-01";

/// What became of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The same on both sides.
    Agreed,
    /// It fails on both sides, and the same way: how.
    Failed(String),
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
    /// The server's date when the run began.
    today: String,
    /// A query's rows have got numbers of a sequence, in an order that is the server's to choose.
    pub are_numbered: bool,
    /// Of a statement that the server rejected: the SQLSTATE here, where there is one, and there.
    pub rejected: Option<(Option<String>, String)>,
}

impl<'a> Beside<'a> {
    /// Both at their beginning.
    pub fn new(client: &'a mut Client, session: Session<'a>) -> Beside<'a> {
        let now = send(client, "SELECT (now() AT TIME ZONE 'UTC')::date::text").rows;
        let today = now.into_iter().flatten().find_map(|(_, value)| value).unwrap_or_default();
        Beside { client, session, given_up: BTreeSet::new(), today, are_numbered: false, rejected: None }
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
            (Some(ours), Some(server)) if same_error(ours, server, are_listed(&statement.node)) => {
                return Fate::Failed(format!("{} {}", server.0, server.1));
            }
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
        match difference(&report.rows, &server.rows, !select.sort_clause.is_empty(), &|_| false) {
            Some(_) if doubt.is_some() => Fate::Open(doubt.cloned().unwrap_or_default()),
            Some(_) if difference(&report.rows, &server.rows, false, &|_| false).is_none() => {
                Fate::Open("rows that ORDER BY holds for equal".to_owned())
            }
            Some(what) => Fate::Different(what),
            None => Fate::Agreed,
        }
    }

    /// Rows without what is new at every run: the time of the run, random identifiers. A time that a history gives as a value may be of
    /// the same day as the server's, and is then passed over on both sides.
    fn without_moments(&self, rows: &[Row]) -> Vec<Row> {
        let masked = |(name, value): (&String, &Value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let new = new_value(&text, NOW).or_else(|| new_value(&text, &self.today));
            (name.clone(), new.map_or_else(|| value.clone(), Value::String))
        };
        rows.iter().map(|row| row.iter().map(masked).collect()).collect()
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
                Ok(rows) => {
                    let (rows, theirs) = (self.without_moments(&rows), without_new(&server.rows, &self.today));
                    difference(&rows, &theirs, false, &|_| false)
                }
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

/// The same of the server's rows.
fn without_new(rows: &[Vec<(String, Option<String>)>], today: &str) -> Vec<Vec<(String, Option<String>)>> {
    let masked = |(name, value): &(String, Option<String>)| {
        let new = value.as_deref().and_then(|text| new_value(text, today));
        (name.clone(), new.or_else(|| value.clone()))
    };
    rows.iter().map(|row| row.iter().map(masked).collect()).collect()
}

/// What stands for a moment of the run's day, or for a random identifier, also inside a document.
fn new_value(text: &str, today: &str) -> Option<String> {
    if !text.starts_with(['{', '[']) {
        return new_word(text, today).map(str::to_owned);
    }
    let mut document: Value = serde_json::from_str(text).ok()?;
    replace_new(&mut document, today).then(|| document.to_string())
}

/// Replaces the texts of a document that are new at every run; were there any?
fn replace_new(document: &mut Value, today: &str) -> bool {
    match document {
        Value::String(text) => match new_word(text, today) {
            Some(word) => {
                word.clone_into(text);
                true
            }
            None => false,
        },
        Value::Array(items) => items.iter_mut().fold(false, |any, item| replace_new(item, today) | any),
        Value::Object(fields) => fields.values_mut().fold(false, |any, field| replace_new(field, today) | any),
        _ => false,
    }
}

fn new_word(text: &str, today: &str) -> Option<&'static str> {
    let is_random = text.len() == 36 && text.as_bytes()[14] == b'4' && text.matches('-').count() == 4;
    if text.len() == 60 && text.starts_with("$2a$") {
        return Some("a password under a new salt");
    }
    match text.starts_with(today) || is_second_of(text, today) {
        true => Some("the time of the run"),
        false => is_random.then_some("a random identifier"),
    }
}

/// Is it a number of seconds, or of thousandths of them, that falls on a day?
fn is_second_of(text: &str, day: &str) -> bool {
    let whole = text.split('.').next().and_then(|whole| whole.parse::<i64>().ok());
    let day = days_to(day);
    whole.zip(day).is_some_and(|(n, day)| n / 86_400 == day || n / 86_400_000 == day)
}

/// Days from 1970 to a date.
fn days_to(date: &str) -> Option<i64> {
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    // Years from March on, so that the leap day is the last.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    Some(year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468)
}

/// Does a note say that values are new at every run, or that the server chooses which row gets which?
fn is_new(note: &str) -> bool {
    note.contains("new values") || note.contains("of a sequence")
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
