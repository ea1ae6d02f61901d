//! The guard: what ends an export before it harms its source, and how fast may it read?
//!
//! Input: the limits that were asked for, and what the connections do. Output: [`Stop`], which every wait asks. Invariants: one
//! connection's failure ends all; the snapshot is never held longer than its budget, because it keeps VACUUM from its work on the
//! whole server; all connections together read no faster than the rate. Left out: what is said to the server.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow};

use crate::ui::{self, hinted};

/// How long a pause goes on before the interrupt flag is looked at.
const NAP: Duration = Duration::from_millis(50);

/// Limits of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// How long the server's snapshot may be held.
    pub snapshot_age: Option<Duration>,
    /// Bytes a second, of all connections together, as the server sends them.
    pub bytes_per_second: Option<u64>,
}

/// Tells the connections of an export when to end, and how fast to read.
#[derive(Clone, Default)]
pub struct Stop(Arc<State>);

#[derive(Default)]
struct State {
    limits: Limits,
    failed: AtomicBool,
    /// When the snapshot was taken.
    since: OnceLock<Instant>,
    standby: AtomicBool,
    bytes: AtomicU64,
    rows: AtomicU64,
    /// Until when what was read so far may take.
    paid_until: Mutex<Option<Instant>>,
}

impl Stop {
    /// With limits.
    pub fn new(limits: Limits) -> Stop {
        Stop(Arc::new(State { limits, ..State::default() }))
    }

    /// The snapshot is taken: its age counts from now.
    pub fn snapshot_taken(&self) {
        // The first is the oldest.
        let _ = self.0.since.set(Instant::now());
    }

    /// The server is a standby: it ends a connection that stands in the way of what it replays, and may have no time to say why.
    pub fn on_standby(&self) {
        self.0.standby.store(true, Ordering::SeqCst);
    }

    /// Is the server a standby?
    pub fn is_on_standby(&self) -> bool {
        self.0.standby.load(Ordering::SeqCst)
    }

    /// Ends every wait.
    pub fn set(&self) {
        self.0.failed.store(true, Ordering::SeqCst);
    }

    /// Has anything ended the export?
    ///
    /// # Errors
    /// Interrupted, another connection's failure, or a snapshot held for too long.
    pub fn check(&self) -> Result<()> {
        ui::check_interrupt()?;
        if self.0.failed.load(Ordering::SeqCst) {
            return Err(anyhow!("another connection of the export has failed"));
        }
        match (self.0.limits.snapshot_age, self.0.since.get()) {
            (Some(budget), Some(since)) if since.elapsed() > budget => Err(self.too_old(budget)),
            _ => Ok(()),
        }
    }

    /// Counts rows that were read.
    pub fn count(&self, rows: u64) {
        self.0.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Bytes that the server has sent.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Counts bytes that the server has sent, and waits where that was faster than allowed: the server then waits as well.
    ///
    /// # Errors
    /// As [`Stop::check`].
    pub fn spend(&self, bytes: usize) -> Result<()> {
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let Some(rate) = self.0.limits.bytes_per_second else { return Ok(()) };
        let cost = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let until = {
            let mut paid = self.0.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let until = paid.map_or(now, |paid| paid.max(now)) + cost;
            *paid = Some(until);
            until
        };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // Less than a thread's shortest sleep evens out later.
            if left < Duration::from_millis(2) {
                return Ok(());
            }
            std::thread::sleep(left.min(NAP));
            self.check()?;
        }
    }

    fn too_old(&self, budget: Duration) -> Error {
        let rows = crate::render::count(self.0.rows.load(Ordering::Relaxed));
        hinted(
            anyhow!(
                "the server's snapshot has been held for {}, which is what --max-snapshot-age allows; {rows} rows had been read",
                shown(budget)
            ),
            "read less at a time (--where, fewer --table, --columns) or faster (more --jobs, no --rate-limit); a larger \
             --max-snapshot-age keeps VACUUM from cleaning up for as long",
        )
    }
}

/// The server ended the export for a reason that passes: another try may come to its end.
#[derive(Debug)]
pub struct Conflict;

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a standby replays what its primary has removed, and the export's snapshot still needed it")
    }
}

impl std::error::Error for Conflict {}

/// A connection ended before its statement did.
#[derive(Debug)]
pub struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection ended before its statement did")
    }
}

impl std::error::Error for Lost {}

/// Waits before another try: a second, two, four … at most half a minute.
///
/// # Errors
/// When interrupted.
pub fn back_off(tries: u32) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(1 << tries.min(5)).min(Duration::from_secs(30));
    while Instant::now() < until {
        ui::check_interrupt()?;
        std::thread::sleep(NAP);
    }
    Ok(())
}

/// `90s`, `30m`, `2h`, `1d`; `none` where there is no limit.
///
/// # Errors
/// When it is none of these.
pub fn parse_age(text: &str) -> Result<Option<Duration>> {
    let wrong =
        || hinted(anyhow!("{text:?} isn't a time"), "write a number and a unit, e.g. 90s, 30m, 2h or 1d; or none");
    if text == "none" {
        return Ok(None);
    }
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = text[..text.len() - 1].trim().parse().map_err(|_| wrong())?;
    if number == 0 {
        return Err(wrong());
    }
    Ok(Some(Duration::from_secs(u64::from(number) * seconds)))
}

fn shown(time: Duration) -> String {
    match time.as_secs() {
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        fn check(text: &str, expected: Option<u64>) {
            assert_eq!(parse_age(text).ok().flatten().map(|time| time.as_secs()), expected, "{text}");
        }
        check("90s", Some(90));
        check("30m", Some(1800));
        check("2h", Some(7200));
        check("1d", Some(86_400));
        check("30", None);
        check("0s", None);
        check("-1s", None);
        check("", None);
        assert_eq!(parse_age("none").expect("no limit"), None);
    }

    #[test]
    fn a_rate_holds_for_all_together() {
        let stop = Stop::new(Limits { bytes_per_second: Some(1_000_000), ..Limits::default() });
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..10).for_each(|_| stop.spend(10_000).expect("no reason to end")));
            }
        });
        let elapsed = begun.elapsed();
        assert!((190..2000).contains(&elapsed.as_millis()), "{elapsed:?}");
        assert_eq!(stop.bytes(), 200_000);
    }

    #[test]
    fn a_snapshot_that_is_too_old_ends_the_export() {
        let stop = Stop::new(Limits { snapshot_age: Some(Duration::from_millis(1)), ..Limits::default() });
        stop.check().expect("none is held yet");
        stop.snapshot_taken();
        std::thread::sleep(Duration::from_millis(5));
        assert!(stop.check().expect_err("too old").to_string().contains("--max-snapshot-age"));
    }
}
