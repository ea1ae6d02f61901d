//! Growth: capacity report.
