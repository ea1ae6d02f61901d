//! Which function a statement names: DROP, ALTER, COMMENT ON and GRANT ON FUNCTION.
//!
//! Input: a name with the types of its arguments, or without. Output: the function's place in the catalog, or the server's error, in which
//! the name stands as the statement writes it. Left out: calls, whose arguments are converted.

use pg_query::protobuf::ObjectWithArgs;

use super::routines::argument_types;
use super::{Change, qualified};
use crate::catalog::lookup::{missing_schema, quoted};
use crate::catalog::{Catalog, Function, Outcome, Problem, Type, tree};

/// The functions that a name may mean.
pub(super) struct Meant {
    /// Their places in the catalog.
    pub places: Vec<usize>,
    /// The types that the statement gives; none where it gives none, or one that isn't known here.
    wanted: Option<Vec<Type>>,
    /// The name as it is written.
    shown: String,
    unspecified: bool,
}

impl Change {
    /// Functions of a name and of these arguments.
    ///
    /// # Errors
    /// 3F000 for a schema that isn't there.
    pub(super) fn functions_meant(&self, object: &ObjectWithArgs) -> Outcome<Meant> {
        let (schema, name) = qualified(&object.objname)?;
        let catalog = &self.catalog;
        if let Some(schema) = schema.as_deref().filter(|schema| !catalog.knows_schema(schema)) {
            return Err(missing_schema(schema));
        }
        let wanted = argument_types(object, catalog).filter(|_| !object.args_unspecified);
        let visible = |function: &Function| match &schema {
            Some(schema) => *schema == function.schema,
            None => catalog.search_schemas().any(|path| path == function.schema),
        };
        let fits = |function: &Function| match (&wanted, function.inputs()) {
            (Some(wanted), Some(inputs)) => *wanted == inputs,
            _ => true,
        };
        let places = catalog.functions.iter().enumerate();
        let places = places.filter(|(_, function)| function.name == name && visible(function) && fits(function));
        Ok(Meant {
            places: places.map(|(place, _)| place).collect(),
            wanted,
            shown: tree::strings(&object.objname).join("."),
            unspecified: object.args_unspecified,
        })
    }

    /// The one function that is meant; none where a snapshot may have left it out.
    ///
    /// # Errors
    /// 42883, 42725 or 3F000, as the server words them for this kind of routine.
    pub(super) fn function_meant(&self, object: &ObjectWithArgs, what: &str) -> Outcome<Option<usize>> {
        let meant = self.functions_meant(object)?;
        match meant.places.as_slice() {
            [one] => Ok(Some(*one)),
            [] if self.catalog.partial => Ok(None),
            [] => Err(meant.missing(what, &self.catalog)),
            _ if meant.unspecified => Err(meant.ambiguous(what)),
            [first, ..] => Ok(Some(*first)),
        }
    }
}

impl Meant {
    /// 42883
    pub(super) fn missing(&self, what: &str, catalog: &Catalog) -> Problem {
        if self.unspecified {
            return Problem::rejected("42883", format!("could not find a {what} named \"{}\"", self.shown));
        }
        let types = self.wanted.iter().flatten().map(|ty| ty.base_name(catalog));
        let types = types.collect::<Vec<_>>().join(", ");
        Problem::rejected("42883", format!("{what} {}({types}) does not exist", self.shown))
    }

    /// 42725
    fn ambiguous(&self, what: &str) -> Problem {
        Problem::rejected("42725", format!("{what} name \"{}\" is not unique", self.shown))
            .hint("Specify the argument list to select the function unambiguously.")
    }
}

impl Catalog {
    pub(super) fn knows_schema(&self, schema: &str) -> bool {
        self.schemas.contains(schema) || ["pg_catalog", "information_schema", "pg_temp"].contains(&schema)
    }

    /// `f(integer,text)`, with its schema where the search path doesn't find it.
    pub(super) fn described(&self, function: &Function) -> String {
        let types: Vec<String> = function.inputs().unwrap_or_default().iter().map(|ty| ty.base_name(self)).collect();
        let same = |other: &&Function| other.inputs() == function.inputs();
        let found =
            self.search_schemas().find_map(|schema| self.functions_named(Some(schema), &function.name).find(same));
        let name = match found.is_some_and(|found| found.schema == function.schema) {
            true => quoted(&function.name),
            false => format!("{}.{}", quoted(&function.schema), quoted(&function.name)),
        };
        format!("{name}({})", types.join(","))
    }
}
