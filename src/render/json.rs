//! JSON: the report in its envelope, indented, with a final newline.

use std::io::Write;

use anyhow::Result;

use crate::report::{Envelope, Outcome, Report, SCHEMA_VERSION, SnapshotRef};

pub(super) fn write(
    out: &mut dyn Write,
    report: &dyn Report,
    snapshot: Option<&SnapshotRef>,
    outcome: Outcome,
) -> Result<()> {
    let envelope = Envelope {
        report: report.name(),
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION"),
        snapshot,
        outcome,
        findings: report.findings(),
        result: report.result()?,
    };
    serde_json::to_writer_pretty(&mut *out, &envelope).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}
