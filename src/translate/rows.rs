//! Functions that give rows: `unnest()`, `generate_series()`, `jsonb_array_elements()` and their kin.
//!
//! Input: a call in FROM or in a select list. Output: for each column of its rows a list in DuckDB, all of one length or shorter,
//! which `unnest` turns into rows side by side, NULL standing in for what a shorter list lacks: that is how the server runs several
//! of them, too. Left out: functions that the database defines.

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, Node};

use super::cast::{self, Context, convert};
use super::expression::{Site, required, words};
use super::reader::Reader;
use super::resolve::Resolved;
use super::typed::{Typed, base, family, is_integer, physical, raise};
use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;

/// A column of a function's rows.
pub(super) struct RowColumn {
    pub name: String,
    pub ty: Type,
    /// DuckDB SQL of the list of its values.
    pub list: String,
}

/// Functions that give rows.
const ROW_FUNCTIONS: &[&str] = &[
    "unnest",
    "generate_series",
    "generate_subscripts",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "json_array_elements",
    "json_array_elements_text",
    "jsonb_object_keys",
    "json_object_keys",
    "jsonb_each",
    "jsonb_each_text",
    "json_each",
    "json_each_text",
    "regexp_matches",
    "regexp_split_to_table",
    "string_to_table",
    "jsonb_to_record",
    "json_to_record",
    "jsonb_to_recordset",
    "json_to_recordset",
    "jsonb_populate_record",
    "json_populate_record",
    "jsonb_populate_recordset",
    "json_populate_recordset",
];

pub(super) fn gives_rows(name: &str) -> bool {
    ROW_FUNCTIONS.contains(&name)
}

