//! What a capacity report asks the reader to act on.
//!
//! Input: the finished report. Output: findings. Invariant: a threshold is a warning when it is crossed or will be within
//! [`SOON_DAYS`], a note when it will be later; one that isn't crossed within ten years is no finding.

use super::{Crossing, GrowthReport, MIN_HISTORY_DAYS, State};
use crate::render::{bytes, count};
use crate::report::{Finding, Severity, sort_findings};

/// A crossing this near is a warning.
const SOON_DAYS: i64 = 90;

/// The findings of a report, sorted.
pub(super) fn of(report: &GrowthReport) -> Vec<Finding> {
    let mut findings: Vec<Finding> = report.thresholds.iter().filter_map(|t| threshold(report, t)).collect();
    findings.extend(short_history(report));
    findings.extend(undated(report));
    sort_findings(&mut findings);
    findings
}

fn threshold(report: &GrowthReport, crossing: &Crossing) -> Option<Finding> {
    let size = bytes(crossing.size_bytes);
    match (crossing.state, crossing.crossed_at) {
        (State::Above, _) => Some(Finding::new(
            "threshold-crossed",
            Severity::Warning,
            1,
            format!("The table is at {}: it is above {size} already.", bytes(report.size_bytes)),
            "Decide on retention, partitioning or another threshold now.",
        )),
        (State::Dated, Some(date)) => {
            let today = report.history.as_ref().map(|h| h.last_day)?;
            let ahead = (date - today).num_days();
            let severity = if ahead <= SOON_DAYS { Severity::Warning } else { Severity::Note };
            let latest = crossing.latest.map_or_else(|| "later than ten years".to_owned(), |d| d.to_string());
            let earliest = crossing.earliest.map_or_else(|| date.to_string(), |d| d.to_string());
            Some(Finding::new(
                "threshold-crossed",
                severity,
                1,
                format!(
                    "The table crosses {size} about {date}, {} days after the last row (80 %: {earliest} to {latest}).",
                    count(ahead.unsigned_abs())
                ),
                format!("Plan retention or partitioning for {earliest}; a later export narrows the range."),
            ))
        }
        _ => None,
    }
}

fn short_history(report: &GrowthReport) -> Option<Finding> {
    let days = report.history.as_ref().map_or(0, |h| h.complete_days);
    (report.backtest.is_none() && !report.thresholds.is_empty()).then(|| {
        Finding::new(
            "short-history",
            Severity::Note,
            days,
            format!(
                "The history has {} complete days and a date takes at least {MIN_HISTORY_DAYS}, so thresholds have sizes but no dates.",
                count(days)
            ),
            "Export again once there are eight weeks of rows, or ask for sizes at album counts with --albums.",
        )
    })
}

fn undated(report: &GrowthReport) -> Option<Finding> {
    (report.undated_rows > 0).then(|| {
        Finding::new(
            "null-created-at",
            Severity::Note,
            report.undated_rows,
            format!(
                "created_at is NULL in {} rows: they count in the sizes and not in the rows per day, so dates come out late.",
                count(report.undated_rows)
            ),
            "Find what writes rows without a time.",
        )
    })
}
