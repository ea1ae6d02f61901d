//! How many rows were written on each day?
//!
//! Input: the view `log`. Output: [`History`]. Invariants: days are UTC; every day between the first and the last row is there,
//! with zero where nothing was written; the day of the last row is left out of the complete days, because the snapshot ends in
//! it; the clock on the wall plays no part: "today" is the day of the last row.

use anyhow::Result;
use chrono::{Days, NaiveDate};
use serde::Serialize;

use crate::query;
use crate::snapshot::Snapshot;
use crate::ui::HintExt;

/// Rows by day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct History {
    /// Day of the first row.
    pub first_day: NaiveDate,
    /// Day of the last row: the day that forecasts count from.
    pub last_day: NaiveDate,
    /// Days from the first up to the day before the last.
    pub complete_days: u64,
    /// Rows of each complete day, oldest first.
    pub rows_per_day: Vec<u64>,
    /// Rows of the last, incomplete day.
    pub last_day_rows: u64,
}

/// A span of more days than this is a typing error in a date, not a history.
const MAX_DAYS: i64 = 366 * 100;

/// Reads the history, and counts the rows without a `created_at`; no history where no row has one.
///
/// # Errors
/// `created_at` isn't a time, or spans more than a century.
pub fn read(snapshot: &Snapshot) -> Result<(Option<History>, u64)> {
    let days = query::GROWTH_ROWS_PER_DAY
        .fetch(snapshot.connection(), [], |row| {
            Ok((row.get::<_, Option<i64>>("day")?, row.get::<_, i64>("rows")?.unsigned_abs()))
        })
        .hint("created_at must be a timestamp; map another column with --column created_at=NAME")?;
    let undated = days.iter().filter(|(day, _)| day.is_none()).map(|(_, rows)| rows).sum();
    let dated: Vec<(i64, u64)> = days.into_iter().filter_map(|(day, rows)| Some((day?, rows))).collect();
    Ok((fill(&dated)?, undated))
}

/// `dated`: days since 1970-01-01 in order, with their rows.
fn fill(dated: &[(i64, u64)]) -> Result<Option<History>> {
    let (Some((first, _)), Some((last, last_day_rows))) = (dated.first(), dated.last()) else { return Ok(None) };
    let (Some(first_day), Some(last_day)) = (day(*first), day(*last)) else {
        anyhow::bail!("created_at lies outside the calendar");
    };
    if last - first > MAX_DAYS {
        return Err(crate::ui::hinted(
            anyhow::anyhow!("created_at runs from {first_day} to {last_day}: more than a century"),
            "find the rows with a wrong date: rehearsal sql SNAP \"SELECT * FROM log ORDER BY created_at\"",
        ));
    }
    let mut rows_per_day = vec![0; (last - first) as usize];
    for (at, rows) in &dated[..dated.len() - 1] {
        rows_per_day[(at - first) as usize] = *rows;
    }
    let complete_days = rows_per_day.len() as u64;
    Ok(Some(History { first_day, last_day, complete_days, rows_per_day, last_day_rows: *last_day_rows }))
}

fn day(since_epoch: i64) -> Option<NaiveDate> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let days = Days::new(since_epoch.unsigned_abs());
    if since_epoch < 0 { epoch.checked_sub_days(days) } else { epoch.checked_add_days(days) }
}

/// The date `days` after `from`; the calendar's end where it lies beyond.
pub fn after(from: NaiveDate, days: u64) -> NaiveDate {
    from.checked_add_days(Days::new(days)).unwrap_or(NaiveDate::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_days_are_zero_and_the_last_day_is_left_out() {
        let history = fill(&[(19_723, 4), (19_726, 2), (19_727, 9)]).expect("a calendar").expect("some rows");
        assert_eq!(history.first_day.to_string(), "2024-01-01");
        assert_eq!(history.last_day.to_string(), "2024-01-05");
        assert_eq!(history.rows_per_day, [4, 0, 0, 2]);
        assert_eq!((history.complete_days, history.last_day_rows), (4, 9));
    }

    #[test]
    fn one_day_is_no_complete_day() {
        let history = fill(&[(0, 7)]).expect("a calendar").expect("some rows");
        assert_eq!((history.complete_days, history.last_day_rows), (0, 7));
        assert_eq!(fill(&[]).expect("nothing"), None);
    }

    #[test]
    fn a_century_is_a_wrong_date() {
        let error = fill(&[(-700_000, 1), (19_727, 9)]).expect_err("a wrong date").to_string();
        assert!(error.contains("more than a century"), "{error}");
    }

    #[test]
    fn days_before_1970_and_leap_days_are_days() {
        assert_eq!(day(-1).expect("a day").to_string(), "1969-12-31");
        assert_eq!(after(day(19_781).expect("a day"), 1).to_string(), "2024-02-29");
    }
}
