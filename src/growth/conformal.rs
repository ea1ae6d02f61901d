//! How far do totals stray from their forecast?
//!
//! Input: residuals `ln((actual + 5) / (forecast + 5))` of horizon totals. Output: their quantiles ([`Quantiles`]) at a horizon,
//! and the bounds they give. Split-conformal prediction: whatever the model, 80 of 100 totals fell between these two ratios.
//! Summing daily intervals instead would claim far too much: at a nominal 80 % it covers half of the totals.
//!
//! [`POOLED`] comes from 18 public series of daily counts (commits of public repositories, up to three years each: bursty and
//! full of zeros, like an event log). The series are in `fixtures/growth/daily-event-counts.csv`; the test
//! `the_pooled_table_is_what_the_series_give` computes the table from them and compares.
//! From [`OWN_WINDOWS`] windows of a history on (95 % needs that many), the table is scaled by what this history's errors at four
//! weeks are to the pooled ones, by no more than a factor of two either way.

/// Windows of one history from which its own errors count.
pub const OWN_WINDOWS: usize = 19;

/// Added to both sides of the ratio, so that a quiet window isn't an infinite error.
const OFFSET: f64 = 5.0;

/// Levels of the quantiles: the bounds of 95 % and of 80 %.
const LEVELS: [f64; 4] = [0.025, 0.1, 0.9, 0.975];

/// Quantiles of the residuals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles {
    /// Level 0.025.
    pub low_95: f64,
    /// Level 0.1.
    pub low_80: f64,
    /// Level 0.9.
    pub high_80: f64,
    /// Level 0.975.
    pub high_95: f64,
}

impl Quantiles {
    /// Lowest first.
    pub fn levels(self) -> [f64; 4] {
        [self.low_95, self.low_80, self.high_80, self.high_95]
    }

    fn from_levels([low_95, low_80, high_80, high_95]: [f64; 4]) -> Self {
        Quantiles { low_95, low_80, high_80, high_95 }
    }
}

/// Horizon in days, and the quantiles of the public series' residuals at it.
pub const POOLED: [(usize, [f64; 4]); 7] = [
    (7, [-1.335, -0.756, 0.529, 0.921]),
    (14, [-1.352, -0.706, 0.597, 1.019]),
    (28, [-1.198, -0.626, 0.542, 1.006]),
    (56, [-0.884, -0.526, 0.546, 1.093]),
    (84, [-0.847, -0.448, 0.552, 1.053]),
    (168, [-0.722, -0.429, 0.561, 1.204]),
    (364, [-0.852, -0.438, 0.543, 1.943]),
];

/// How a history's own errors relate to the pooled ones, by level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale([f64; 4]);

impl Default for Scale {
    fn default() -> Self {
        Scale([1.0; 4])
    }
}

/// The residual of a total.
pub fn residual(actual: f64, forecast: f64) -> f64 {
    ((actual + OFFSET) / (forecast + OFFSET)).ln()
}

/// The total that strays from `forecast` by this residual.
pub fn bound(forecast: f64, residual: f64) -> f64 {
    ((forecast + OFFSET) * residual.exp() - OFFSET).max(0.0)
}

/// Quantiles with the finite-sample correction of conformal prediction: the upper one is the `ceil(p (n + 1))`-th residual.
pub fn quantiles(residuals: &[f64]) -> Option<[f64; 4]> {
    let mut sorted = residuals.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some(LEVELS.map(|level| {
        let rank = level * (sorted.len() + 1) as f64;
        let index = if level > 0.5 { rank.ceil() - 1.0 } else { rank.floor() - 1.0 };
        sorted[(index.max(0.0) as usize).min(last)]
    }))
}

/// The scale of a history with these residuals at 28 days.
pub fn own_scale(residuals: &[f64]) -> Scale {
    if residuals.len() < OWN_WINDOWS {
        return Scale::default();
    }
    let Some(own) = quantiles(residuals) else { return Scale::default() };
    let pooled = at(super::forecast::BACKTEST_DAYS, Scale::default()).levels();
    Scale(std::array::from_fn(|i| (own[i] / pooled[i]).clamp(0.5, 2.0)))
}

/// Quantiles at a horizon: between the table's horizons by the logarithm of the days, beyond the last one as at the last one.
pub fn at(horizon_days: usize, scale: Scale) -> Quantiles {
    at_in(&POOLED, horizon_days, scale)
}

fn at_in(table: &[(usize, [f64; 4])], horizon_days: usize, Scale(scale): Scale) -> Quantiles {
    let next = table.iter().position(|(days, _)| *days >= horizon_days).unwrap_or(table.len() - 1);
    let (high_days, high) = table[next];
    let (low_days, low) = table[next.saturating_sub(1)];
    let weight = if high_days == low_days {
        1.0
    } else {
        let position = (horizon_days as f64 / low_days as f64).ln() / (high_days as f64 / low_days as f64).ln();
        position.clamp(0.0, 1.0)
    };
    Quantiles::from_levels(std::array::from_fn(|i| (low[i] + (high[i] - low[i]) * weight) * scale[i]))
}

#[cfg(test)]
mod tests {
    use super::super::forecast::{BACKTEST_DAYS, MIN_HISTORY_DAYS, choose, origins};
    use super::*;

    const SERIES: &str = include_str!("../../fixtures/growth/daily-event-counts.csv");

