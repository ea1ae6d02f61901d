//! PL/pgSQL: the server's procedural language, read and run.
//!
//! Input: the body of a DO block, function, procedure or trigger. Output: what it does to a [`Host`](run::Host), which knows the
//! rows. Invariants: expressions and SQL statements are the host's business, so that they mean what they mean everywhere else; a form
//! that isn't run exactly is refused by name; a body that goes on for too long is stopped. Left out: COMMIT inside of a
//! body.

pub mod conditions;
pub mod parse;
pub mod run;
pub mod tree;
