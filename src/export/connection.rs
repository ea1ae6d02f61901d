//! The connection to the server: how is a statement run so that Ctrl-C ends it, and what is said when it fails?
//!
//! Input: a [`Target`]. Output: a [`Session`] that runs registered queries and streams COPY. Invariants: every wait looks at the
//! interrupt flag; an interrupted statement is cancelled at the server; no error carries an `io::Error` of the connection (a
//! broken pipe to the server must never pass for the reader of stdout going away), the connection string or the password.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};
use futures_util::StreamExt;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::guard::{Conflict, Lost, Stop};
use super::target::Target;
use crate::query::Query;
use crate::ui::{self, hinted};

/// How often a wait looks at the interrupt flag.
const TICK: Duration = Duration::from_millis(50);
/// Bytes of a stream after which it is looked whether it may go on.
const CHECKED_BYTES: usize = 64 << 10;
/// How long the server may take to hear that a statement is cancelled.
const CANCEL_PATIENCE: Duration = Duration::from_secs(1);

/// One connection.
pub struct Session {
    client: Client,
    tls: MakeRustlsConnect,
    location: String,
    reactor: Reactor,
}

/// The driver's event loop. A name lookup that hangs must not keep the process from ending.
struct Reactor {
    runtime: Option<Runtime>,
    stop: Stop,
}

impl Drop for Reactor {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Reactor {
    fn start(stop: Stop) -> Result<Reactor> {
        // Reading, decrypting and decoding take turns on one thread: handing each message to another costs more than it wins.
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Reactor { runtime: Some(runtime.context("starting the connection's event loop")?), stop })
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is taken on drop only")
    }

