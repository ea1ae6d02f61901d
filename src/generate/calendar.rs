//! When things happen: hours of a log that grows, is busier on weekdays, quiet at night, and never twice the same.
//!
//! Input: the first day, the hours it lasts, the growth over them. Output: the time of any quantile of all events, so that
//! event i of n can be placed without knowing the others. Invariant: a later quantile is never an earlier time.

use chrono::{Datelike, NaiveDate, NaiveTime};

use super::draw::Draw;

/// Monday to Sunday.
const WEEKDAYS: [f64; 7] = [1.0, 1.05, 1.1, 1.05, 1.25, 0.8, 0.7];
/// Hour of the day, UTC.
const HOURS: [f64; 24] = [
    0.9, 0.7, 0.5, 0.35, 0.25, 0.2, 0.25, 0.4, 0.6, 0.75, 0.85, 0.9, 1.0, 1.05, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.6, 1.5,
    1.3, 1.1,
];
const HOUR_US: f64 = 3_600_000_000.0;

/// How events are spread over time.
#[derive(Debug, Clone)]
pub struct Calendar {
    start_us: i64,
    /// Share of all events before the end of each hour.
    cumulative: Vec<f64>,
}

impl Calendar {
    /// `hours` hours from midnight of `first_day` on. Each day is `daily_growth` times as busy as the one before, apart from weekdays
    /// and noise.
    pub fn new(first_day: NaiveDate, hours: usize, daily_growth: f64, noise: &mut Draw) -> Self {
        let mut cumulative = Vec::with_capacity(hours);
        let (mut total, mut trend, mut day) = (0.0, 1.0, first_day);
        let mut mood = noise.log_normal();
        for hour in 0..hours {
            if hour > 0 && hour % 24 == 0 {
                day = day.succ_opt().unwrap_or(day);
                trend *= daily_growth;
                mood = 0.5 + 0.5 * noise.log_normal();
            }
            total += trend * mood * WEEKDAYS[day.weekday().num_days_from_monday() as usize] * HOURS[hour % 24];
            cumulative.push(total);
        }
        for share in &mut cumulative {
            *share /= total;
        }
        let start_us = first_day.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
        Calendar { start_us, cumulative }
    }

    /// The time before which this share (0 to 1) of all events lies: microseconds since 1970, whole milliseconds.
    pub fn at_us(&self, quantile: f64) -> i64 {
        let hour = self.cumulative.partition_point(|share| *share <= quantile).min(self.cumulative.len() - 1);
        let before = if hour == 0 { 0.0 } else { self.cumulative[hour - 1] };
        let within = ((quantile - before) / (self.cumulative[hour] - before)).clamp(0.0, 1.0);
        let us = self.start_us + ((hour as f64 + within) * HOUR_US) as i64;
        us - us.rem_euclid(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_follows_the_quantile_and_grows() {
        let day = NaiveDate::from_ymd_opt(2025, 6, 2).expect("a date");
        let calendar = Calendar::new(day, 24 * 100, 1.01, &mut Draw::new(1, 0));
        let times: Vec<i64> = (0..=1_000).map(|i| calendar.at_us(f64::from(i) / 1_000.0)).collect();
        assert!(times.is_sorted());
        let end_us = calendar.start_us + 100 * 24 * HOUR_US as i64;
        assert!(times[0] >= calendar.start_us && times[1_000] == end_us);
        // With growth the median event lies in the second half.
        assert!(times[500] > calendar.start_us + 50 * 24 * HOUR_US as i64);
    }
}
