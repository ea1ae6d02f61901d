//! Findings about the snapshot itself: it holds a part of the rows or columns, or other values than the server.
//!
//! Input: the manifest, and which statements named masked columns. Output: findings. Invariant: whoever rehearses on a part is told so
//! in every report.

use crate::dry_run::report::DryRunReport;
use crate::dry_run::session::Session;
use crate::report::{Finding, Severity};
use crate::snapshot::manifest::Manifest;

use super::{listed, place, plural};

/// What the user should know of the snapshot.
pub(in crate::dry_run) fn findings(manifest: &Manifest, session: &Session<'_>, report: &DryRunReport) -> Vec<Finding> {
    let mut found = Vec::new();
    for table in &manifest.tables {
        if let Some(last) = table.increments.last() {
            found.push(Finding::new(
                "partial-snapshot",
                Severity::Warning,
                table.rows - last.rows,
                format!(
                    "{} of {} are those of the earlier snapshot {}: what was updated among them since then isn't in this one.",
                    plural(table.rows - last.rows, "row"),
                    table.name,
                    last.since
                ),
                "Rehearse on an export without --since before you rely on their values.",
            ));
        }
        let Some(part) = &table.part else { continue };
        let mut what = Vec::new();
        what.extend(part.predicate.as_ref().map(|sql| format!("only the rows where {sql}")));
        let left: Vec<&str> = part.left_out.iter().map(|column| column.name.as_str()).collect();
        if !left.is_empty() {
            what.push(format!(
                "without {}",
                listed("column", &left.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
            ));
        }
        found.push(Finding::new(
            "partial-snapshot",
            Severity::Warning,
            table.rows,
            format!(
                "The snapshot holds a part of {} ({}): counts are of this part, and what it doesn't hold may break keys, references and checks.",
                table.name,
                what.join(", ")
            ),
            "Rehearse on an export without --where and --columns before you rely on counts and constraints.",
        ));
    }
    for ((oid, column), statements) in &session.held().masked_reads {
        let Some(table) = session.base.tables.get(oid) else { continue };
        let described = manifest.tables.iter().find(|t| t.schema == table.schema && t.name == table.name);
        let masked = described.into_iter().flat_map(|t| &t.masked).filter(|masked| masked.column == *column);
        let masked: Vec<_> = masked.collect();
        let rules: Vec<String> = masked.iter().map(|masked| format!("{}: {}", masked.shown(), masked.rule)).collect();
        let numbers: Vec<String> = statements.iter().map(ToString::to_string).collect();
        let values: u64 = masked.iter().map(|masked| masked.values).sum();
        let finding = Finding::new(
            "masked-values",
            Severity::Warning,
            values,
            format!(
                "{} of {} masked in the snapshot ({}), and {} {} the column: what depends on the plain values comes out otherwise on the server.",
                plural(values, "value"),
                format_args!("{}.{column} {}", table.name, if values == 1 { "is" } else { "are" }),
                rules.join(", "),
                listed("statement", &numbers),
                if numbers.len() == 1 { "names" } else { "name" },
            ),
            "Comparisons between hashed columns hold; for literals, patterns and lengths rehearse on an export without that mask.",
        );
        let first = statements.first().and_then(|index| report.statements.iter().find(|s| s.index == *index));
        found.push(match first {
            Some(statement) => finding.at(place(statement)),
            None => finding,
        });
    }
    found
}