    /// Drives `work` to its end, to the user's Ctrl-C or to another connection's failure.
    fn drive<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime().block_on(async {
            let mut work = pin!(work);
            loop {
                self.stop.check()?;
                if let Ok(done) = timeout(TICK, work.as_mut()).await {
                    return done;
                }
            }
        })
    }
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// Unknown host, refused connection, wrong password, unknown database, TLS: each with the way out.
    pub fn connect(target: &Target, stop: Stop) -> Result<Session> {
        let reactor = Reactor::start(stop)?;
        let tls = target.security.connector()?;
        // The driver's own limit ends with the TCP handshake; a server that takes the connection and says nothing needs one too.
        let hosts = u32::try_from(target.config.get_hosts().len().max(1)).unwrap_or(u32::MAX);
        let patience = *target.config.get_connect_timeout().expect("a target always has one") * hosts;
        let (client, connection) = reactor.drive(async {
            match timeout(patience, target.config.connect(tls.clone())).await {
                Ok(connected) => connected.map_err(|error| explain_connect(&error, target)),
                Err(_) => Err(no_answer(target, &format!("silent for {} s", patience.as_secs()))),
            }
        })?;
        // When the connection ends, the client's calls say so: nothing is lost by not asking the task.
        drop(reactor.runtime().spawn(connection));
        Ok(Session { client, tls, location: target.location.clone(), reactor })
    }

    /// Runs statements that return nothing.
    ///
    /// # Errors
    /// As the server says, or interrupted.
    pub fn run(&self, sql: &str) -> Result<()> {
        self.wait(async { self.client.batch_execute(sql).await.map_err(|error| self.explain(&error)) })
    }

    /// Runs a registered query and decodes each row by column name.
    ///
    /// # Errors
    /// As the server says, a row that `decode` can't read, or interrupted.
    pub fn fetch<T>(
        &self,
        query: &Query,
        params: &[&(dyn ToSql + Sync)],
        decode: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Vec<T>> {
        let run = async {
            let rows = self.client.query(query.text, params).await.map_err(|error| self.explain(&error))?;
            rows.iter().map(|row| decode(row).map_err(|error| anyhow!("{error}"))).collect()
        };
        self.wait(run).with_context(|| format!("running the query {}", query.path))
    }

    /// The single number that `sql` returns.
    ///
    /// # Errors
    /// As the server says, or interrupted.
    pub fn number(&self, sql: &str) -> Result<u64> {
        let run = async {
            let row = self.client.query_one(sql, &[]).await.map_err(|error| self.explain(&error))?;
            let number: i64 = row.try_get(0).map_err(|error| anyhow!("{error}"))?;
            u64::try_from(number).context("a count is never negative")
        };
        self.wait(run)
    }

    /// Runs `COPY ... TO STDOUT` and hands each piece of the stream to `take`, in order.
    ///
    /// # Errors
    /// As the server says, the connection's end, what `take` returns, or interrupted.
    pub fn copy(&self, sql: &str, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.wait(async {
            let stream = self.client.copy_out(sql).await.map_err(|error| self.explain(&error))?;
            let mut stream = pin!(stream);
            let mut unpaid = 0;
            while let Some(piece) = stream.next().await {
                let piece = piece.map_err(|error| self.explain(&error))?;
                take(&piece)?;
                unpaid += piece.len();
                // A piece is a row: that often the clock isn't asked. A stream that never pauses never lets it tick.
                if unpaid >= CHECKED_BYTES {
                    self.reactor.stop.spend(std::mem::take(&mut unpaid))?;
                    self.reactor.stop.check()?;
                }
            }
            self.reactor.stop.spend(unpaid)
        })
    }

    /// Drives `work`; where the export ends before it, the server is told to stop as well.
    fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = self.reactor.drive(work);
        if done.is_err() && self.reactor.stop.check().is_err() || ui::interrupted() {
            let token = self.client.cancel_token();
            let cancel = token.cancel_query(self.tls.clone());
            // A courtesy: the statement also ends when the connection does.
            let _ = self.reactor.runtime().block_on(async { timeout(CANCEL_PATIENCE, cancel).await });
            ui::check_interrupt()?;
        }
        done
    }

    fn conflict(&self, text: &str) -> Error {
        hinted(
            Error::new(Conflict).context(format!("the standby {} ended the export: {text}", self.location)),
            "raise max_standby_streaming_delay on the standby, or set hot_standby_feedback = on there; --retries tries again with a \
             new snapshot; less at a time (--where, fewer --table) is done sooner",
        )
    }

    fn explain(&self, error: &tokio_postgres::Error) -> Error {
        let Some(db) = error.as_db_error() else {
            if self.reactor.stop.is_on_standby() {
                return self.conflict(&format!("{}, most likely by a conflict with recovery", causes(error)));
            }
            return hinted(
                Error::new(Lost).context(format!("the connection to {} was lost: {}", self.location, causes(error))),
                "there is no snapshot: run the export again",
            );
        };
        let text = server_says(db);
        match *db.code() {
            SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN | SqlState::IDLE_SESSION_TIMEOUT => hinted(
                Error::new(Lost).context(format!("the server {} ended the connection: {text}", self.location)),
                "there is no snapshot: run the export again",
            ),
            SqlState::LOCK_NOT_AVAILABLE => hinted(
                anyhow!("another session holds a lock on the table: {text}"),
                "a migration may be running: export when it has ended",
            ),
            // Nothing else serializes a transaction that only reads.
            SqlState::T_R_SERIALIZATION_FAILURE => self.conflict(&text),
            SqlState::QUERY_CANCELED if text.contains("statement timeout") => hinted(
                anyhow!("the server took too long to answer: {text}"),
                "its catalog may be locked or its disk busy: look at pg_stat_activity, and run the export later",
            ),
            SqlState::QUERY_CANCELED => hinted(
                anyhow!("the server cancelled the statement: {text}"),
                "somebody ended it (pg_cancel_backend): run the export again",
            ),
            // It was there when its name was looked up.
            SqlState::UNDEFINED_TABLE => hinted(
                anyhow!("{text}"),
                "it was dropped or renamed while the export began: look what migration is under way, and run the export again",
            ),
            SqlState::INVALID_SQL_STATEMENT_NAME | SqlState::DUPLICATE_PSTATEMENT => hinted(
                anyhow!("a pooler between here and the server mixes up sessions: {text}"),
                "it pools transactions (pgbouncer: pool_mode = transaction): connect to the server itself, or to a pool with \
                 pool_mode = session",
            ),
            SqlState::INSUFFICIENT_PRIVILEGE if text.contains("row-level security") => hinted(
                anyhow!("{text}"),
                "rows that a policy hides would be missing without a word: export as the table's owner or a role with BYPASSRLS",
            ),
            SqlState::INSUFFICIENT_PRIVILEGE => hinted(
                anyhow!("{text}"),
                "GRANT SELECT on it (PostgreSQL 12 wants it on every partition, too), or connect as a role that has it",
            ),
            _ => anyhow!("{text}"),
        }
    }
}

