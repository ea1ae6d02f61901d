//! How many rows will be written in the next N days, and how wrong has that answer been so far?
//!
//! Input: rows per complete day, zero-filled, oldest first. Output: [`Forecast`] (cumulative rows by day, with 80 % and 95 %
//! bounds) and [`Backtest`] (the same procedure on windows it hadn't seen). Invariants: a forecast from a prefix of the history
//! never looks beyond it; bounds never fall with the horizon, because rows are only added. Left out: causes. A launch or a
//! backfill next month is not in last month's rows.

use serde::Serialize;

use super::conformal::{self, Quantiles};

/// Horizon of the back-test and of the choice between methods, in days.
pub const BACKTEST_DAYS: usize = 28;
/// With less history than this there is no forecast: not one window could be held out and forecast from four weeks.
pub const MIN_HISTORY_DAYS: usize = 56;
/// How far ahead a crossing is looked for.
pub const MAX_HORIZON_DAYS: usize = 3650;
/// Windows the methods must have been tried on before one may replace the default.
const WINDOWS_TO_CHOOSE: usize = 4;
/// By how much it must do better: its error times this still exceeds the other's. On the public series a smaller margin chose by
/// luck more often than by merit (28 to 364 days ahead).
const ADVANTAGE: f64 = 1.25;
/// Weeks the trend is fitted to.
const TREND_WEEKS: usize = 26;
/// A trend fades by this factor a week: weekly growth doesn't go on for ever.
const TREND_DAMPING: f64 = 0.9;

/// A way to forecast. The order is the order of preference at equal error; the first is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The mean of the last 84 days (or of all there are), every day.
    #[serde(rename = "mean-84")]
    Mean84,
    /// The mean of the last 28 days, every day.
    #[serde(rename = "mean-28")]
    Mean28,
    /// The last seven days, again and again.
    #[serde(rename = "seasonal-naive-7")]
    SeasonalNaive7,
    /// Weekly totals: the level of the last four weeks and a damped robust slope.
    DampedTrend,
}

impl Method {
    /// All methods, the default one first.
    pub const ALL: [Method; 4] = [Method::Mean84, Method::Mean28, Method::SeasonalNaive7, Method::DampedTrend];

    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Mean84 => "mean-84",
            Method::Mean28 => "mean-28",
            Method::SeasonalNaive7 => "seasonal-naive-7",
            Method::DampedTrend => "damped-trend",
        }
    }

    /// Expected rows of each of the next `days` days.
    pub fn daily(self, history: &[u64], days: usize) -> Vec<f64> {
        match self {
            Method::Mean84 => vec![mean(history, 84); days],
            Method::Mean28 => vec![mean(history, 28); days],
            Method::SeasonalNaive7 => {
                let week = &history[history.len().saturating_sub(7)..];
                if week.is_empty() {
                    return vec![0.0; days];
                }
                (0..days).map(|day| week[day % week.len()] as f64).collect()
            }
            Method::DampedTrend => damped_trend(history, days),
        }
    }

    /// Expected rows of the next `days` days together.
    pub fn total(self, history: &[u64], days: usize) -> f64 {
        self.daily(history, days).iter().sum()
    }
}

/// The mean of the last `days` days, or of as many as there are.
pub fn mean(history: &[u64], days: usize) -> f64 {
    let recent = &history[history.len().saturating_sub(days)..];
    if recent.is_empty() { 0.0 } else { recent.iter().sum::<u64>() as f64 / recent.len() as f64 }
}

fn damped_trend(history: &[u64], days: usize) -> Vec<f64> {
    let weeks: Vec<f64> = history
        .rchunks_exact(7)
        .take(TREND_WEEKS)
        .map(|week| week.iter().sum::<u64>() as f64)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    if weeks.is_empty() {
        return vec![mean(history, 7); days];
    }
    let recent = &weeks[weeks.len().saturating_sub(4)..];
    let level = recent.iter().sum::<f64>() / recent.len() as f64;
    let slope = median_slope(&weeks);
    let mut expected = Vec::with_capacity(days);
    let (mut drift, mut weight) = (0.0, 1.0);
    for day in 0..days {
        if day % 7 == 0 {
            weight *= TREND_DAMPING;
            drift += slope * weight;
        }
        expected.push((level + drift).max(0.0) / 7.0);
    }
    expected
}

