//! What a classification says to a person: findings in sentences, then the tables behind them.

use serde_json::{Map, json};

use super::measure::SHADOWED_BELOW;
use super::{Agreement, ClassifyReport, Guard, Ladder, RuleOutcome};
use crate::render::count;
use crate::report::{Block, Cell, Finding, Severity, Table, View, sort_findings};

/// Share of the rows above which the fallback is worth a word.
const FALLBACK_HEAVY: f64 = 0.2;
/// Operations shown in the terminal; JSON has all.
const OPERATIONS_SHOWN: usize = 20;

/// Everything worth acting on, gravest first.
pub(super) fn findings(report: &ClassifyReport, ladder: &Ladder, samples: usize) -> Vec<Finding> {
    let fallback = ladder.fallback();
    let mut findings = Vec::new();
    for (index, rule) in report.rules.iter().enumerate() {
        findings.extend(rule_finding(rule, fallback == Some(index)));
    }
    findings.extend(null_finding(report));
    findings.extend(fallback_finding(report, ladder, samples));
    findings.extend(report.wide_patterns.iter().map(|wide| {
        let why = match wide.reason {
            "underscore" => "`_` in it stands for any character",
            _ => "the match goes on within a word",
        };
        Finding::new(
            "wide-pattern",
            Severity::Warning,
            wide.rows,
            format!(
                "The pattern '{}' of rule {} also takes {} rows such as '{}', because {why}.",
                wide.pattern,
                wide.rule,
                count(wide.rows),
                wide.example
            ),
            if wide.reason == "underscore" {
                "Write \\_ where an underscore is meant."
            } else {
                "End the pattern with the separator, e.g. ':%', where a whole word is meant."
            },
        )
    }));
    if report.replay.differing_rows > 0 {
        findings.push(Finding::new(
            "replay-differs",
            Severity::Error,
            report.replay.differing_rows,
            "The UPDATE statements run in order give other categories than the rules read as a function of the row.",
            "Report this as a defect of rehearsal, with the ladder: the two must always agree.",
        ));
    }
    findings.extend(report.agreement.as_ref().and_then(|a| disagreement(report, a, samples)));
    sort_findings(&mut findings);
    findings
}

fn rule_finding(rule: &RuleOutcome, fallback: bool) -> Option<Finding> {
    if rule.matched_rows == 0 {
        return Some(Finding::new(
            "dead-rule",
            Severity::Warning,
            0,
            format!("Rule {} ({}) matches no row of this snapshot.", rule.id, rule.category),
            "Check the spelling of its predicate against the operations listed below, or drop the rule.",
        ));
    }
    let share = rule.won_rows as f64 / rule.matched_rows as f64;
    // A fallback matches every row by design and takes what is left.
    if fallback || share >= SHADOWED_BELOW {
        return None;
    }
    let takers: Vec<String> = rule.lost_to.iter().map(|l| format!("{} ({})", l.id, count(l.rows))).collect();
    let claim = rule.comment.as_deref().map_or_else(String::new, |c| format!(" Its comment says \"{c}\"."));
    let cause = match rule.guard {
        Guard::Unset => "its guard lets it write only where no earlier rule has written",
        Guard::Always => "a later rule overwrites it",
    };
    let action = match rule.guard {
        Guard::Unset => format!(
            "If it is meant to override, run it without the NULL guard: it would then take {} rows.",
            count(rule.won_rows_if_always)
        ),
        Guard::Always => "If it is meant to win, run it after the rules that overwrite it.".to_owned(),
    };
    Some(Finding::new(
        "shadowed-rule",
        Severity::Warning,
        rule.matched_rows - rule.won_rows,
        format!(
            "Rule {} ({}) matches {} rows and decides {}: the others go to {}, because {cause}.{claim}",
            rule.id,
            rule.category,
            count(rule.matched_rows),
            count(rule.won_rows),
            takers.join(", ")
        ),
        action,
    ))
}

fn null_finding(report: &ClassifyReport) -> Option<Finding> {
    let rows = report.categories.iter().find(|c| c.category.is_none()).map_or(0, |c| c.rows);
    (rows > 0).then(|| {
        Finding::new(
            "null-category",
            Severity::Error,
            rows,
            format!("No rule takes {} rows: their category stays NULL, and SET NOT NULL would fail.", count(rows)),
            "Add a last rule with when = \"true\" and guard = \"unset\", or rules for the operations listed below.",
        )
    })
}

fn fallback_finding(report: &ClassifyReport, ladder: &Ladder, samples: usize) -> Option<Finding> {
    let fallback = &ladder.rules[ladder.fallback()?];
    let share = report.fallback_rows as f64 / report.rows as f64;
    if share < FALLBACK_HEAVY {
        return None;
    }
    let taken = report.operations.iter().filter(|o| o.rule.as_deref() == Some(fallback.id.as_str()));
    let samples = taken.take(samples).map(|o| sample(json!({"operation": o.operation, "rows": o.rows}))).collect();
    Some(
        Finding::new(
            "fallback-heavy",
            Severity::Warning,
            report.fallback_rows,
            format!(
                "The fallback rule {} takes {} of {} rows ({:.0} %): they become {} only because no rule names them.",
                fallback.id,
                count(report.fallback_rows),
                count(report.rows),
                share * 100.0,
                fallback.category
            ),
            "Read the operations it takes; each that isn't meant needs a rule.",
        )
        .with_samples(samples),
    )
}

