//! Sql: ad-hoc SQL and named questions.