/// Theil and Sen's slope: the median over all pairs, which a burst of one week can't tip.
fn median_slope(weeks: &[f64]) -> f64 {
    let mut slopes: Vec<f64> = (0..weeks.len())
        .flat_map(|i| (i + 1..weeks.len()).map(move |j| (weeks[j] - weeks[i]) / (j - i) as f64))
        .collect();
    slopes.sort_by(f64::total_cmp);
    match slopes.len() {
        0..6 => 0.0,
        n if n % 2 == 1 => slopes[n / 2],
        n => (slopes[n / 2 - 1] + slopes[n / 2]) / 2.0,
    }
}

/// Where windows of `horizon` days begin: four weeks apart, the last one ending with the history, none before day `first`.
pub fn origins(days: usize, horizon: usize, first: usize) -> Vec<usize> {
    let Some(last) = days.checked_sub(horizon) else { return vec![] };
    let mut origins: Vec<usize> = (0..).map_while(|k| last.checked_sub(k * BACKTEST_DAYS)).collect();
    origins.retain(|o| *o >= first);
    origins.reverse();
    origins
}

/// The method with the smallest error on the windows of this history; the default where there are too few to tell.
#[cfg(test)]
pub(super) fn choose(history: &[u64]) -> Method {
    let rolling = Rolling::over(history);
    rolling.chosen(rolling.windows.len())
}

/// Every method on every back-test window of a history. Since the windows end with the history and follow one another, those
/// before a window are also the windows of the history up to it: one pass serves the choice at every origin.
struct Rolling {
    windows: Vec<Window>,
}

struct Window {
    actual: f64,
    /// In the order of [`Method::ALL`].
    forecasts: [f64; 4],
    /// Sums of absolute errors over the windows before this one.
    errors_before: [f64; 4],
}

impl Rolling {
    fn over(history: &[u64]) -> Rolling {
        let mut errors = [0.0; 4];
        let mut windows = Vec::new();
        for origin in origins(history.len(), BACKTEST_DAYS, BACKTEST_DAYS) {
            let actual = history[origin..origin + BACKTEST_DAYS].iter().sum::<u64>() as f64;
            let forecasts = Method::ALL.map(|method| method.total(&history[..origin], BACKTEST_DAYS));
            windows.push(Window { actual, forecasts, errors_before: errors });
            for (sum, forecast) in errors.iter_mut().zip(forecasts) {
                *sum += (actual - forecast).abs();
            }
        }
        Rolling { windows }
    }

    /// The method that did best on the first `known` windows.
    fn chosen(&self, known: usize) -> Method {
        if known < WINDOWS_TO_CHOOSE {
            return Method::ALL[0];
        }
        let errors = self.errors(known);
        let best = (1..errors.len()).fold(0, |best, i| {
            let needed = if best == 0 { ADVANTAGE } else { 1.0 };
            if errors[i] * needed < errors[best] { i } else { best }
        });
        Method::ALL[best]
    }

    /// Sums of absolute errors over the first `known` windows.
    fn errors(&self, known: usize) -> [f64; 4] {
        if let Some(next) = self.windows.get(known) {
            return next.errors_before;
        }
        self.windows.last().map_or([0.0; 4], |last| {
            std::array::from_fn(|i| last.errors_before[i] + (last.actual - last.forecasts[i]).abs())
        })
    }

    /// What the procedure forecast for window `index`, with the method chosen from the windows before it.
    fn forecast(&self, index: usize) -> f64 {
        self.windows[index].forecasts[self.chosen(index) as usize]
    }

