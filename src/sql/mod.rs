//! Sql: any question in SQL, asked of a snapshot that no SQL can change.
//!
//! Input: an opened snapshot and SQL text, the name of a question, or a person at a prompt. Output: rows, as a table, CSV, JSON,
//! Markdown or Parquet. Invariants: statements only read the snapshot's files (a session may keep tables of its own in memory);
//! rows stream from the engine to the writer; every value is written exactly. Left out: analyses with a truth of their own.
//!
//! Modules in reading order: [`lexer`] (where statements end) and [`guard`] (which may run); [`session`] (running them) with
//! [`failure`] (telling what went wrong, and where); [`value`] (how a value is written) and [`mod@format`] (how rows are);
//! [`questions`] with [`timeline`]; [`shell`] with [`completion`].

pub mod completion;
pub mod failure;
pub mod format;
pub mod guard;
pub mod lexer;
pub mod questions;
pub mod session;
pub mod shell;
pub mod timeline;
pub mod value;
