//! Routines: DO blocks, functions, procedures, trigger functions, and what they give back.

use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::DoStmt;

use super::cursors::Cursors;
use super::statements::outermost;
use super::{Flow, Frame, Host, Interpreter, scalar};
use crate::catalog::{Definition, Function, Gives, Outcome, Problem, Type, tree};
use crate::plpgsql::parse::{self, Kind};
use crate::plpgsql::tree::{Body, Query, Sql};
use crate::translate::{Named, Value, Variable, Variables};

/// A row with the names of its columns.
pub type Row = Vec<(String, Value)>;

/// What a routine gives back.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Given {
    /// Nothing, or nothing yet.
    #[default]
    Nothing,
    /// A value.
    Value(Value),
    /// A row; a trigger may give none.
    Row(Option<Row>),
    /// Rows.
    Rows(Vec<Vec<Value>>),
}

/// Is this a function that is run, not inlined?
pub fn is_interpreted(function: &Function) -> bool {
    function.language == "plpgsql" || function.language == "sql"
}

/// The text and language of a DO block.
pub(super) fn block_text(block: &DoStmt) -> (String, String) {
    let (mut text, mut language) = (String::new(), "plpgsql".to_owned());
    for node in &block.args {
        let Some(NodeEnum::DefElem(option)) = &node.node else { continue };
        let Some(value) = option.arg.as_deref().and_then(tree::string) else { continue };
        match option.defname.as_str() {
            "as" => text = value,
            "language" => language = value.to_lowercase(),
            _ => {}
        }
    }
    (text, language)
}

/// The body of a function.
pub(super) fn body_of(function: &Function, definition: &Definition) -> Outcome<Body> {
    let Some(text) = &definition.body else {
        return Err(Problem::unsupported(format!("the function {}(), whose body isn't a text,", function.name)));
    };
    let mut names: Vec<String> = definition.parameters.iter().map(|p| p.name.clone()).collect();
    let kind = match &definition.gives {
        _ if definition.is_set => Kind::Set,
        Gives::Trigger => {
            names.extend(["new", "old"].map(str::to_owned));
            Kind::Trigger
        }
        Gives::Nothing => Kind::Void,
        _ => Kind::Scalar,
    };
    parse::body(text, &names, kind)
}