    fn public_series() -> Vec<Vec<u64>> {
        let rows: Vec<&str> = SERIES.lines().filter(|line| !line.starts_with('#')).skip(1).collect();
        rows.iter()
            .map(|row| {
                let counts = row.rsplit(',').next().expect("three fields");
                counts.split(' ').map(|c| c.parse().expect("a count")).collect()
            })
            .collect()
    }

    /// Residuals of one series at a horizon, with the origin: the procedure of the product, at every origin from what was known.
    fn residuals(series: &[u64], horizon: usize) -> Vec<(usize, f64)> {
        origins(series.len(), horizon, MIN_HISTORY_DAYS)
            .into_iter()
            .map(|origin| {
                let past = &series[..origin];
                let actual = series[origin..origin + horizon].iter().sum::<u64>() as f64;
                (origin, residual(actual, choose(past).total(past, horizon)))
            })
            .collect()
    }

    #[test]
    fn the_pooled_table_is_what_the_series_give() {
        let series = public_series();
        assert_eq!((series.len(), series.iter().map(Vec::len).sum::<usize>()), (18, 19_266));
        let computed = POOLED.map(|(horizon, _)| {
            let all: Vec<f64> = series.iter().flat_map(|s| residuals(s, horizon)).map(|(_, r)| r).collect();
            let rounded = quantiles(&all).expect("some windows").map(|q| (q * 1000.0).round() / 1000.0);
            (horizon, rounded)
        });
        assert_eq!(computed, POOLED);
    }

    /// Each series is predicted with a table made of the seventeen others, as a user's table is.
    #[test]
    fn bounds_cover_what_they_claim_on_series_they_have_not_seen() {
        let series = public_series();
        for horizon in [28, 84, 168] {
            let by_series: Vec<Vec<(usize, f64)>> = series.iter().map(|s| residuals(s, horizon)).collect();
            let at_28: Vec<Vec<(usize, f64)>> = series.iter().map(|s| residuals(s, BACKTEST_DAYS)).collect();
            let (mut inside_80, mut inside_95, mut windows) = (0, 0, 0);
            for left_out in 0..series.len() {
                let table = |of: &[Vec<(usize, f64)>]| {
                    let others = of.iter().enumerate().filter(|(i, _)| *i != left_out);
                    quantiles(&others.flat_map(|(_, r)| r).map(|(_, r)| *r).collect::<Vec<_>>()).expect("some windows")
                };
                let (here, pooled_28) = (table(&by_series), table(&at_28));
                for (origin, actual) in &by_series[left_out] {
                    let past: Vec<f64> =
                        at_28[left_out].iter().filter(|(o, _)| o + BACKTEST_DAYS <= *origin).map(|(_, r)| *r).collect();
                    let own = if past.len() < OWN_WINDOWS { None } else { quantiles(&past) };
                    let scale =
                        own.map_or([1.0; 4], |own| std::array::from_fn(|i| (own[i] / pooled_28[i]).clamp(0.5, 2.0)));
                    let q = at_in(&[(horizon, here)], horizon, Scale(scale));
                    windows += 1;
                    inside_80 += u32::from((q.low_80..=q.high_80).contains(actual));
                    inside_95 += u32::from((q.low_95..=q.high_95).contains(actual));
                }
            }
            let percent = |inside: u32| 100.0 * f64::from(inside) / f64::from(windows);
            let (at_80, at_95) = (percent(inside_80), percent(inside_95));
            assert!((75.0..=85.0).contains(&at_80), "{horizon} days: {at_80:.1} % of {windows} within the 80 % bounds");
            assert!((92.0..=98.0).contains(&at_95), "{horizon} days: {at_95:.1} % of {windows} within the 95 % bounds");
        }
    }

    #[test]
    fn totals_of_four_weeks_are_forecast_as_well_as_promised() {
        let (mut error, mut rows) = (0.0, 0.0);
        for series in public_series() {
            for origin in origins(series.len(), 28, MIN_HISTORY_DAYS) {
                let actual = series[origin..origin + 28].iter().sum::<u64>() as f64;
                error += (actual - choose(&series[..origin]).total(&series[..origin], 28)).abs();
                rows += actual;
            }
        }
        assert!(error / rows < 0.33, "WAPE {:.3}", error / rows);
    }

    #[test]
    fn quantiles_are_ranks_of_n_plus_one() {
        let residuals: Vec<f64> = (1..=39).map(f64::from).collect();
        assert_eq!(quantiles(&residuals), Some([1.0, 4.0, 36.0, 39.0]));
        assert_eq!(quantiles(&[]), None);
        assert_eq!(quantiles(&[0.25]), Some([0.25; 4]));
    }

    #[test]
    fn between_two_horizons_the_quantile_lies_between_theirs() {
        let (low, high) = (at(28, Scale::default()), at(56, Scale::default()));
        let between = at(40, Scale::default());
        assert!((low.high_95.min(high.high_95)..=low.high_95.max(high.high_95)).contains(&between.high_95));
        assert_eq!(at(5000, Scale::default()), at(364, Scale::default()));
        assert_eq!(at(1, Scale::default()), at(7, Scale::default()));
    }

    #[test]
    fn a_bound_undoes_a_residual() {
        assert!((bound(100.0, residual(42.0, 100.0)) - 42.0).abs() < 1e-9);
        assert!(bound(0.0, -3.0) == 0.0);
    }

    #[test]
    fn a_quiet_history_narrows_the_bounds_by_no_more_than_half() {
        assert_eq!(own_scale(&[0.0; 18]), Scale::default());
        assert_eq!(own_scale(&[0.0; 19]), Scale([0.5; 4]));
    }
}
