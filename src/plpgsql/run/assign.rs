//! Assignment: values into variables, fields and rows; declarations.

use pg_query::NodeEnum;

use super::plain::plain_value;
use super::{Answer, Frame, Host, Interpreter};
use crate::catalog::{Catalog, Oid, Outcome, Problem, Table, Type};
use crate::plpgsql::tree::{Declaration, Declared, Into, Sql, Target};
use crate::translate::{Named, Value, Variable, Variables};

/// The name that an expression is, where it is nothing else.
pub(super) fn bare_name(node: &NodeEnum) -> Option<Vec<String>> {
    let NodeEnum::SelectStmt(select) = node else { return None };
    let plain = select.from_clause.is_empty() && select.where_clause.is_none() && select.op <= 1;
    let [target] = select.target_list.as_slice() else { return None };
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
    match target.val.as_deref()?.node.as_ref()? {
        NodeEnum::ColumnRef(column) if plain => {
            let names = crate::catalog::tree::strings(&column.fields);
            (names.len() == column.fields.len()).then_some(names)
        }
        _ => None,
    }
}

/// The fields of a table's row, all NULL.
pub(super) fn empty_row(table: &Table) -> Vec<(String, Value)> {
    table.columns.iter().map(|column| (column.name.clone(), Value::null(column.ty.clone()))).collect()
}

/// The same of a composite type.
fn empty_composite(catalog: &Catalog, oid: Oid) -> Option<Vec<(String, Value)>> {
    let columns = catalog.row_columns(oid)?;
    Some(columns.into_iter().map(|(name, ty)| (name, Value::null(ty))).collect())
}

fn find(variables: &Variables, path: &[String]) -> Outcome<crate::translate::Place> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let found = variables.find(&path)?;
    found.ok_or_else(|| Problem::rejected("42601", format!("\"{}\" is not a known variable", path.join("."))))
}

