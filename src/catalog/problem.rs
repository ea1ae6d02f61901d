//! Why a statement isn't carried out: the server would refuse it, or its answer can't be told here.
//!
//! Invariant: the two are never confused. A [`Problem::Rejected`] is PostgreSQL's word, with its SQLSTATE; a
//! [`Problem::Unsupported`] is ours, and says what couldn't be read.

use std::fmt;

/// What keeps a statement from being carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The server refuses the statement.
    Rejected(ServerError),
    /// What the server would do can't be told here.
    Unsupported(Unsupported),
}

/// An error as PostgreSQL reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// Five characters, e.g. `42703`.
    pub sqlstate: &'static str,
    /// As the server words it, without `ERROR:`.
    pub message: String,
    /// The server's DETAIL line.
    pub detail: Option<String>,
    /// The way out.
    pub hint: Option<String>,
    /// Byte offset in the statement's text, as the parser's nodes give it; absent where the parser doesn't know.
    pub position: Option<usize>,
}

/// A form that isn't known to mean the same here as on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// What couldn't be read, as the subject of a sentence: `the function similarity()`, `a loop in PL/pgSQL`.
    pub what: String,
    /// Byte offset in the statement's text.
    pub position: Option<usize>,
}

/// The result of reading or applying a statement.
pub type Outcome<T> = Result<T, Problem>;

impl Problem {
    /// An error of the server.
    pub fn rejected(sqlstate: &'static str, message: impl Into<String>) -> Problem {
        Problem::Rejected(ServerError { sqlstate, message: message.into(), detail: None, hint: None, position: None })
    }

    /// Something that can't be told here.
    pub fn unsupported(what: impl Into<String>) -> Problem {
        Problem::Unsupported(Unsupported { what: what.into(), position: None })
    }

    /// The same with the server's DETAIL.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Problem {
        if let Problem::Rejected(error) = &mut self {
            error.detail = Some(text.into());
        }
        self
    }

    /// The same with a way out.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Problem {
        if let Problem::Rejected(error) = &mut self {
            error.hint = Some(text.into());
        }
        self
    }

    /// The same at a place, unless it has one already. `location` is a node's, -1 where the parser doesn't know.
    #[must_use]
    pub fn at(mut self, location: i32) -> Problem {
        let position = match &mut self {
            Problem::Rejected(error) => &mut error.position,
            Problem::Unsupported(unsupported) => &mut unsupported.position,
        };
        if position.is_none() {
            *position = usize::try_from(location).ok();
        }
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Rejected(error) => write!(f, "{} ({})", error.message, error.sqlstate),
            Problem::Unsupported(unsupported) => write!(f, "{} can't be rehearsed", unsupported.what),
        }
    }
}

impl std::error::Error for Problem {}