    /// Residuals of the procedure over the first `known` windows.
    fn residuals(&self, known: usize) -> Vec<f64> {
        (0..known).map(|i| conformal::residual(self.windows[i].actual, self.forecast(i))).collect()
    }
}

/// Cumulative rows from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// The method.
    pub method: Method,
    /// Expected rows within the next `index + 1` days.
    pub expected: Vec<f64>,
    /// Bounds of 80 of 100 such totals: low, high.
    pub bounds_80: (Vec<f64>, Vec<f64>),
    /// Bounds of 95 of 100 such totals: low, high.
    pub bounds_95: (Vec<f64>, Vec<f64>),
}

/// Forecasts the next [`MAX_HORIZON_DAYS`] days; `None` with less than [`MIN_HISTORY_DAYS`] of history.
pub fn forecast(history: &[u64]) -> Option<Forecast> {
    if history.len() < MIN_HISTORY_DAYS {
        return None;
    }
    let rolling = Rolling::over(history);
    let method = rolling.chosen(rolling.windows.len());
    let scale = conformal::own_scale(&rolling.residuals(rolling.windows.len()));
    let mut total = 0.0;
    let mut expected = Vec::with_capacity(MAX_HORIZON_DAYS);
    let mut bounds: [Vec<f64>; 4] = std::array::from_fn(|_| Vec::with_capacity(MAX_HORIZON_DAYS));
    for (day, rows) in method.daily(history, MAX_HORIZON_DAYS).into_iter().enumerate() {
        total += rows;
        expected.push(total);
        let quantiles = conformal::at(day + 1, scale);
        for (bound, quantile) in bounds.iter_mut().zip(quantiles.levels()) {
            let before = bound.last().copied().unwrap_or(0.0);
            bound.push(conformal::bound(total, quantile).max(before));
        }
    }
    let [low_95, low_80, high_80, high_95] = bounds;
    Some(Forecast { method, expected, bounds_80: (low_80, high_80), bounds_95: (low_95, high_95) })
}

/// How the forecast would have done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backtest {
    /// The method used for the projection.
    pub method: Method,
    /// Windows held out, one after the other.
    pub origins: u64,
    /// Length of each.
    pub horizon_days: u64,
    /// Sum of absolute errors of the windows' totals over the sum of the totals, with the method chosen at each origin from
    /// what was known then; absent where no row was written in any window.
    pub wape: Option<f64>,
    /// Share of windows whose total was within the 80 % bounds.
    pub coverage_80: f64,
    /// Share of windows whose total was within the 95 % bounds.
    pub coverage_95: f64,
    /// Where the bounds come from: this history, or a public collection of such series.
    pub calibration: Calibration,
    /// Every method on the same windows.
    pub candidates: Vec<Candidate>,
}

/// Where the bounds come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// The pooled table of [`conformal`].
    Pooled,
    /// The pooled table, scaled to the errors of this history.
    OwnHistory,
}

/// One method of the back-test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// The method.
    pub method: Method,
    /// As [`Backtest::wape`], with this method throughout.
    pub wape: Option<f64>,
}