impl<H: Host> Interpreter<'_, H> {
    /// The whole row that an expression names.
    pub(super) fn named_row(&self, sql: &Sql, frame: &Frame) -> Option<Vec<(String, Value)>> {
        let path = bare_name(&sql.node)?;
        let place = find(&frame.variables, &path).ok()?;
        frame.variables.fields(place).map(<[_]>::to_vec)
    }

    /// `target := expression`
    pub(super) fn assign(&mut self, target: &Target, value: &Sql, frame: &mut Frame) -> Result<(), H::Halt> {
        let place = find(&frame.variables, &target.path)?;
        if let [subscript] = target.subscripts.as_slice() {
            return self.assign_element(place, subscript, value, frame);
        }
        if !target.subscripts.is_empty() {
            return Err(Problem::unsupported("an assignment to an array of several dimensions").into());
        }
        match frame.variables.value(place) {
            Some(held) => {
                let ty = held.ty.clone();
                let value = self.value_for(value, frame, &ty)?;
                self.put(place, value, frame)
            }
            None => {
                let fields = match self.row(value, frame)? {
                    Some(fields) => fields,
                    None => self
                        .wanted(std::slice::from_ref(target), frame)?
                        .into_iter()
                        .map(|ty| (String::new(), Value::null(ty)))
                        .collect(),
                };
                let shape: Option<Vec<(String, Type)>> = match &frame.variables.named(place).variable {
                    Variable::Row(held) | Variable::Absent(held) => {
                        Some(held.iter().map(|(name, value)| (name.clone(), value.ty.clone())).collect())
                    }
                    _ => None,
                };
                let fields = match shape {
                    Some(columns) => self.shaped(fields, &columns)?,
                    None => fields,
                };
                self.put_row(place, fields, frame)
            }
        }
    }

    /// `array[i] := value`
    fn assign_element(
        &mut self,
        place: crate::translate::Place,
        subscript: &Sql,
        value: &Sql,
        frame: &mut Frame,
    ) -> Result<(), H::Halt> {
        let held = frame.variables.value(place).cloned();
        let Some((held, element)) = held.and_then(|held| match held.ty.clone() {
            Type::Array(element) => Some((held, *element)),
            _ => None,
        }) else {
            return Err(Problem::unsupported("an assignment to an element of anything but an array").into());
        };
        let at = self.evaluate(subscript, frame, Some(&Type::Int4))?;
        let value = self.evaluate(value, frame, Some(&element))?;
        if at.is_null() {
            return Err(Problem::rejected("22004", "array subscript in assignment must not be null").into());
        }
        let ty = held.ty.clone();
        let variables = Variables { positional: vec![(1, held), (2, at.clone()), (3, value)], ..Variables::default() };
        let length = crate::plpgsql::parse::expression("coalesce(array_length($1, 1), 0)")?;
        let answer = self.host.query(&length.node, &variables, &[Type::Int4], 1)?;
        let number = |value: Option<&Value>| value.and_then(Value::text).and_then(|text| text.parse::<i64>().ok());
        let length = number(answer.rows.first().and_then(|row| row.first())).unwrap_or(0);
        if !number(Some(&at)).is_some_and(|at| (1..=length + 1).contains(&at)) {
            return Err(Problem::unsupported("an assignment to an element beyond the end of an array").into());
        }
        let text = match length {
            0 => "ARRAY[$3]",
            _ => "$1[1:$2 - 1] || ARRAY[$3] || $1[$2 + 1:]",
        };
        let query = crate::plpgsql::parse::expression(text)?;
        let answer = self.host.query(&query.node, &variables, std::slice::from_ref(&ty), 1)?;
        let value = single(&answer, "", &ty)?;
        self.put(place, value, frame)
    }

    /// A value into a place.
    pub(super) fn put(
        &mut self,
        place: crate::translate::Place,
        value: Value,
        frame: &mut Frame,
    ) -> Result<(), H::Halt> {
        let named = frame.variables.named(place);
        if named.not_null && value.is_null() {
            return Err(null_refused(&named.name).into());
        }
        frame.variables.assign(place, value);
        Ok(())
    }

    /// A row into a row or a record.
    fn put_row(
        &mut self,
        place: crate::translate::Place,
        fields: Vec<(String, Value)>,
        frame: &mut Frame,
    ) -> Result<(), H::Halt> {
        let named = frame.variables.named_mut(place);
        match &mut named.variable {
            Variable::Record(held) => *held = Some(fields),
            Variable::Row(held) => {
                let same = held.len() == fields.len() && held.iter().zip(&fields).all(|(a, b)| a.1.ty == b.1.ty);
                if !same {
                    return Err(Problem::unsupported("an assignment between rows of different types").into());
                }
                for (held, (_, value)) in held.iter_mut().zip(fields) {
                    held.1 = value;
                }
            }
            Variable::Absent(_) => named.variable = Variable::Row(fields),
            Variable::Scalar(_) => {
                return Err(Problem::unsupported("an assignment of a row to a variable of one value").into());
            }
        }
        Ok(())
    }

    /// The types that a list of targets wants.
    pub(super) fn wanted(&self, targets: &[Target], frame: &Frame) -> Outcome<Vec<Type>> {
        let mut types = Vec::new();
        for target in targets {
            if !target.subscripts.is_empty() {
                return Err(Problem::unsupported("an assignment to an element of an array"));
            }
            let place = find(&frame.variables, &target.path)?;
            match frame.variables.value(place) {
                Some(value) => types.push(value.ty.clone()),
                None if targets.len() > 1 => {
                    return Err(Problem::rejected(
                        "42601",
                        "record variable cannot be part of multiple-item INTO list",
                    ));
                }
                None => {
                    if let Variable::Row(fields) | Variable::Absent(fields) = &frame.variables.named(place).variable {
                        types.extend(fields.iter().map(|(_, value)| value.ty.clone()));
                    }
                }
            }
        }
        Ok(types)
    }

    /// A row of an answer into targets; without a row, NULL into all of them.
    pub(super) fn store_row(
        &mut self,
        targets: &[Target],
        answer: &Answer,
        row: Option<&Vec<Value>>,
        frame: &mut Frame,
    ) -> Result<(), H::Halt> {
        if let [target] = targets {
            let place = find(&frame.variables, &target.path)?;
            if frame.variables.value(place).is_none() {
                let shape: Vec<(String, Type)> = match &frame.variables.named(place).variable {
                    Variable::Row(fields) | Variable::Absent(fields) => {
                        fields.iter().map(|(n, v)| (n.clone(), v.ty.clone())).collect()
                    }
                    _ => answer.columns.clone(),
                };
                let value_at = |at: usize, ty: &Type| {
                    row.and_then(|row| row.get(at)).cloned().unwrap_or_else(|| Value::null(ty.clone()))
                };
                let fields =
                    shape.iter().enumerate().map(|(at, (name, ty))| (name.clone(), value_at(at, ty))).collect();
                return self.put_row(place, fields, frame);
            }
        }
        for (at, target) in targets.iter().enumerate() {
            let place = find(&frame.variables, &target.path)?;
            let ty = frame.variables.value(place).map_or(Type::Text, |value| value.ty.clone());
            let value = row.and_then(|row| row.get(at)).cloned().unwrap_or_else(|| Value::null(ty));
            self.put(place, value, frame)?;
        }
        Ok(())
    }

    /// INTO, with what it demands of the number of rows.
    pub(super) fn store_into(
        &mut self,
        into: &Into,
        answer: &Answer,
        one_only: bool,
        frame: &mut Frame,
    ) -> Result<(), H::Halt> {
        if into.strict && answer.total == 0 {
            return Err(Problem::rejected("P0002", "query returned no rows").into());
        }
        if (into.strict || one_only) && answer.total > 1 {
            return Err(Problem::rejected("P0003", "query returned more than one row")
                .hint("Make sure the query returns a single row, or use LIMIT 1.")
                .into());
        }
        self.store_row(&into.targets, answer, answer.rows.first(), frame)
    }

    /// A variable comes into being.
    pub(super) fn declare(&mut self, declaration: &Declaration, frame: &mut Frame) -> Result<(), H::Halt> {
        if let Declared::Cursor(query) = &declaration.ty {
            frame.cursors.define(&declaration.name, query);
        }
        let mut variable = self.declared(&declaration.ty, frame)?;
        if let Some(default) = &declaration.default {
            match &mut variable {
                Variable::Scalar(held) => {
                    let ty = held.ty.clone();
                    *held = self.value_for(default, frame, &ty)?;
                    if declaration.not_null && held.is_null() {
                        return Err(null_refused(&declaration.name).into());
                    }
                }
                Variable::Row(_) | Variable::Record(_) | Variable::Absent(_) => {
                    variable = Variable::Record(self.row(default, frame)?);
                }
            }
        }
        let named = Named { name: declaration.name.clone(), variable, not_null: declaration.not_null };
        if let Some(level) = frame.variables.levels.last_mut() {
            level.names.push(named);
        }
        Ok(())
    }

    /// The value of an expression for a variable of a type.
    fn value_for(&mut self, sql: &Sql, frame: &mut Frame, ty: &Type) -> Result<Value, H::Halt> {
        if let Some(value) = plain_value(&sql.node, &frame.variables, Some(ty)) {
            return Ok(value);
        }
        let answer = self.ask(&sql.node, frame, std::slice::from_ref(ty), 2)?;
        Ok(single(&answer, &sql.text, ty)?)
    }

    /// A variable of a declared type, without a value.
    fn declared(&self, declared: &Declared, frame: &Frame) -> Outcome<Variable> {
        let catalog = self.host.catalog();
        let table = |names: &[String]| match names {
            [name] => catalog.table(None, name),
            [schema, name] => catalog.table(Some(schema), name),
            _ => None,
        };
        let composite = |names: &[String]| {
            let found = match names {
                [name] => catalog.composite(None, name),
                [schema, name] => catalog.composite(Some(schema), name),
                _ => None,
            };
            found.and_then(|found| empty_composite(catalog, found.oid))
        };
        match declared {
            Declared::Alias(of) => match of.strip_prefix('$').and_then(|n| n.parse::<i32>().ok()) {
                Some(number) => match frame.variables.positional.iter().find(|(known, _)| *known == number) {
                    Some((_, value)) => Ok(Variable::Scalar(value.clone())),
                    None => Err(Problem::rejected("42601", format!("variable \"{of}\" does not exist"))),
                },
                None => Err(Problem::unsupported("ALIAS FOR a variable")),
            },
            Declared::TypeOf(path) => {
                let words: Vec<&str> = path.iter().map(String::as_str).collect();
                if let Ok(Some(place)) = frame.variables.find(&words)
                    && let Some(value) = frame.variables.value(place)
                {
                    return Ok(Variable::Scalar(Value::null(value.ty.clone())));
                }
                let Some((column, relation)) = path.split_last() else {
                    return Err(Problem::unsupported("a type of this form"));
                };
                let Some(found) = table(relation) else {
                    return Err(Problem::rejected(
                        "42P01",
                        format!("relation \"{}\" does not exist", relation.join(".")),
                    ));
                };
                match found.column(column) {
                    Some(column) => Ok(Variable::Scalar(Value::null(column.ty.clone()))),
                    None => Err(crate::catalog::lookup::missing_column(found, column)),
                }
            }
            Declared::RowOf(path) => match table(path) {
                Some(found) => Ok(Variable::Row(empty_row(found))),
                None => composite(path).map(Variable::Row).ok_or_else(|| {
                    Problem::rejected("42P01", format!("relation \"{}\" does not exist", path.join(".")))
                }),
            },
            Declared::Cursor(_) => Ok(Variable::Scalar(Value::null(Type::Text))),
            Declared::Type(text) if text.eq_ignore_ascii_case("refcursor") => {
                Ok(Variable::Scalar(Value::null(Type::Text)))
            }
            Declared::Type(text) => {
                if text.eq_ignore_ascii_case("record") {
                    return Ok(Variable::Record(None));
                }
                match Type::parse(text, catalog) {
                    Ok(Type::Composite(oid)) => Ok(Variable::Row(empty_composite(catalog, oid).unwrap_or_default())),
                    Ok(ty) => Ok(Variable::Scalar(Value::null(ty))),
                    Err(problem) => {
                        let names: Vec<String> = text.split('.').map(crate::plpgsql::parse::folded).collect();
                        match table(&names) {
                            Some(found) => Ok(Variable::Row(empty_row(found))),
                            None => Err(problem),
                        }
                    }
                }
            }
        }
    }
}

fn null_refused(name: &str) -> Problem {
    Problem::rejected("22004", format!("null value cannot be assigned to variable \"{name}\" declared NOT NULL"))
}

/// The one value of an assignment's source.
fn single(answer: &Answer, text: &str, ty: &Type) -> Outcome<Value> {
    if answer.columns.len() > 1 {
        let message = format!("assignment source returned {} columns", answer.columns.len());
        return Err(Problem::rejected("42601", message));
    }
    if answer.total > 1 {
        return Err(Problem::rejected("21000", format!("query \"{text}\" returned more than one row")));
    }
    let value = answer.rows.first().and_then(|row| row.first()).cloned();
    Ok(value.unwrap_or_else(|| Value::null(ty.clone())))
}
