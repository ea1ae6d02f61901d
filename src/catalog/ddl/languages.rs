//! Languages: CREATE LANGUAGE with a handler, DROP LANGUAGE.
//!
//! Input: the parser's statements. Output: the names of languages. Invariant: those of the server itself are there from the start. Left out:
//! languages without a handler, which are extensions; whether a function's language is there.

use pg_query::protobuf::{CreatePLangStmt, DropStmt};

use super::{Change, qualified_list};
use crate::catalog::{Outcome, Problem};

/// Languages of every database.
const BUILT_IN: &[&str] = &["internal", "c", "sql", "plpgsql"];

impl Change {
    pub(super) fn create_language(&mut self, statement: &CreatePLangStmt) -> Outcome<&'static str> {
        let name = &statement.plname;
        let is_new = !BUILT_IN.contains(&name.as_str()) && self.catalog.languages.insert(name.clone());
        if !is_new && !statement.replace {
            return Err(Problem::rejected("42710", format!("language \"{name}\" already exists")));
        }
        Ok("CREATE LANGUAGE")
    }

    pub(super) fn drop_languages(&mut self, statement: &DropStmt) -> Outcome<&'static str> {
        for node in &statement.objects {
            let (_, name) = qualified_list(node)?;
            if BUILT_IN.contains(&name.as_str()) {
                let what = if name == "plpgsql" { "extension plpgsql requires it" } else { "the database system does" };
                return Err(Problem::rejected("2BP01", format!("cannot drop language {name} because {what}")));
            }
            if self.catalog.languages.remove(&name) || self.catalog.partial {
                continue;
            }
            let message = format!("language \"{name}\" does not exist");
            if !statement.missing_ok {
                return Err(Problem::rejected("42704", message));
            }
            self.note(format!("{message}, skipping"));
        }
        Ok("DROP LANGUAGE")
    }
}
