//! What a comparison of replay and oracle means for the reader: findings in sentences.
//!
//! Input: the report's figures and sample rows. Output: findings, gravest first. Invariant: a finding is an error only where the
//! backfill writes something that isn't true; what is merely wrong with the data, or may go either way, is a warning.

use super::Variant;
use super::report::{Cause, Difference, RootsReport};
use super::samples::{Examples, Subject};
use crate::render::count;
use crate::report::{Finding, Severity, sort_findings};

/// Rows the recursive query may make for each row of the table before it is more than a note.
const FAN_OUT_WARNING: u64 = 100;

/// Everything worth acting on.
pub(super) fn findings(report: &RootsReport, examples: &Examples) -> Vec<Finding> {
    let mut findings: Vec<Finding> = report
        .replay
        .differences
        .iter()
        .map(|difference| with(difference_finding(report, difference), Subject::Differs(difference.cause), examples))
        .collect();
    let data = [
        (near_limit(report), Subject::NearDepthLimit),
        (dangling(report), Subject::DanglingParent),
        (cyclic(report), Subject::CircularReference),
        (ambiguous(report), Subject::AmbiguousParent),
        (plan_dependent(report), Subject::PlanDependent),
        (split_family(report), Subject::SplitFamily),
        (flagged_with_parent(report), Subject::FlaggedWithParent),
        (unflagged_root(report), Subject::UnflaggedRoot),
        (stale_root(report), Subject::StaleRoot),
    ];
    for (finding, subject) in data {
        findings.extend(finding.filter(|finding| finding.count > 0).map(|finding| with(finding, subject, examples)));
    }
    findings.extend(fan_out(report));
    sort_findings(&mut findings);
    findings
}

fn with(finding: Finding, subject: Subject, examples: &Examples) -> Finding {
    finding.with_samples(examples.get(&subject).cloned().unwrap_or_default())
}

/// `1 row gets`, `2 rows get`.
fn rows(n: u64, singular: &str, plural: &str) -> String {
    if n == 1 { format!("1 row {singular}") } else { format!("{} rows {plural}", count(n)) }
}

fn difference_finding(report: &RootsReport, difference: &Difference) -> Finding {
    let n = difference.rows;
    let variant = report.replay.variant.as_str();
    let (id, severity, message, action) = match difference.cause {
        Cause::DepthLimit => (
            "beyond-depth-limit",
            Severity::Error,
            format!(
                "{} of more than {} hops, too long for {variant} at depth limit {}: the backfill writes a job in mid-chain as the root, not NULL.",
                rows(n, "has a chain", "have chains"),
                count(report.replay.resolvable_hops.into()),
                count(report.replay.depth_limit.into())
            ),
            format!(
                "Raise the limit to at least {}, or climb without one and stop at cycles (PostgreSQL: CYCLE clause).",
                count(needed_limit(report))
            ),
        ),
        Cause::Cycle => (
            "replay-differs",
            Severity::Error,
            format!(
                "{} a root all the same, in most cases a job of the cycle.",
                rows(n, "on a cycle or leading into one gets", "on cycles or leading into them get")
            ),
            "Cut the cycles first (`rehearsal cycles` lists them with repair SQL), or leave these rows NULL."
                .to_owned(),
        ),
        Cause::Dangling => (
            "replay-differs",
            Severity::Error,
            format!(
                "{} a root that isn't one: {}.",
                rows(n, "whose chain ends at a missing parent gets", "whose chains end at a missing parent get"),
                match report.replay.variant {
                    Variant::Applied => "the missing id directly below it, and the last job that exists further down",
                    Variant::Example3 => "the missing id",
                    Variant::Pattern2 => "the last job that exists",
                }
            ),
            "Decide what a lost parent means: restore its row, or leave the whole family NULL (\"origin unknown\")."
                .to_owned(),
        ),
        Cause::Ambiguous => (
            "replay-differs",
            Severity::Warning,
            format!(
                "{} one root although the chain has several ends: the longest way wins, whether or not it is meant.",
                rows(n, "gets", "get")
            ),
            "Decide which parent counts, e.g. the one of the oldest row, and say so in the backfill.".to_owned(),
        ),
        Cause::OneHopShort => (
            "replay-differs",
            Severity::Error,
            format!(
                "{} the last job that has a parent instead of the root: {variant} stops one hop short, and a direct child of a root gets its own id.",
                rows(n, "gets", "get")
            ),
            "Take the root itself, as `--variant applied` and `--variant example-3` do.".to_owned(),
        ),
    };
    Finding::new(id, severity, n, message, action)
}

/// The least depth limit at which every chain that has a root comes out right.
fn needed_limit(report: &RootsReport) -> u64 {
    let hops = u64::from(report.max_depth);
    match report.replay.variant {
        Variant::Applied => hops + 1,
        Variant::Example3 => hops,
        Variant::Pattern2 => hops.saturating_sub(1),
    }
}

