//! The crew: how do several connections read one relation from one snapshot of the server?
//!
//! Input: a session in its transaction, parts of relations. Output: the parts' rows, encoded side by side and written in order.
//! Invariants: every connection reads the very snapshot of the first; the locks are the first one's, and no other ever waits for
//! one; a part begins only when there is a place for it before the file, which bounds memory by connections; the first failure
//! stops all. Left out: which parts there are.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::{Context, Result, anyhow};
use arrow::record_batch::RecordBatch;
use indicatif::ProgressBar;

use super::connection::Session;
use super::copy::{ColumnFacts, Decoder};
use super::guard::{Lost, Stop};
use super::mask::{Masker, Tally};
use super::parts::Piece;
use super::resume;
use super::target::Target;
use crate::query;
use crate::snapshot::groups::{EncodedPart, Encoders, GroupedWriter};
use crate::snapshot::types::PgType;

/// Batches that may wait to be encoded: decoding goes on meanwhile.
const BATCHES_IN_FLIGHT: usize = 2;

/// New connections that one part may take.
const RECONNECTIONS: u32 = 3;

/// The connections of an export.
pub struct Crew<'a> {
    sessions: Vec<Session>,
    stop: Stop,
    rejoin: Option<Rejoin<'a>>,
}

/// How another connection gets at the snapshot.
#[derive(Clone, Copy)]
struct Rejoin<'a> {
    target: &'a Target,
    snapshot: &'a str,
    lockable: &'a [String],
}

/// Can other connections read what the first one's transaction reads?
pub enum Shared {
    /// Under this name.
    As(String),
    /// No, and why.
    Not(String),
}

impl Shared {
    /// Shares the snapshot of a transaction that has just begun. Where that fails, the transaction is over.
    pub fn by(session: &Session) -> Shared {
        let names = session.fetch(&query::EXPORT_SHARE_SNAPSHOT, &[], |row| row.try_get::<_, String>("snapshot"));
        match names.map(|names| names.into_iter().next()) {
            Ok(Some(name)) => Shared::As(name),
            Ok(None) => Shared::Not("the server names no snapshot".to_owned()),
            Err(error) => Shared::Not(format!("the server can't share its snapshot ({})", error.root_cause())),
        }
    }
}

/// A relation to read.
pub struct Relation<'a> {
    /// In row order.
    pub pieces: &'a [Piece],
    /// Its columns' types.
    pub types: &'a [PgType],
    /// What is masked before anything is encoded.
    pub mask: Option<&'a Masker<'a>>,
    /// Only the first connection may read it.
    pub alone: bool,
}

/// What reading a relation gave beside its file's rows.
pub struct Read {
    /// Rows that the server counts in the same snapshot.
    pub counted: u64,
    /// What each column's values were like.
    pub columns: Vec<ColumnFacts>,
}

/// A part that is read and encoded.
struct Done {
    index: usize,
    part: EncodedPart,
    /// As the server counts them.
    rows: u64,
    columns: Vec<ColumnFacts>,
}