/// Repeats the forecast at every origin of the history; `None` with less than [`MIN_HISTORY_DAYS`].
pub fn backtest(history: &[u64]) -> Option<Backtest> {
    if history.len() < MIN_HISTORY_DAYS {
        return None;
    }
    let rolling = Rolling::over(history);
    let known = rolling.windows.len();
    let (mut error, mut actual_rows) = (0.0, 0.0);
    let (mut inside_80, mut inside_95) = (0u32, 0u32);
    let residuals = rolling.residuals(known);
    for (index, window) in rolling.windows.iter().enumerate() {
        let forecast = rolling.forecast(index);
        error += (window.actual - forecast).abs();
        actual_rows += window.actual;
        let Quantiles { low_95, low_80, high_80, high_95 } =
            conformal::at(BACKTEST_DAYS, conformal::own_scale(&residuals[..index]));
        let within =
            |low, high| (conformal::bound(forecast, low)..=conformal::bound(forecast, high)).contains(&window.actual);
        inside_80 += u32::from(within(low_80, high_80));
        inside_95 += u32::from(within(low_95, high_95));
    }
    let share = |inside: u32| f64::from(inside) / known as f64;
    let wape = |error: f64| (actual_rows > 0.0).then(|| error / actual_rows);
    let errors = rolling.errors(known);
    Some(Backtest {
        method: rolling.chosen(known),
        origins: known as u64,
        horizon_days: BACKTEST_DAYS as u64,
        wape: wape(error),
        coverage_80: share(inside_80),
        coverage_95: share(inside_95),
        calibration: if known < conformal::OWN_WINDOWS { Calibration::Pooled } else { Calibration::OwnHistory },
        candidates: Method::ALL
            .into_iter()
            .zip(errors)
            .map(|(method, e)| Candidate { method, wape: wape(e) })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_forecasts_what_it_says() {
        let history: Vec<u64> = (0..84).map(|day| if day < 56 { 4 } else { day % 7 }).collect();
        let check = |method: Method, days: usize, expected: f64| {
            let total = method.total(&history, days);
            assert!((total - expected).abs() < 1e-9, "{method:?}: {total}, expected {expected}");
        };
        check(Method::Mean28, 10, 30.0);
        check(Method::Mean84, 84, 56.0 * 4.0 + 84.0);
        check(Method::SeasonalNaive7, 7, 21.0);
        check(Method::SeasonalNaive7, 9, 21.0 + 0.0 + 1.0);
    }

    #[test]
    fn a_trend_is_followed_and_fades() {
        let history: Vec<u64> = (0..26).flat_map(|week| [10 + week; 7]).collect();
        let trend = Method::DampedTrend.daily(&history, 364);
        assert!(trend[0] > 34.0 && trend[363] > trend[0], "{} {}", trend[0], trend[363]);
        // The level is that of the last four weeks, and all further weeks add at most slope x 0.9 / 0.1 = 9.
        assert!(trend[363] < 33.5 + 9.01, "{}", trend[363]);
        assert_eq!(choose(&history), Method::DampedTrend);
    }

    #[test]
    fn a_falling_trend_stops_at_zero() {
        let history: Vec<u64> = (0..26).flat_map(|week| [100 - 4 * week; 7]).collect();
        assert!(Method::DampedTrend.daily(&history, 364).iter().all(|rows| *rows >= 0.0));
    }

    #[test]
    fn one_burst_does_not_make_a_trend() {
        let mut weeks = [50.0; 12];
        weeks[11] = 5_000.0;
        assert!(median_slope(&weeks).abs() < 1e-9);
    }

    #[test]
    fn windows_end_with_the_history_and_do_not_overlap() {
        assert_eq!(origins(56, 28, 28), [28]);
        assert_eq!(origins(100, 28, 28), [44, 72]);
        assert_eq!(origins(20, 28, 28), [0usize; 0]);
    }

    #[test]
    fn a_steady_series_is_forecast_exactly() {
        let backtest = backtest(&[10; 112]).expect("enough history");
        assert_eq!((backtest.origins, backtest.wape), (3, Some(0.0)));
        assert!((backtest.coverage_80 - 1.0).abs() < 1e-9);
        let forecast = forecast(&[10; 112]).expect("enough history");
        assert!((forecast.expected[99] - 1000.0).abs() < 1e-6);
        for (low, high) in [&forecast.bounds_80, &forecast.bounds_95] {
            assert!(low.is_sorted() && high.is_sorted());
            assert!(low.iter().zip(high).all(|(low, high)| low <= high));
        }
    }

    #[test]
    fn short_or_silent_histories_are_no_division_by_zero() {
        assert_eq!(forecast(&[3; 55]), None);
        assert_eq!(backtest(&[3; 55]), None);
        let silent = backtest(&[0; 60]).expect("enough history");
        assert_eq!(silent.wape, None);
        assert!(forecast(&[0; 60]).expect("enough history").expected.iter().all(|rows| *rows == 0.0));
    }
}