/// The server's words: message, and detail where there is one.
fn server_says(error: &tokio_postgres::error::DbError) -> String {
    match error.detail() {
        Some(detail) => format!("{} ({detail})", error.message()),
        None => error.message().to_owned(),
    }
}

/// The causes of a driver's error in one line, without the types behind them.
fn causes(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let shown = cause.to_string();
        if !text.contains(&shown) {
            text = format!("{text}: {shown}");
        }
        next = cause.source();
    }
    text
}

fn io_kind(error: &tokio_postgres::Error) -> Option<io::ErrorKind> {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        next = cause.source();
    }
    None
}

fn tls_error(error: &tokio_postgres::Error) -> Option<String> {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let inner = cause.downcast_ref::<io::Error>().and_then(|e| e.get_ref()?.downcast_ref::<rustls::Error>());
        if let Some(error) = cause.downcast_ref::<rustls::Error>().or(inner) {
            return Some(error.to_string());
        }
        next = cause.source();
    }
    None
}

/// Nobody answered in time.
fn no_answer(target: &Target, what: &str) -> Error {
    hinted(
        anyhow!("no server answers at {}: {what}", target.location),
        "check host and port, and that no firewall stands between; connect_timeout=SECONDS waits longer",
    )
}

/// Why there is no connection, and what to do about it.
fn explain_connect(error: &tokio_postgres::Error, target: &Target) -> Error {
    let (location, user) = (&target.location, &target.user);
    if let Some(db) = error.as_db_error() {
        let text = server_says(db);
        let error = anyhow!("the server {location} refuses the connection: {text}");
        let encryption = if target.config.get_ssl_mode() == SslMode::Disable {
            "the server may want an encrypted connection: try sslmode=require"
        } else {
            "the server's pg_hba.conf must allow this user, this database and this address"
        };
        return match *db.code() {
            SqlState::INVALID_PASSWORD => hinted(
                error,
                format!(
                    "check the password of {user} in the connection string (percent-encoded there) or in PGPASSWORD"
                ),
            ),
            SqlState::INVALID_CATALOG_NAME => {
                hinted(error, "the path of the URL, or dbname, names the database: check its spelling")
            }
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION => hinted(error, encryption),
            SqlState::TOO_MANY_CONNECTIONS => hinted(error, "wait for a free connection, or ask for a reserved one"),
            _ => error,
        };
    }
    if let Some(text) = tls_error(error) {
        let hint = if text.contains("UnknownIssuer") {
            "name the certificate of the authority that signed the server's with sslrootcert=FILE"
        } else if text.contains("not valid for name") || text.contains("NotValidForName") {
            "connect under a name that the certificate bears, or use sslmode=verify-ca"
        } else {
            "sslmode decides how much the server's certificate must prove: require, verify-ca or verify-full"
        };
        return hinted(anyhow!("no trusted connection to {location}: {text}"), hint);
    }
    let text = causes(error);
    if text.contains("does not support TLS") {
        return hinted(
            anyhow!("the server {location} doesn't offer an encrypted connection, and sslmode asks for one"),
            "turn ssl on at the server, or use sslmode=prefer or disable where the network is trusted",
        );
    }
    if text.contains("password missing") {
        return hinted(
            anyhow!("the server {location} wants a password for {user}, and there is none"),
            "put it into the connection string (percent-encoded) or into PGPASSWORD",
        );
    }
    match io_kind(error) {
        Some(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => hinted(
            anyhow!("no server answers at {location}: connection refused"),
            "check host and port, and that the server runs and listens there",
        ),
        Some(io::ErrorKind::TimedOut) => no_answer(target, "timed out"),
        _ if text.contains("failed to lookup address") => hinted(
            anyhow!("the host of {location} isn't known: {}", text.trim_start_matches("error connecting to server: ")),
            "check the host's spelling, and that its name can be resolved from here",
        ),
        _ if text.contains("timed out") || text.contains("timeout") => no_answer(target, "timed out"),
        _ => anyhow!("connecting to {location}: {text}"),
    }
}