fn near_limit(report: &RootsReport) -> Option<Finding> {
    let n = report.replay.near_limit_rows;
    let (limit, hops) = (report.replay.depth_limit, report.replay.resolvable_hops);
    let message = format!(
        "{} {} hops or more from the root, close to the {} that the backfill climbs at depth limit {}: a little deeper, and a job in mid-chain becomes the root.",
        rows(n, "is", "are"),
        count(super::near_limit(limit).into()),
        count(hops.into()),
        count(limit.into())
    );
    Some(Finding::new(
        "near-depth-limit",
        Severity::Warning,
        n,
        message,
        "Raise the limit before chains grow, and watch their depth.",
    ))
}

fn dangling(report: &RootsReport) -> Option<Finding> {
    let n = report.outcomes.dangling;
    let message = format!("{} at a parent id that no row bears: their origin is lost.", rows(n, "ends", "end"));
    let action = "Look for the missing jobs in older logs or backups; `missing_job_id` names them.";
    Some(Finding::new("dangling-parent", Severity::Warning, n, message, action))
}

fn cyclic(report: &RootsReport) -> Option<Finding> {
    let n = report.outcomes.cyclic;
    let message = format!("{} on a cycle of jobs or on a way into one: they have no root.", rows(n, "is", "are"));
    let action = "Run `rehearsal cycles`: it lists every cycle with its rows and a repair.";
    Some(Finding::new("circular-reference", Severity::Warning, n, message, action))
}

fn ambiguous(report: &RootsReport) -> Option<Finding> {
    let n = report.outcomes.ambiguous;
    let message = format!(
        "{} to several ends, because a job on the way has two parents, or rows both with and without one.",
        rows(n, "leads", "lead")
    );
    let action = "Find out which parent is the true one; `candidates` names the ends.";
    Some(Finding::new("ambiguous-parent", Severity::Warning, n, message, action))
}

fn plan_dependent(report: &RootsReport) -> Option<Finding> {
    let n = report.replay.plan_dependent_rows;
    let message = format!(
        "{} a root that the server's query plan decides: candidates of equal depth tie, and ORDER BY id, depth DESC leaves the choice open.",
        rows(n, "gets", "get")
    );
    let action = "Add the candidate to the ORDER BY, so that two runs can't differ; `replay_root_job_id` lists the possible answers.";
    Some(Finding::new("plan-dependent", Severity::Warning, n, message, action))
}

fn split_family(report: &RootsReport) -> Option<Finding> {
    let n = report.replay.split_family_rows;
    let message = format!(
        "{} another root than a row of their own parent job: one family falls apart under two roots.",
        rows(n, "gets", "get")
    );
    let action = "Repair the causes first: a timeline by root_job_id would show only a part of such a family.";
    Some(Finding::new("split-family", Severity::Error, n, message, action))
}

fn flagged_with_parent(report: &RootsReport) -> Option<Finding> {
    let n = report.plan?.flagged_rows_with_parent;
    let message = format!(
        "{} marked is_root_job and {} a parent all the same.",
        rows(n, "is", "are"),
        if n == 1 { "has" } else { "have" }
    );
    let action = "Decide which of the two is right: the backfill goes by the parent.";
    Some(Finding::new("root-flag-mismatch", Severity::Warning, n, message, action))
}

fn unflagged_root(report: &RootsReport) -> Option<Finding> {
    let n = report.plan?.unflagged_root_rows;
    let message = format!(
        "{} a job and no parent but {} marked is_root_job: the backfill makes such rows roots, a count by the mark misses them.",
        rows(n, "has", "have"),
        if n == 1 { "isn't" } else { "aren't" }
    );
    let action = "Count roots by parent_job_id IS NULL AND job_id IS NOT NULL, or set the mark first.";
    Some(Finding::new("root-flag-mismatch", Severity::Warning, n, message, action))
}

fn stale_root(report: &RootsReport) -> Option<Finding> {
    let n = report.stored?.stale_rows;
    let message = format!("{} a root_job_id that isn't the root the data has.", rows(n, "stores", "store"));
    let action = "Run the backfill again for these rows, once it gives the true root.";
    Some(Finding::new("stale-root", Severity::Warning, n, message, action))
}

fn fan_out(report: &RootsReport) -> Option<Finding> {
    let made = report.replay.fan_out_rows;
    if made <= report.rows {
        return None;
    }
    let times = made / report.rows.max(1);
    let severity = if times >= FAN_OUT_WARNING { Severity::Warning } else { Severity::Note };
    let amount = if made == u64::MAX {
        format!("more than {} rows: it will not end", count(u64::MAX - 1))
    } else {
        format!("{} rows, {} times the table", count(made), count(times))
    };
    Some(Finding::new(
        "fan-out",
        severity,
        made,
        format!(
            "On the server the recursive query makes {amount}: it joins on job_id, which isn't unique, so rows multiply at every hop."
        ),
        "Recurse over SELECT DISTINCT job_id, parent_job_id instead of over the rows, with an index on job_id.",
    ))
}