fn disagreement(report: &ClassifyReport, agreement: &Agreement, samples: usize) -> Option<Finding> {
    if agreement.differ_rows == 0 {
        return None;
    }
    let shown = agreement.differing_operations.iter().take(samples);
    let samples = shown
        .map(|o| {
            sample(json!({"operation": o.operation, &*report.ladder: o.from, &*agreement.other: o.to, "rows": o.rows}))
        })
        .collect();
    Some(
        Finding::new(
            "ladder-disagreement",
            Severity::Warning,
            agreement.differ_rows,
            format!(
                "{} of {} rows get another category from {} than from {}.",
                count(agreement.differ_rows),
                count(report.rows),
                agreement.other,
                report.ladder
            ),
            "Decide which is meant and change the other before both have written rows: afterwards nobody can tell them apart.",
        )
        .with_samples(samples),
    )
}

fn sample(value: serde_json::Value) -> Map<String, serde_json::Value> {
    match value {
        serde_json::Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The report as a person reads it.
pub(super) fn view(report: &ClassifyReport) -> View {
    let parts: Vec<String> = report
        .categories
        .iter()
        .map(|c| format!("{} {}", c.category.as_deref().unwrap_or("NULL"), count(c.rows)))
        .collect();
    let mut headline = vec![format!("{} rows: {}.", count(report.rows), parts.join(", "))];
    if let Some(agreement) = &report.agreement {
        headline.push(format!(
            "{} and {} agree on {} rows and differ on {}.",
            report.ladder,
            agreement.other,
            count(agreement.agree_rows),
            count(agreement.differ_rows)
        ));
    }
    let mut blocks = vec![Block::Table(rules_table(report))];
    if let Some(agreement) = &report.agreement {
        blocks.push(Block::Table(matrix_table(report, agreement)));
    }
    if let Some(stored) = &report.stored {
        blocks.push(Block::Note(format!(
            "The column {} already holds a category: it equals this ladder's in {} rows and differs in {}.",
            stored.other,
            count(stored.agree_rows),
            count(stored.differ_rows)
        )));
        if stored.differ_rows > 0 {
            blocks.push(Block::Table(matrix_table(report, stored)));
        }
    }
    blocks.push(Block::Table(replay_table(report)));
    if !report.overlaps.is_empty() {
        let mut table = Table::new("Rules that match the same rows", &["rule", "and rule", "rows"]);
        for overlap in &report.overlaps {
            table.push(vec![overlap.first.as_str().into(), overlap.second.as_str().into(), overlap.rows.into()]);
        }
        blocks.push(Block::Table(table));
    }
    blocks.extend(operation_blocks(report));
    View { title: format!("Classification by the ladder {}", report.ladder), headline, blocks }
}

fn rules_table(report: &ClassifyReport) -> Table {
    let mut table =
        Table::new("Rules, in the order they run", &["rule", "category", "guard", "matched", "won", "lost to"]);
    for rule in &report.rules {
        let guard = match rule.guard {
            Guard::Always => "always",
            Guard::Unset => "unset",
        };
        let lost: Vec<String> = rule.lost_to.iter().map(|l| format!("{} {}", l.id, count(l.rows))).collect();
        table.push(vec![
            rule.id.as_str().into(),
            rule.category.as_str().into(),
            guard.into(),
            rule.matched_rows.into(),
            rule.won_rows.into(),
            lost.join(", ").into(),
        ]);
    }
    table
}

fn replay_table(report: &ClassifyReport) -> Table {
    let mut table = Table::new("Replay: the same rules as UPDATE statements", &["rows", "statement"]);
    for statement in &report.replay.statements {
        let sql = statement.sql.split_whitespace().collect::<Vec<_>>().join(" ");
        table.push(vec![statement.rows_affected.into(), sql.into()]);
    }
    table
}

fn matrix_table(report: &ClassifyReport, agreement: &Agreement) -> Table {
    let title = format!("{} beside {}", report.ladder, agreement.other);
    let mut table = Table::new(title, &[&report.ladder, &agreement.other, "rows", "agree"]);
    for cell in &agreement.matrix {
        table.push(vec![
            cell.from.clone().into(),
            cell.to.clone().into(),
            cell.rows.into(),
            Cell::Flag(cell.from == cell.to),
        ]);
    }
    table
}

fn operation_blocks(report: &ClassifyReport) -> Vec<Block> {
    if report.operations.is_empty() {
        return vec![];
    }
    let mut table = Table::new("Operations and the rule that takes them", &["operation", "rule", "rows"]);
    for operation in report.operations.iter().take(OPERATIONS_SHOWN) {
        table.push(vec![operation.operation.clone().into(), operation.rule.clone().into(), operation.rows.into()]);
    }
    let mut blocks = vec![Block::Table(table)];
    let hidden = report.operations.len().saturating_sub(OPERATIONS_SHOWN);
    if hidden > 0 {
        blocks.push(Block::Note(format!("… and {hidden} more; --format json has all.")));
    }
    blocks
}
