//! Names: columns of the sources in scope, variables and parameters.

use pg_query::NodeEnum;
use pg_query::protobuf;

use super::{Site, words};
use crate::catalog::{Outcome, Problem, Type};
use crate::translate::reader::Reader;
use crate::translate::scope::Scope;
use crate::translate::typed::Typed;
use crate::translate::{NameConflict, Tie};

impl Reader<'_> {
    pub(super) fn column(&mut self, column: &protobuf::ColumnRef, site: Site<'_>) -> Outcome<Typed> {
        if column.fields.iter().any(|f| matches!(f.node, Some(NodeEnum::AStar(_)))) {
            return Err(Problem::unsupported("a whole row as a value"));
        }
        let (schema, source, name) = match words(&column.fields).as_slice() {
            [name] => (None, None, *name),
            [source, name] => (None, Some(*source), *name),
            [schema, source, name] => (Some(*schema), Some(*source), *name),
            [] | [_, _, _, _] => return Err(Problem::unsupported("a name of four parts")),
            many => {
                let message = format!("improper qualified name (too many dotted names): {}", many.join("."));
                return Err(Problem::rejected("42601", message));
            }
        };
        self.varying += 1;
        let scoped = site.scope.find(schema, source, name);
        if let Some(value) = self.variable(&words(&column.fields), scoped.as_ref().err())? {
            return Ok(value);
        }
        if let (true, Err(Problem::Rejected(error))) = (self.asks_system, &scoped)
            && error.sqlstate == "42703"
        {
            return Err(Problem::unsupported(format!("the column {name} of a system view")));
        }
        let found = match scoped {
            Err(_) if source.is_none() && site.scope.scalar(name).is_some() => {
                let column = site.scope.scalar(name).expect("just found");
                self.nearest = Some(0);
                return Ok(Typed::new(column.sql.clone(), column.ty.clone()));
            }
            // `SELECT t FROM t`: the row as a value.
            Err(_) if source.is_none() && site.scope.sources.iter().any(|s| s.name == name) => {
                return self.whole_row(name, site);
            }
            Err(Problem::Rejected(error)) if error.sqlstate == "42P01" => {
                return Err(self.missing_source(source.unwrap_or_default(), site.scope));
            }
            Err(_) if name == "ctid" => return self.place(source, site),
            // Every table has these, whatever its own columns are.
            Err(_) if ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"].contains(&name) => {
                return Err(Problem::unsupported(format!("the system column {name}")));
            }
            found => found?,
        };
        self.reads(found.column.origin);
        self.note_level(Some(found.level));
        if self.asks_system && (name.ends_with("_catalog") || name == "datname") {
            self.volatile("the database's name");
        }
        if self.asks_system && ["rolname", "usename"].contains(&name) {
            self.caveat(
                "roles belong to the server: those that the migration hasn't made itself are taken as absent, and the answer may \
                 be another there: it can't be told"
                    .to_owned(),
            );
        }
        let typed = Typed::new(found.column.sql.clone(), found.column.ty.clone());
        if found.level > 0 {
            self.outward.insert(found.column.sql);
            return Ok(typed);
        }
        let shown = match found.source.and_then(|source| site.scope.sources.get(source)) {
            Some(source) if !source.name.is_empty() => format!("{}.{name}", source.name),
            _ => words(&column.fields).join("."),
        };
        self.grouped(&typed, found.source, &shown, site)
    }

    /// A column of a query that may have groups: it must be the same for all rows of one.
    pub(in crate::translate) fn grouped(
        &mut self,
        column: &Typed,
        source: Option<usize>,
        shown: &str,
        site: Site<'_>,
    ) -> Outcome<Typed> {
        let Some(grouping) = site.grouping else { return Ok(column.clone()) };
        if grouping.contains(&column.sql) {
            return Ok(self.group_value(column.clone()));
        }
        if source.is_some_and(|source| grouping.determined.contains(&source)) {
            // The group has one row of this table, so any of its values is the value.
            return Ok(Typed::new(format!("any_value({})", column.sql), column.ty.clone()));
        }
        let message = "must appear in the GROUP BY clause or be used in an aggregate function";
        Err(Problem::rejected("42803", format!("column \"{shown}\" {message}")))
    }

    /// `ctid`: rows lie in the order in which they were inserted; where one that was updated lies now is the server's to choose.
    fn place(&mut self, source: Option<&str>, site: Site<'_>) -> Outcome<Typed> {
        let refused = || Problem::unsupported("the system column ctid");
        let mut named = site.scope.sources.iter().filter(|s| source.is_none_or(|name| name == s.name));
        let (Some(found), None) = (named.next(), named.next()) else { return Err(refused()) };
        let (Some(row), Some(table), None) = (&found.row, found.table, site.grouping) else { return Err(refused()) };
        let catalog = self.catalog();
        if catalog.partitions.contains_key(&table) || catalog.partitioned.contains_key(&table) {
            return Err(refused());
        }
        let mut sql = row.clone();
        if catalog.partial || catalog.moved.contains(&table) {
            self.choice(format!("the places of the rows of {} (ctid)", found.name));
            if self.tie() == Tie::Greatest {
                sql = format!("(-{sql})");
            }
        }
        Ok(Typed::new(sql, Type::Opaque("tid".to_owned())))
    }

    /// 42P01 for a name before a column that no source has.
    pub(in crate::translate) fn missing_source(&self, name: &str, scope: &Scope<'_>) -> Problem {
        let table = self.catalog().table(None, name).map(|table| table.oid);
        let levels = std::iter::successors(Some(scope), |scope| scope.outer);
        let mut sources = levels.flat_map(|scope| &scope.sources);
        match sources.find(|source| source.table.is_some() && source.table == table) {
            Some(source) => {
                let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
                Problem::rejected("42P01", message)
                    .hint(format!("Perhaps you meant to reference the table alias \"{}\".", source.name))
            }
            None => scope.missing(Some(name), "", false),
        }
    }

    /// The variable that a name means; `missing` is why it is no column, where it isn't.
    fn variable(&mut self, path: &[&str], missing: Option<&Problem>) -> Outcome<Option<Typed>> {
        let Some(variables) = self.variables.clone() else { return Ok(None) };
        let variables = variables.as_ref();
        if matches!(missing, Some(Problem::Rejected(error)) if error.sqlstate == "42702") {
            return Ok(None);
        }
        let place = match variables.find(path) {
            Ok(Some(place)) => place,
            Ok(None) => {
                let ([row @ .., field], Some(_)) = (path, missing) else { return Ok(None) };
                let Ok(Some(place)) = variables.find(row) else { return Ok(None) };
                return match variables.value(place) {
                    Some(value) if matches!(value.ty, Type::Composite(_)) => {
                        self.composite_field(&value.typed(), field).map(Some)
                    }
                    _ => Ok(None),
                };
            }
            Err(problem) => return if missing.is_some() { Err(problem) } else { Ok(None) },
        };
        match (missing, variables.conflict) {
            (None, NameConflict::Column) => return Ok(None),
            (None, NameConflict::Error) => {
                let message = format!("column reference \"{}\" is ambiguous", path.join("."));
                return Err(Problem::rejected("42702", message)
                    .detail("It could refer to either a PL/pgSQL variable or a table column."));
            }
            _ => {}
        }
        match variables.value(place) {
            Some(value) => Ok(Some(value.typed())),
            None => Err(Problem::unsupported(format!("the record {} as a value", path.join(".")))),
        }
    }

    /// `$1`
    pub(super) fn parameter(&mut self, number: i32) -> Outcome<Typed> {
        self.varying += 1;
        match self.variables.as_ref().and_then(|variables| variables.parameter(number)) {
            Some(value) => Ok(value.typed()),
            None => Err(Problem::rejected("42P02", format!("there is no parameter ${number}"))),
        }
    }
}