impl Reader<'_> {
    /// A call in a select list: its rows become rows of the query.
    pub(super) fn rows_in_list(&mut self, name: &str, call: &FuncCall, site: Site<'_>) -> Outcome<Typed> {
        if !(site.aggregates && site.windows && matches!(site.clause, "SELECT" | "ORDER BY" | "DISTINCT ON")) {
            let clause = site.clause;
            return Err(match clause {
                "WHERE" | "HAVING" | "JOIN/ON" | "LIMIT" | "OFFSET" | "CHECK" | "DEFAULT" | "UPDATE" | "VALUES"
                | "CASE/WHEN" => {
                    Problem::rejected("0A000", format!("set-returning functions are not allowed in {clause}"))
                }
                _ if site.place == "an aggregate" => {
                    Problem::rejected("0A000", "aggregate function calls cannot contain set-returning function calls")
                }
                _ => Problem::unsupported(format!("the function {name}(), which gives rows, here")),
            });
        }
        let mut columns = self.rows_of(name, call, &[], site.inside_rows())?;
        match (columns.pop(), columns.is_empty()) {
            (Some(column), true) => Ok(Typed::new(format!("unnest({})", column.list), column.ty)),
            // A row as a value, of a key and what stands under it.
            (Some(value), false) if columns.len() == 1 && name.contains("_each") => {
                let pairs = format!("list_zip({}, {})", columns[0].list, value.list);
                let rows =
                    format!("list_transform({pairs}, lambda z: pg_record_text(CAST([z[1], z[2]] AS VARCHAR[])))");
                Ok(Typed::new(format!("unnest({rows})"), Type::Record))
            }
            _ => Err(Problem::unsupported(format!("the rows of {name}() as values"))),
        }
    }

    /// `(jsonb_each(j)).key`
    pub(super) fn row_field(&mut self, call: &FuncCall, field: &str, site: Site<'_>) -> Outcome<Typed> {
        let name = words(&call.funcname).last().copied().unwrap_or_default().to_owned();
        if !(gives_rows(&name) && site.aggregates && site.windows && site.clause == "SELECT") {
            return Err(Problem::unsupported("a field of a composite value"));
        }
        let columns = self.rows_of(&name, call, &[], site.inside_rows())?;
        match columns.into_iter().find(|column| column.name == field) {
            Some(column) => Ok(Typed::new(format!("unnest({})", column.list), column.ty)),
            None => Err(Problem::rejected("42703", format!("column \"{field}\" not found in data type record"))),
        }
    }

    /// The columns that a function gives; `definitions` are those of `AS t(a int, b text)`.
    pub(super) fn rows_of(
        &mut self,
        name: &str,
        call: &FuncCall,
        definitions: &[Node],
        site: Site<'_>,
    ) -> Outcome<Vec<RowColumn>> {
        if call.agg_distinct || call.agg_filter.is_some() || call.func_variadic || call.over.is_some() {
            return Err(Problem::unsupported(format!("this form of the call of {name}()")));
        }
        if name.contains("_to_record") || name.contains("_populate_record") {
            return self.records(name, call, definitions, site);
        }
        if !definitions.is_empty() {
            let message = "a column definition list is only allowed for functions returning \"record\"";
            return Err(Problem::rejected("42601", message));
        }
        if name == "unnest" && call.args.len() > 1 {
            return call.args.iter().map(|arg| self.expression(arg, site).and_then(|v| self.unnested(v))).collect();
        }
        let given = self.given(call, site)?;
        if let ("unnest", [array]) = (name, given.args.as_slice())
            && let Type::Array(element) = &array.ty
            && let Type::Composite(oid) = **element
        {
            if site.clause != "functions in FROM" {
                return Err(Problem::unsupported("unnest() of composite values in this place"));
            }
            let columns = self.composite_columns(&array.sql, oid)?.into_iter();
            return Ok(columns.map(|(name, ty, list)| RowColumn { name, ty, list }).collect());
        }
        if let ("unnest", [array]) = (name, given.args.as_slice())
            && let Some(flat) = self.flattened(array)
        {
            return Ok(vec![self.unnested(flat)?]);
        }
        let args = match self.called(name, given)? {
            Resolved::BuiltIn { args, .. } => args,
            Resolved::Cast(..) => return Err(Problem::unsupported(format!("the function {name}()"))),
        };
        let one = |ty: Type, list: String| Ok(vec![RowColumn { name: name.to_owned(), ty, list }]);
        match (name, args.len()) {
            ("unnest", 1..) => args.into_iter().map(|value| self.unnested(value)).collect(),
            ("generate_series", 2 | 3) => {
                let (ty, list) = self.series(args)?;
                one(ty, list)
            }
            ("generate_subscripts", 2 | 3) => {
                let reverse = args.len() == 3;
                let Type::Array(_) = args[0].ty else { return Err(self.missing_rows(name, &args)) };
                if reverse {
                    return Err(Problem::unsupported("generate_subscripts() in reverse"));
                }
                let last = format!("CASE WHEN {} = 1 THEN len({}) END", args[1].sql, args[0].sql);
                one(Type::Int4, format!("CAST(generate_series(1, {last}) AS INTEGER[])"))
            }
            ("regexp_matches", 2 | 3) => {
                let texts: Vec<String> = args.iter().map(|arg| arg.sql.clone()).collect();
                let list = format!("pg_regexp_matches({})", texts.join(", "));
                one(
                    Type::Array(Box::new(Type::Text)),
                    format!("list_transform({list}, lambda m: pg_array_elements(m))"),
                )
            }
            ("regexp_split_to_table", 2 | 3) => {
                let value = self.known_function("regexp_split_to_array", args)?;
                one(Type::Text, value.sql)
            }
            ("string_to_table", 2 | 3) => {
                let value = self.known_function("string_to_array", args)?;
                one(Type::Text, value.sql)
            }
            (_, 1) if name.starts_with("json") => self.document_rows(name, args),
            _ => Err(self.missing_rows(name, &args)),
        }
    }

    fn missing_rows(&self, name: &str, args: &[Typed]) -> Problem {
        let types: Vec<String> = args.iter().map(|a| a.ty.name(self.catalog())).collect();
        Problem::rejected("42883", format!("function {name}({}) does not exist", types.join(", ")))
    }

    fn unnested(&mut self, value: Typed) -> Outcome<RowColumn> {
        match &value.ty {
            Type::Array(element) if matches!(**element, Type::Composite(_)) => {
                Err(Problem::unsupported("unnest() of composite values in this place"))
            }
            Type::Array(element) => {
                let ty = (**element).clone();
                Ok(RowColumn { name: "unnest".to_owned(), ty, list: value.sql })
            }
            Type::Unknown => Err(Problem::rejected("42725", "function unnest(unknown) is not unique")),
            Type::Opaque(_) => Err(Problem::unsupported(format!("unnest() of {}", value.ty.name(self.catalog())))),
            _ => Err(self.missing_rows("unnest", &[value])),
        }
    }

    /// `generate_series()` of integers and of times.
    fn series(&mut self, args: Vec<Typed>) -> Outcome<(Type, String)> {
        let known: Vec<Type> = args.iter().take(2).map(|a| base(&a.ty)).filter(|ty| *ty != Type::Unknown).collect();
        let integers = args.iter().all(|a| is_integer(&a.ty) || a.ty == Type::Unknown);
        if integers && !known.is_empty() {
            let wide = args.iter().any(|a| a.ty == Type::Int8);
            let ty = if wide { Type::Int8 } else { Type::Int4 };
            let mut parts = Vec::new();
            for value in args {
                let value = convert(value, &ty, Context::Implicit, None, self.catalog())?;
                parts.push(format!("CAST({} AS BIGINT)", value.sql));
            }
            let zero = raise("22023", "'step size cannot equal zero'", &Type::Array(Box::new(Type::Int8)));
            let list = match parts.get(2) {
                Some(step) => {
                    format!("CASE WHEN {step} = 0 THEN {zero} ELSE generate_series({}) END", parts.join(", "))
                }
                None => format!("generate_series({})", parts.join(", ")),
            };
            let list = if ty == Type::Int4 { format!("CAST({list} AS INTEGER[])") } else { list };
            return Ok((ty, list));
        }
        if !known.is_empty() && known.iter().all(|ty| is_integer(ty) || matches!(ty, Type::Numeric(_))) {
            let mut parts = Vec::new();
            for value in args {
                parts.push(convert(value, &Type::Numeric(None), Context::Implicit, None, self.catalog())?.sql);
            }
            if parts.len() == 2 {
                parts.push("'1'".to_owned());
            }
            return Ok((Type::Numeric(None), format!("pg_numeric_series({})", parts.join(", "))));
        }
        let time = |ty: &Type| matches!(ty, Type::Date | Type::Timestamp(_) | Type::Timestamptz(_));
        if args.len() == 3 && !known.is_empty() && known.iter().all(time) {
            let zoned = known.iter().any(|ty| !matches!(ty, Type::Timestamp(_)));
            let ty = if zoned { Type::Timestamptz(None) } else { Type::Timestamp(None) };
            if zoned {
                self.needs_utc("generate_series() of times with time zone")?;
            }
            let types = [&ty, &ty, &Type::Interval];
            let mut parts = Vec::new();
            for (value, ty) in args.into_iter().zip(types) {
                parts.push(convert(value, ty, Context::Implicit, None, self.catalog())?.sql);
            }
            let zero = raise("22023", "'step size cannot equal zero'", &Type::Array(Box::new(ty.clone())));
            let list = format!(
                "CASE WHEN {step} = to_days(0) THEN {zero} ELSE generate_series({parts}) END",
                step = parts[2],
                parts = parts.join(", ")
            );
            return Ok((ty, list));
        }
        Err(Problem::unsupported("generate_series() of these types"))
    }

    /// `jsonb_array_elements()`, `jsonb_each()`, `jsonb_object_keys()`.
    fn document_rows(&mut self, name: &str, mut args: Vec<Typed>) -> Outcome<Vec<RowColumn>> {
        let document = if name.starts_with("jsonb_") { Type::Jsonb } else { Type::Json };
        let Some(value) = args.pop().filter(|value| value.ty == document || value.ty == Type::Unknown) else {
            return Err(self.missing_rows(name, &args));
        };
        let value = convert(value, &document, Context::Implicit, None, self.catalog())?.sql;
        let column = |column: &str, ty: Type, function: &str| RowColumn {
            name: column.to_owned(),
            ty,
            list: format!("pg_json_{function}({value}, '{name}')"),
        };
        Ok(match name.split_once('_').map_or("", |(_, rest)| rest) {
            "array_elements" => vec![column("value", document, "elements")],
            "array_elements_text" => vec![column("value", Type::Text, "element_texts")],
            "object_keys" => vec![column(name, Type::Text, "keys")],
            // The error is the one that the values raise.
            "each" => vec![column("key", Type::Text, "each_keys"), column("value", document, "values")],
            "each_text" => vec![column("key", Type::Text, "each_keys"), column("value", Type::Text, "value_texts")],
            _ => return Err(Problem::unsupported(format!("the function {name}()"))),
        })
    }

    /// `jsonb_to_recordset(j) AS t(a int, b text)`, `jsonb_populate_record(NULL::t, j)`: members read as columns.
    fn records(
        &mut self,
        name: &str,
        call: &FuncCall,
        definitions: &[Node],
        site: Site<'_>,
    ) -> Outcome<Vec<RowColumn>> {
        let document = if name.starts_with("jsonb_") { Type::Jsonb } else { Type::Json };
        let (columns, argument) = match call.args.as_slice() {
            [argument] if name.contains("_to_record") => (self.defined_columns(definitions)?, argument),
            [row, argument] if name.contains("_populate_") => (self.row_type(row)?, argument),
            _ => return Err(Problem::unsupported(format!("this form of the call of {name}()"))),
        };
        let value = self.expression(argument, site)?;
        if value.ty != document && value.ty != Type::Unknown {
            return Err(self.missing_rows(name, &[value]));
        }
        let value = convert(value, &document, Context::Implicit, None, self.catalog())?.sql;
        let records = match name.ends_with("set") {
            true => format!("pg_json_records({value}, '{name}')"),
            false => format!("[pg_json_record({value})]"),
        };
        let mut found = Vec::new();
        for (column, ty) in columns {
            let member = format!("pg_json_member(r, {})", quote_literal(&column));
            let member = self.populated(&member, &ty)?;
            found.push(RowColumn { name: column, list: format!("list_transform({records}, lambda r: {member})"), ty });
        }
        Ok(found)
    }

    /// The columns of `AS t(a int, b text)`.
    fn defined_columns(&mut self, definitions: &[Node]) -> Outcome<Vec<(String, Type)>> {
        if definitions.is_empty() {
            let message = "a column definition list is required for functions returning \"record\"";
            return Err(Problem::rejected("42601", message));
        }
        let columns = definitions.iter().filter_map(|node| match &node.node {
            Some(NodeEnum::ColumnDef(column)) => Some(column),
            _ => None,
        });
        columns
            .map(|column| {
                let ty = column.type_name.as_ref().ok_or_else(|| Problem::unsupported("a column without a type"))?;
                Ok((column.colname.clone(), Type::from_name(ty, self.catalog())?))
            })
            .collect()
    }

    /// The columns of the table in `NULL::t`.
    fn row_type(&mut self, row: &Node) -> Outcome<Vec<(String, Type)>> {
        let other = || Problem::unsupported("a record to be populated that isn't NULL of a table's type");
        let Some(NodeEnum::TypeCast(cast)) = &row.node else { return Err(other()) };
        let null = matches!(&required(&cast.arg)?.node, Some(NodeEnum::AConst(constant)) if constant.isnull);
        let names = cast.type_name.as_ref().map(|ty| words(&ty.names)).unwrap_or_default();
        let (schema, table) = match names.as_slice() {
            [table] => (None, *table),
            [schema, table] => (Some(*schema), *table),
            _ => return Err(other()),
        };
        match self.catalog().table(schema, table).filter(|_| null) {
            Some(table) => Ok(table.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect()),
            None => Err(other()),
        }
    }

    /// A member as a value of a column's type: `null` is NULL, any other scalar is read from its text.
    fn populated(&mut self, member: &str, ty: &Type) -> Outcome<String> {
        let physical = physical(ty);
        Ok(match ty {
            Type::Jsonb | Type::Json => format!("pg_json_not_null({member})"),
            Type::Array(element) => {
                let element = self.populated("e", element)?;
                let elements = format!("pg_json_populated({member})");
                format!("CAST(list_transform({elements}, lambda e: {element}) AS {physical})")
            }
            ty if family(ty) == super::typed::Family::Text => format!("pg_json_text({member})"),
            Type::Record | Type::Opaque(_) | Type::Composite(_) => {
                return Err(Problem::unsupported(format!(
                    "a record with a column of type {}",
                    ty.name(self.catalog())
                )));
            }
            ty => {
                let text = Typed::new(format!("pg_json_text({member})"), Type::Text);
                let value = cast::convert(text, ty, Context::Explicit, None, self.catalog())?;
                format!("CAST({} AS {physical})", value.sql)
            }
        })
    }
}
