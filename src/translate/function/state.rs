//! Functions about the session: its schemas and its settings.
//!
//! Input: a call, the catalog as it stands. Output: what the session would answer. Invariant: a setting that neither the migration has
//! given nor every server has alike is refused by name.

use crate::catalog::LOCAL;
use crate::catalog::pg::settings;
use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;
use crate::translate::reader::Reader;
use crate::translate::typed::Typed;

impl Reader<'_> {
    /// Schemas of the search path that are there.
    pub(super) fn current_schemas(&mut self, name: &str, args: &[Typed]) -> Outcome<Typed> {
        let catalog = self.catalog();
        let found = catalog.search_path.iter().filter(|schema| catalog.schemas.contains(*schema));
        let found: Vec<String> = found.map(|schema| quote_literal(schema)).collect();
        match (name, args) {
            ("current_schema", []) => {
                let first = found.first().cloned().unwrap_or_else(|| "CAST(NULL AS VARCHAR)".to_owned());
                Ok(Typed::new(first, Type::Name))
            }
            ("current_schemas", [implicit]) => {
                let list = |names: &[String]| format!("CAST([{}] AS VARCHAR[])", names.join(", "));
                let mut all = vec![quote_literal("pg_catalog")];
                all.extend(found.iter().filter(|name| *name != "'pg_catalog'").cloned());
                let sql =
                    format!("CASE {} WHEN true THEN {} WHEN false THEN {} END", implicit.sql, list(&all), list(&found));
                Ok(Typed::new(sql, Type::Array(Box::new(Type::Name))))
            }
            _ => Err(self.no_function(name, args)),
        }
    }

    /// `current_setting('my.name' [, missing_ok])`
    pub(super) fn setting(&mut self, args: &[Typed]) -> Outcome<Typed> {
        let Some(name) = args.first().and_then(Typed::text).map(str::to_lowercase) else {
            return Err(Problem::unsupported("current_setting() of a computed name"));
        };
        let lenient = match args.get(1).map(|missing| missing.sql.as_str()) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Problem::unsupported("current_setting() of this form")),
        };
        let text = |value: &str| Ok(Typed::new(quote_literal(value), Type::Text));
        let catalog = self.catalog();
        let of = |prefix: &str| {
            catalog
                .settings
                .iter()
                .find(|(known, _)| known.strip_prefix(prefix).is_some_and(|known| known.to_lowercase() == name))
        };
        let given = of(LOCAL).or_else(|| of(""));
        match (name.as_str(), given) {
            ("search_path", Some((_, value))) => text(value),
            ("search_path", None) if !catalog.partial && catalog.search_path == ["public"] => text("\"$user\", public"),
            ("timezone", _) => text(self.zone()),
            (name, Some((_, value))) if name.contains('.') => text(value),
            (name, None) if name.contains('.') || !settings::is_known(name) => {
                if catalog.partial && name.contains('.') {
                    self.caveat(format!("whether the database or the role sets {name} isn't known here"));
                }
                match lenient {
                    true => Ok(Typed::new("CAST(NULL AS VARCHAR)", Type::Text)),
                    false => Err(settings::unrecognized(name)),
                }
            }
            (name, _) => Err(Problem::unsupported(format!("the server's setting {name}"))),
        }
    }
}
