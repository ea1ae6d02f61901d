//! GitHub workflow commands: each finding becomes an annotation at its place in the changed files.
//!
//! One line a finding, gravest first, and one for the answer itself. Nothing else is written: a line of data that begins with
//! `::` would be obeyed. Source: GitHub Docs, "Workflow commands for GitHub Actions".

use std::io::Write;

use anyhow::Result;

use crate::report::{Finding, Report, Severity};

pub(super) fn write(out: &mut dyn Write, report: &dyn Report) -> Result<()> {
    for finding in report.findings() {
        writeln!(out, "{}", annotation(finding))?;
    }
    let view = report.view();
    let title = property(&format!("rehearsal {}", report.name()));
    let answer = std::iter::once(view.title).chain(view.headline).filter(|line| !line.is_empty());
    let answer: Vec<String> = answer.collect();
    writeln!(out, "::notice title={title}::{}", data(&answer.join("\n")))?;
    Ok(())
}

fn annotation(finding: &Finding) -> String {
    let command = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = Vec::new();
    if let Some(location) = &finding.location {
        properties.push(format!("file={}", property(&location.file)));
        properties.push(format!("line={}", location.line));
        if let Some(end) = location.end_line {
            properties.push(format!("endLine={end}"));
        }
        // GitHub takes a column only where the annotation is about one line.
        if let Some(column) = location.column.filter(|_| location.end_line.is_none_or(|end| end == location.line)) {
            properties.push(format!("col={column}"));
        }
    }
    properties.push(format!("title={}", property(finding.id)));
    format!("::{command} {}::{}", properties.join(","), data(&format!("{}\n{}", finding.message, finding.action)))
}

/// Escapes a message.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property's value.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Location;

    fn check(severity: Severity, location: Option<Location>, message: &str, expected: &str) {
        let mut finding = Finding::new("dead-rule", severity, 1, message, "Drop it.");
        finding.location = location;
        assert_eq!(annotation(&finding), expected);
    }

    #[test]
    fn findings_are_commands() {
        let place = Location { file: "a,b/migration.sql".into(), line: 22, column: Some(3), end_line: Some(25) };
        check(
            Severity::Error,
            Some(place.clone()),
            "50% of a::b",
            "::error file=a%2Cb/migration.sql,line=22,endLine=25,title=dead-rule::50%25 of a::b%0ADrop it.",
        );
        check(
            Severity::Warning,
            Some(Location { end_line: Some(22), ..place }),
            "a",
            "::warning file=a%2Cb/migration.sql,line=22,endLine=22,col=3,title=dead-rule::a%0ADrop it.",
        );
        check(Severity::Note, None, "two\r\nlines", "::notice title=dead-rule::two%0D%0Alines%0ADrop it.");
    }
}
