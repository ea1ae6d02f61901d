//! Moments: each transaction has a time of its own, later than the one before.
//!
//! Input: how many transactions have ended. Output: the time that `now()` gives. Invariants: within a transaction it stands still, and
//! what is run again has the time that it had; rows of two transactions are told apart by it, as on the server. Left out: how long a
//! transaction takes: a second each.

use anyhow::{Context, Result};
use chrono::{Duration, NaiveDateTime};

use super::Session;

/// How times are written for the engine.
const WRITTEN: &str = "%Y-%m-%d %H:%M:%S%.f";

impl Session<'_> {
    /// The time of the transaction before which so many have ended.
    pub(super) fn set_moment(&mut self, ended: usize) -> Result<()> {
        let now = later(&self.started, ended);
        if now != self.settings.now {
            self.store.engine.set_now(&now).context("moving on to the next transaction")?;
            self.settings.now = now;
        }
        Ok(())
    }
}

/// A time, so many seconds later; one that can't be read stands still.
fn later(started: &str, seconds: usize) -> String {
    let moment = NaiveDateTime::parse_from_str(started, WRITTEN).ok();
    let later = moment.and_then(|moment| moment.checked_add_signed(Duration::seconds(i64::try_from(seconds).ok()?)));
    match later {
        Some(later) if seconds > 0 => later.format(WRITTEN).to_string(),
        _ => started.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_follow_each_other() {
        let check = |started: &str, ended: usize, expected: &str| assert_eq!(later(started, ended), expected);
        check("2026-01-01 00:00:00", 0, "2026-01-01 00:00:00");
        check("2026-01-01 00:00:00", 61, "2026-01-01 00:01:01");
        check("2026-02-09 18:04:11.524", 1, "2026-02-09 18:04:12.524");
    }
}