impl<H: Host> Interpreter<'_, H> {
    /// Runs a DO block.
    ///
    /// # Errors
    /// The server's, or what can't be told.
    pub fn inline_block(&mut self, block: &DoStmt) -> Result<(), H::Halt> {
        let (text, language) = block_text(block);
        if language != "plpgsql" {
            return Err(match language.as_str() {
                "sql" | "c" | "internal" => {
                    let words = format!("language \"{language}\" does not support inline code execution");
                    Problem::rejected("0A000", words).into()
                }
                _ => Problem::unsupported(format!("a DO block in {language}")).into(),
            });
        }
        let body = parse::body(&text, &[], Kind::Void)?;
        let frame = Frame::new(None, Vec::new(), Vec::new(), Gives::Nothing, &body);
        self.run(&body, frame).map(|_| ())
    }

    /// Runs a body to its end.
    fn run(&mut self, body: &Body, mut frame: Frame) -> Result<(Frame, bool), H::Halt> {
        if self.depth >= super::DEPTH {
            return Err(Problem::unsupported("calls nested too deeply").into());
        }
        self.depth += 1;
        let flow = self.block(&body.block, &mut frame);
        self.depth -= 1;
        Ok((frame, flow? == Flow::Return))
    }

    /// Runs a function on its own.
    ///
    /// # Errors
    /// The server's, or what can't be told.
    pub fn call_function(&mut self, function: &Function, arguments: Vec<Value>) -> Result<Given, H::Halt> {
        self.call(function, arguments)
    }

    /// Statements that may still run.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Runs a function or procedure of the database with its arguments.
    pub(super) fn call(&mut self, function: &Function, arguments: Vec<Value>) -> Result<Given, H::Halt> {
        let Some(definition) = function.definition.clone() else {
            return Err(Problem::unsupported(format!("the function {}()", function.name)).into());
        };
        if definition.is_strict && arguments.iter().any(Value::is_null) {
            return Ok(match (&definition.gives, definition.is_set) {
                (_, true) => Given::Rows(Vec::new()),
                (Gives::Value(ty), _) => Given::Value(Value::null(ty.clone())),
                _ => Given::Nothing,
            });
        }
        self.within_its_path(&definition, |interpreter| match function.language.as_str() {
            "plpgsql" => interpreter.call_plpgsql(function, &definition, arguments),
            "sql" => interpreter.call_sql(function, &definition, arguments),
            other => {
                Err(Problem::unsupported(format!("the function {}(), which is written in {other},", function.name))
                    .into())
            }
        })
    }

    /// Runs a body in the schemas that its function says, where it says some.
    fn within_its_path<T>(
        &mut self,
        definition: &Definition,
        run: impl FnOnce(&mut Self) -> Result<T, H::Halt>,
    ) -> Result<T, H::Halt> {
        let before = definition.search_path.clone().map(|path| self.host.change_search_path(path));
        let done = run(self);
        if let Some(before) = before {
            self.host.change_search_path(before);
        }
        done
    }

    fn call_plpgsql(
        &mut self,
        function: &Function,
        definition: &Arc<Definition>,
        arguments: Vec<Value>,
    ) -> Result<Given, H::Halt> {
        let body = body_of(function, definition)?;
        let (mut names, positional) = parameters(definition, arguments);
        let inputs: Vec<&str> = definition.inputs().map(|parameter| parameter.name.as_str()).collect();
        for (at, row) in std::mem::take(&mut self.rows_given) {
            if let Some(named) = names.iter_mut().find(|named| inputs.get(at).is_some_and(|name| *name == named.name)) {
                named.variable = Variable::Record(row);
            }
        }
        let label = Some(function.name.clone());
        let mut frame = Frame::new(label, names, positional, definition.gives.clone(), &body);
        if definition.is_set {
            frame.given = Given::Rows(Vec::new());
        }
        let (mut frame, returned) = self.run(&body, frame)?;
        let outputs: Vec<Value> = definition
            .outputs()
            .filter_map(|p| frame.variables.levels[0].names.iter().find(|named| named.name == p.name))
            .filter_map(|named| match &named.variable {
                Variable::Scalar(value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        Ok(match (&definition.gives, std::mem::take(&mut frame.given)) {
            (_, rows @ Given::Rows(_)) => rows,
            (Gives::Nothing, _) => Given::Nothing,
            (_, Given::Nothing) if !outputs.is_empty() => match (outputs.as_slice(), &definition.gives) {
                ([value], Gives::Value(_)) => Given::Value(value.clone()),
                _ => {
                    let names = definition.outputs().map(|p| p.name.clone());
                    Given::Row(Some(names.zip(outputs).collect()))
                }
            },
            (Gives::Value(ty), Given::Nothing) if returned => Given::Value(Value::null(ty.clone())),
            (_, Given::Nothing) => {
                return Err(Problem::rejected("2F005", "control reached end of function without RETURN").into());
            }
            (_, given) => given,
        })
    }

    /// A function in SQL: its statements in turn, of which the last one gives its value.
    fn call_sql(
        &mut self,
        function: &Function,
        definition: &Arc<Definition>,
        arguments: Vec<Value>,
    ) -> Result<Given, H::Halt> {
        let Some(text) = &definition.body else {
            return Err(
                Problem::unsupported(format!("the function {}(), whose body isn't a text,", function.name)).into()
            );
        };
        if self.depth >= super::DEPTH {
            return Err(Problem::unsupported("calls nested too deeply").into());
        }
        let statements = parse::all(text)?;
        let (names, positional) = parameters(definition, arguments);
        let variables = Variables {
            levels: vec![crate::translate::Level { label: Some(function.name.clone()), names }],
            conflict: crate::translate::NameConflict::Column,
            positional,
        };
        let mut frame = Frame { gives: definition.gives.clone(), ..Frame::of(variables) };
        self.depth += 1;
        let given = self.sql_statements(&statements, definition, &mut frame);
        self.depth -= 1;
        given
    }

    fn sql_statements(
        &mut self,
        statements: &[Sql],
        definition: &Definition,
        frame: &mut Frame,
    ) -> Result<Given, H::Halt> {
        let types = match &definition.gives {
            Gives::Value(ty) => vec![ty.clone()],
            Gives::Row(columns) => columns.iter().map(|(_, ty)| ty.clone()).collect(),
            _ => Vec::new(),
        };
        let mut last = None;
        for sql in statements {
            self.spend("in a function of SQL")?;
            last = match &sql.node {
                NodeEnum::SelectStmt(select) if select.into_clause.is_none() => {
                    let most = if definition.is_set { super::loops::ALL } else { 1 };
                    Some(self.ask(&sql.node, frame, &types, most)?)
                }
                node => {
                    let wanted = super::statements::has_returning(node).then_some(types.as_slice());
                    self.run_command(node, &sql.text, wanted, frame)?.returned
                }
            };
        }
        let answer = match (&definition.gives, last) {
            (Gives::Nothing, _) => return Ok(Given::Nothing),
            (_, Some(answer)) => answer,
            (_, None) => {
                return Err(Problem::unsupported("a function in SQL whose last statement gives no rows").into());
            }
        };
        if definition.is_set {
            return Ok(Given::Rows(answer.rows));
        }
        let row = answer.rows.into_iter().next();
        Ok(match &definition.gives {
            Gives::Value(ty) => {
                Given::Value(row.and_then(|row| row.into_iter().next()).unwrap_or_else(|| Value::null(ty.clone())))
            }
            Gives::Row(columns) => {
                Given::Row(row.map(|row| columns.iter().map(|(name, _)| name.clone()).zip(row).collect()))
            }
            _ => return Err(Problem::unsupported("a function in SQL that gives a record").into()),
        })
    }

    /// RETURN
    pub(super) fn give(&mut self, value: Option<&Sql>, frame: &mut Frame) -> Result<(), H::Halt> {
        let Some(sql) = value else { return Ok(()) };
        frame.given = match frame.gives.clone() {
            Gives::Value(ty) => Given::Value(self.evaluate(sql, frame, Some(&ty))?),
            Gives::Nothing => Given::Nothing,
            Gives::Trigger => Given::Row(self.row(sql, frame)?),
            Gives::Row(columns) => match self.row(sql, frame)? {
                Some(row) => Given::Row(Some(self.returned(row, &columns)?)),
                None => Given::Row(None),
            },
            Gives::Record => Given::Row(self.row(sql, frame)?),
        };
        Ok(())
    }

    /// RETURN NEXT
    pub(super) fn give_next(&mut self, value: Option<&Sql>, frame: &mut Frame) -> Result<(), H::Halt> {
        let row = match (value, frame.gives.clone()) {
            (Some(sql), Gives::Value(ty)) => vec![self.evaluate(sql, frame, Some(&ty))?],
            (Some(sql), gives) => {
                let Some(row) = self.row(sql, frame)? else {
                    return Err(Problem::unsupported("RETURN NEXT of no row").into());
                };
                let row = match gives {
                    Gives::Row(columns) => self.shaped(row, &columns)?,
                    _ => row,
                };
                row.into_iter().map(|(_, value)| value).collect()
            }
            (None, gives) => {
                let names: Vec<String> = match gives {
                    Gives::Row(columns) => columns.into_iter().map(|(name, _)| name).collect(),
                    _ => return Err(Problem::unsupported("RETURN NEXT without a value").into()),
                };
                let level = &frame.variables.levels[0];
                names
                    .iter()
                    .filter_map(|name| level.names.iter().find(|named| named.name == *name))
                    .filter_map(|named| match &named.variable {
                        Variable::Scalar(value) => Some(value.clone()),
                        _ => None,
                    })
                    .collect()
            }
        };
        if let Given::Rows(rows) = &mut frame.given {
            rows.push(row);
        }
        Ok(())
    }

    /// RETURN QUERY
    pub(super) fn give_query(&mut self, query: &Query, frame: &mut Frame) -> Result<(), H::Halt> {
        let types = match &frame.gives {
            Gives::Value(ty) => vec![ty.clone()],
            Gives::Row(columns) => columns.iter().map(|(_, ty)| ty.clone()).collect(),
            _ => return Err(Problem::unsupported("RETURN QUERY of a function that gives records").into()),
        };
        let answer = self.rows_of(query, &[], frame)?;
        let same = answer.columns.len() == types.len()
            && answer.columns.iter().zip(&types).all(|((_, own), wanted)| {
                own == wanted || own.same_base(wanted) || (*own == Type::Unknown && wanted.is_text())
            });
        if !same {
            let message = "structure of query does not match function result type";
            return Err(Problem::rejected("42804", message).into());
        }
        frame.row_count = answer.total;
        frame.set_found(answer.total > 0);
        if let Given::Rows(rows) = &mut frame.given {
            rows.extend(answer.rows);
        }
        Ok(())
    }

    /// Runs a trigger function on a row; what it gives back is the row to go on with, or none.
    ///
    /// # Errors
    /// The server's, or what can't be told.
    pub fn trigger(&mut self, function: &Function, variables: Vec<Named>) -> Result<Option<Row>, H::Halt> {
        let definition = function.definition.clone().filter(|d| d.gives == Gives::Trigger);
        let Some(definition) = definition.filter(|_| function.language == "plpgsql") else {
            return Err(Problem::unsupported(format!("the trigger function {}()", function.name)).into());
        };
        let body = body_of(function, &definition)?;
        let label = Some(function.name.clone());
        let frame = Frame::new(label, variables, Vec::new(), Gives::Trigger, &body);
        let (frame, returned) = self.within_its_path(&definition, |interpreter| interpreter.run(&body, frame))?;
        match frame.given {
            Given::Row(row) => Ok(row),
            _ if returned => Ok(None),
            _ => {
                let message = "control reached end of trigger procedure without RETURN";
                Err(Problem::rejected("2F005", message).into())
            }
        }
    }
}

impl Frame {
    fn new(
        label: Option<String>,
        names: Vec<Named>,
        positional: Vec<(i32, Value)>,
        gives: Gives,
        body: &Body,
    ) -> Frame {
        let variables = Variables { levels: vec![outermost(label, names)], conflict: body.conflict, positional };
        Frame { gives, ..Frame::of(variables) }
    }

    /// Variables and nothing else.
    pub(super) fn of(variables: Variables) -> Frame {
        Frame {
            variables,
            row_count: 0,
            handled: None,
            given: Given::Nothing,
            cursors: Cursors::default(),
            gives: Gives::Nothing,
        }
    }
}

/// Parameters as variables, by name and by number.
fn parameters(definition: &Definition, arguments: Vec<Value>) -> (Vec<Named>, Vec<(i32, Value)>) {
    let mut arguments = arguments.into_iter();
    let (mut names, mut positional) = (Vec::new(), Vec::new());
    for (number, parameter) in (1..).zip(&definition.parameters) {
        let value = match parameter.is_input {
            true => arguments.next().unwrap_or_else(|| Value::null(parameter.ty.clone())),
            false => Value::null(parameter.ty.clone()),
        };
        if parameter.is_input {
            positional.push((number, value.clone()));
        }
        if !parameter.name.is_empty() {
            names.push(scalar(&parameter.name, value));
        }
    }
    (names, positional)
}
