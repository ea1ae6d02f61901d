//! When does the table reach a size?
//!
//! Input: today's size, bytes per row, and the forecast of rows. Output: a [`Crossing`] for each threshold. Invariants: dates count
//! from the day of the last row; `earliest <= crossed_at <= latest` where all are there; a date that can't be told is `None`
//! with a reason, never a wild one. Left out: anything that changes the size but not the rows (a backfill, a rewrite).

use chrono::NaiveDate;
use serde::Serialize;

use super::forecast::{Forecast, MAX_HORIZON_DAYS};
use super::history;

/// What is known about a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The table is above it already; since when isn't recorded.
    Above,
    /// It is crossed on a date within ten years.
    Dated,
    /// It isn't crossed within ten years.
    Never,
    /// The history is too short to say.
    Unknown,
}

/// A threshold and when it is crossed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Crossing {
    /// The threshold.
    pub size_bytes: u64,
    /// What is known.
    pub state: State,
    /// Rows at which the table has this size.
    pub at_rows: u64,
    /// Albums at which it has, in the current mix; absent where albums aren't known.
    pub at_albums: Option<u64>,
    /// First day at which the expected path is there.
    pub crossed_at: Option<NaiveDate>,
    /// First day at which the upper 80 % bound is there.
    pub earliest: Option<NaiveDate>,
    /// First day at which the lower 80 % bound is there; absent also where it isn't within ten years.
    pub latest: Option<NaiveDate>,
    /// As `earliest`, at 95 %.
    pub earliest_95: Option<NaiveDate>,
    /// As `latest`, at 95 %.
    pub latest_95: Option<NaiveDate>,
    /// Why a date is missing.
    pub reason: Option<String>,
}

/// The size from which thresholds are approached.
#[derive(Debug, Clone, Copy)]
pub struct Present {
    /// The day of the last row; absent where no row has a date.
    pub day: Option<NaiveDate>,
    /// Rows now.
    pub rows: u64,
    /// Bytes now.
    pub size_bytes: u64,
    /// Bytes a further row takes.
    pub bytes_per_row: f64,
    /// Rows an album brings, other rows included; absent where albums aren't known.
    pub rows_per_album: Option<f64>,
}

/// Dates the crossing of `size_bytes`.
pub fn cross(size_bytes: u64, present: &Present, forecast: Option<&Forecast>) -> Crossing {
    let missing = size_bytes as f64 - present.size_bytes as f64;
    let rows_missing = missing / present.bytes_per_row;
    let at_rows = (present.rows as f64 + rows_missing).max(0.0).ceil() as u64;
    let mut crossing = Crossing {
        size_bytes,
        state: State::Unknown,
        at_rows,
        at_albums: present.rows_per_album.filter(|r| *r > 0.0).map(|r| (at_rows as f64 / r).ceil() as u64),
        crossed_at: None,
        earliest: None,
        latest: None,
        earliest_95: None,
        latest_95: None,
        reason: None,
    };
    if missing <= 0.0 {
        crossing.state = State::Above;
        crossing.reason = Some("the table is above it already; the snapshot doesn't say since when".to_owned());
        return crossing;
    }
    let (Some(forecast), Some(today)) = (forecast, present.day) else {
        crossing.reason = Some("the history is too short for a date".to_owned());
        return crossing;
    };
    let reached = |path: &[f64]| {
        let day = path.iter().position(|rows| *rows >= rows_missing)?;
        Some(history::after(today, day as u64 + 1))
    };
    crossing.crossed_at = reached(&forecast.expected);
    crossing.earliest = reached(&forecast.bounds_80.1);
    crossing.latest = reached(&forecast.bounds_80.0);
    crossing.earliest_95 = reached(&forecast.bounds_95.1);
    crossing.latest_95 = reached(&forecast.bounds_95.0);
    crossing.state = if crossing.crossed_at.is_some() { State::Dated } else { State::Never };
    crossing.reason = match (crossing.crossed_at, crossing.latest) {
        (None, _) => Some(format!("not crossed within {} years", MAX_HORIZON_DAYS / 365)),
        (Some(_), None) => Some(format!("the latest date lies beyond {} years", MAX_HORIZON_DAYS / 365)),
        _ => None,
    };
    crossing
}

#[cfg(test)]
mod tests {
    use super::super::forecast;
    use super::*;

    fn present(size_bytes: u64) -> Present {
        Present {
            day: NaiveDate::from_ymd_opt(2026, 1, 1),
            rows: size_bytes / 1000,
            size_bytes,
            bytes_per_row: 1000.0,
            rows_per_album: Some(10.0),
        }
    }

    #[test]
    fn a_steady_table_crosses_on_the_day_it_must() {
        let forecast = forecast::forecast(&[10; 112]);
        let crossing = cross(2_000_000, &present(1_120_000), forecast.as_ref());
        // 880 rows are missing, 10 come a day.
        assert_eq!(crossing.crossed_at, NaiveDate::from_ymd_opt(2026, 3, 30));
        assert_eq!((crossing.state, crossing.at_rows, crossing.at_albums), (State::Dated, 2000, Some(200)));
        assert!(crossing.earliest_95 <= crossing.earliest && crossing.earliest <= crossing.crossed_at);
        assert!(crossing.crossed_at <= crossing.latest && crossing.latest <= crossing.latest_95);
    }

    #[test]
    fn what_cannot_be_dated_says_why() {
        let check = |threshold: u64, forecast: Option<&Forecast>, state: State, reason: &str| {
            let crossing = cross(threshold, &present(1_120_000), forecast);
            assert_eq!((crossing.state, crossing.crossed_at), (state, None), "{crossing:?}");
            assert!(crossing.reason.as_deref().unwrap_or_default().contains(reason), "{crossing:?}");
        };
        let steady = forecast::forecast(&[10; 112]);
        check(1_000_000, steady.as_ref(), State::Above, "above it already");
        check(1_120_000, steady.as_ref(), State::Above, "above it already");
        check(90_000_000_000, steady.as_ref(), State::Never, "within 10 years");
        check(2_000_000, None, State::Unknown, "too short");
        check(2_000_000, forecast::forecast(&[0; 112]).as_ref(), State::Never, "within 10 years");
    }
}