impl<'a> Crew<'a> {
    /// A crew of one.
    pub fn new(first: Session, stop: Stop) -> Crew<'a> {
        Crew { sessions: vec![first], stop, rejoin: None }
    }

    /// The session that holds the locks and the snapshot.
    pub fn first(&self) -> &Session {
        &self.sessions[0]
    }

    /// Bytes that the server has sent in rows.
    pub fn received_bytes(&self) -> u64 {
        self.stop.bytes()
    }

    /// How many connections there are.
    pub fn size(&self) -> usize {
        self.sessions.len()
    }

    /// Adds connections on the same snapshot until there are `jobs`. Where the server has no more to give, those there are do the
    /// work: then the reason is returned.
    ///
    /// # Errors
    /// When interrupted.
    pub fn grow(
        &mut self,
        jobs: usize,
        shared: &'a Shared,
        target: &'a Target,
        lockable: &'a [String],
    ) -> Result<Option<String>> {
        while self.sessions.len() < jobs {
            let rejoin = match shared {
                Shared::As(snapshot) => Rejoin { target, snapshot, lockable },
                Shared::Not(reason) => return Ok(Some(reason.clone())),
            };
            self.rejoin = Some(rejoin);
            match rejoin.join(&self.stop) {
                Ok(session) => self.sessions.push(session),
                Err(error) => {
                    crate::ui::check_interrupt()?;
                    return Ok(Some(format!("no further connection could join: {error:#}")));
                }
            }
        }
        Ok(None)
    }

    /// Reads the parts of a relation into its file.
    ///
    /// # Errors
    /// When reading, decoding or writing fails: the first failure, where one causes others.
    pub fn read(&self, relation: &Relation<'_>, file: &mut GroupedWriter, bar: &ProgressBar) -> Result<Read> {
        let total = relation.pieces.len();
        let readers = if relation.alone { 1 } else { self.sessions.len().min(total) };
        // For each reader a part under way, and a finished one that waits for its turn.
        let places = 2 * readers;
        let (tickets, queue) = sync_channel(places);
        let (finished, arrivals) = sync_channel(places);
        let queue = Mutex::new(queue);
        let encoders = file.encoders();
        std::thread::scope(|scope| {
            for (number, session) in self.sessions.iter().take(readers).enumerate() {
                // The first connection holds the snapshot: where it is lost, all is.
                let rejoin = self.rejoin.filter(|_| number > 0);
                let encoders = encoders.clone();
                let reader = Reader { session, relation, encoders, queue: &queue, bar, rejoin, stop: &self.stop };
                let finished = finished.clone();
                scope.spawn(move || {
                    if let Err(error) = reader.work(&finished) {
                        // Nobody listens where another failure came first.
                        let _ = finished.send(Err(error));
                    }
                });
            }
            drop(finished);
            let read = write_in_order(total, tickets, &arrivals, file, bar);
            if read.is_err() {
                self.stop.set();
            }
            read
        })
    }
}

impl Rejoin<'_> {
    /// A further connection on the same snapshot.
    fn join(&self, stop: &Stop) -> Result<Session> {
        let session = Session::connect(self.target, stop.clone())?;
        session.run(query::EXPORT_BEGIN.text)?;
        resume::import(&session, self.snapshot)?;
        if !self.lockable.is_empty() {
            // Waiting behind a migration that itself waits for the first connection would never end.
            session.run(&format!("LOCK TABLE {} IN ACCESS SHARE MODE NOWAIT", self.lockable.join(", ")))?;
        }
        session.fetch(&query::EXPORT_SETTINGS, &[], |_| Ok(()))?;
        Ok(session)
    }
}

/// Hands out parts as places become free, and writes them in order.
fn write_in_order(
    total: usize,
    tickets: SyncSender<usize>,
    arrivals: &Receiver<Result<Done>>,
    file: &mut GroupedWriter,
    bar: &ProgressBar,
) -> Result<Read> {
    let mut early = BTreeMap::new();
    let mut read = Read { counted: 0, columns: Vec::new() };
    let mut arrived = 0;
    let mut remaining = 0..total;
    let mut places = 0..total;
    // The channel holds as many as there are places, so this never waits.
    while places.start < total && tickets.try_send(places.start).is_ok() {
        places.next();
    }
    while remaining.start < total {
        let done: Done = arrivals.recv().map_err(|_| anyhow!("a thread that reads has panicked"))??;
        read.counted += done.rows;
        arrived += 1;
        // The parts that are here tell better than the planner how many rows are still to come.
        bar.set_length(read.counted * total as u64 / arrived);
        read.columns.resize(done.columns.len(), ColumnFacts::default());
        for (all, own) in read.columns.iter_mut().zip(done.columns) {
            *all = all.joined(own);
        }
        early.insert(done.index, done.part);
        while let Some(part) = early.remove(&remaining.start) {
            file.append(part)?;
            remaining.next();
            if let Some(next) = places.next() {
                tickets.send(next).context("the threads that read have gone")?;
            }
        }
    }
    Ok(read)
}

/// One connection at work on a relation.
struct Reader<'a> {
    session: &'a Session,
    relation: &'a Relation<'a>,
    encoders: Encoders,
    queue: &'a Mutex<Receiver<usize>>,
    bar: &'a ProgressBar,
    rejoin: Option<Rejoin<'a>>,
    stop: &'a Stop,
}

impl Reader<'_> {
    /// Reads parts until there are no more.
    fn work(&self, finished: &SyncSender<Result<Done>>) -> Result<()> {
        let mut fresh: Option<Session> = None;
        loop {
            let ticket = self.queue.lock().map_err(|_| anyhow!("a thread that reads has panicked"))?.recv();
            let Ok(index) = ticket else { return Ok(()) };
            if finished.send(Ok(self.part_again(&mut fresh, index)?)).is_err() {
                return Ok(());
            }
        }
    }

    /// Reads a part; where the connection is lost, from its beginning over a new one: the snapshot is the first connection's.
    fn part_again(&self, fresh: &mut Option<Session>, index: usize) -> Result<Done> {
        let mut tries = 0;
        loop {
            let seen = AtomicU64::new(0);
            let error = match self.part(fresh.as_ref().unwrap_or(self.session), index, &seen) {
                Ok(part) => return Ok(part),
                Err(error) => error,
            };
            let lost = error.chain().any(|cause| cause.is::<Lost>());
            let rejoin = self.rejoin.filter(|_| lost && tries < RECONNECTIONS && self.stop.check().is_ok());
            let Some(rejoin) = rejoin else { return Err(error) };
            self.bar.dec(seen.into_inner());
            match rejoin.join(self.stop) {
                Ok(session) => *fresh = Some(session),
                Err(_) => return Err(error),
            }
            tries += 1;
        }
    }

    /// Decodes on this thread and encodes on another. `seen` counts the rows.
    fn part(&self, session: &Session, index: usize, seen: &AtomicU64) -> Result<Done> {
        let piece = &self.relation.pieces[index];
        let mut decoder = Decoder::new(self.encoders.schema(), self.relation.types);
        let (sender, receiver): (SyncSender<RecordBatch>, Receiver<RecordBatch>) = sync_channel(BATCHES_IN_FLIGHT);
        let mut encoder = self.encoders.encoder()?;
        let mask = self.relation.mask;
        let (part, rows) = std::thread::scope(|scope| {
            let encoding = scope.spawn(move || -> Result<(EncodedPart, Option<Tally>)> {
                let mut tally = mask.map(Masker::tally);
                for batch in receiver {
                    let batch = match (mask, &mut tally) {
                        (Some(mask), Some(tally)) => mask.apply(batch, tally)?,
                        _ => batch,
                    };
                    encoder.write(&batch)?;
                }
                Ok((encoder.finish()?, tally))
            });
            let read = self.decode(session, &piece.copy, &mut decoder, &sender, seen);
            drop(sender);
            let counted = read.and_then(|()| session.number(&piece.count));
            // A failure to encode is the one reported: it is why reading stops.
            let (part, tally) = encoding.join().map_err(|_| anyhow!("the thread that encodes has panicked"))??;
            let counted = counted?;
            if let (Some(mask), Some(tally)) = (mask, tally) {
                mask.count(&tally);
            }
            anyhow::Ok((part, counted))
        })?;
        Ok(Done { index, part, rows, columns: decoder.facts() })
    }

    fn decode(
        &self,
        session: &Session,
        sql: &str,
        decoder: &mut Decoder,
        batches: &SyncSender<RecordBatch>,
        seen: &AtomicU64,
    ) -> Result<()> {
        let send = |decoder: &mut Decoder| -> Result<()> {
            if let Some(batch) = decoder.take_batch()? {
                self.bar.inc(batch.num_rows() as u64);
                self.stop.count(batch.num_rows() as u64);
                self.bar.set_prefix(format!(", {} in all", crate::render::bytes(self.stop.bytes())));
                seen.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
                batches.send(batch).context("the rows can't be encoded")?;
            }
            Ok(())
        };
        session.copy(sql, |piece| {
            decoder.push(piece)?;
            if decoder.is_full() { send(decoder) } else { Ok(()) }
        })?;
        decoder.check_end()?;
        send(decoder)
    }
}
