//! Statements of PL/pgSQL, each up to and with its semicolon.

use super::{Kind as Routine, Parser};
use crate::catalog::{Outcome, Problem};
use crate::plpgsql::tree::{Kind, Level, Raise, Statement, Target};

/// Words that end a list of statements.
const ENDS: &[&str] = &["end", "exception", "when", "else", "elsif", "elseif", ""];

impl Parser<'_> {
    /// Statements up to a word that ends their list.
    pub(super) fn statements(&mut self) -> Outcome<Vec<Statement>> {
        let mut list = Vec::new();
        while !ENDS.iter().any(|end| self.is(end)) {
            let at = self.here();
            let kind = self.statement()?;
            self.expect(";")?;
            list.push(Statement { at, kind });
        }
        Ok(list)
    }

    fn statement(&mut self) -> Outcome<Kind> {
        let label = self.label()?;
        let word = self.word().to_ascii_lowercase();
        if self.is_assignment() {
            let target = self.target()?;
            self.next += 1;
            return Ok(Kind::Assign(target, self.expression(&[";"])?));
        }
        match word.as_str() {
            "declare" | "begin" => Ok(Kind::Block(self.block(label)?)),
            "loop" | "while" | "for" | "foreach" => self.loop_of(label, &word),
            _ if label.is_some() => Err(self.unexpected()),
            "if" => self.if_statement(),
            "case" => self.case_statement(),
            "exit" | "continue" => self.leave(word == "continue"),
            "return" => self.return_statement(),
            "raise" => self.raise().map(Kind::Raise),
            "assert" => {
                self.next += 1;
                let condition = self.expression(&[";", ","])?;
                let message = if self.take(",") { Some(self.expression(&[";"])?) } else { None };
                Ok(Kind::Assert(condition, message))
            }
            "perform" => {
                self.next += 1;
                Ok(Kind::Perform(self.expression(&[";"])?))
            }
            "execute" => self.execute(),
            "get" => self.diagnostics(),
            "null" if self.is_at(self.next + 1, ";") => {
                self.next += 1;
                Ok(Kind::Nothing)
            }
            "open" => self.open(),
            "fetch" | "move" => self.fetch(word == "move"),
            "close" => self.close(),
            "commit" | "rollback" => self.skip("COMMIT and ROLLBACK inside of a block"),
            _ => {
                let (sql, into) = self.sql_statement()?;
                Ok(Kind::Sql(sql, into))
            }
        }
    }

    pub(super) fn skip(&mut self, what: &'static str) -> Outcome<Kind> {
        self.find(&[";"])?;
        Ok(Kind::Unsupported(what))
    }

    /// `name := …`, `rec.field = …`, `array[1] := …`
    fn is_assignment(&self) -> bool {
        if !self.is_name(self.next) {
            return false;
        }
        let mut at = self.next + 1;
        while self.word_at(at) == "." && self.is_name(at + 1) {
            at += 2;
        }
        let mut depth = 0_usize;
        while self.word_at(at) == "[" || depth > 0 {
            match self.word_at(at) {
                "[" => depth += 1,
                "]" => depth -= 1,
                "" | ";" => return false,
                _ => {}
            }
            at += 1;
        }
        self.word_at(at) == ":=" || self.word_at(at) == "="
    }

    fn if_statement(&mut self) -> Outcome<Kind> {
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        self.next += 1;
        loop {
            let condition = self.expression(&["then"])?;
            self.next += 1;
            branches.push((condition, self.statements()?));
            if self.take("elsif") || self.take("elseif") {
                continue;
            }
            if self.take("else") {
                otherwise = self.statements()?;
            }
            self.expect("end")?;
            self.expect("if")?;
            return Ok(Kind::If(branches, otherwise));
        }
    }

    fn case_statement(&mut self) -> Outcome<Kind> {
        self.next += 1;
        let subject = if self.is("when") { None } else { Some(self.expression(&["when"])?) };
        let mut branches = Vec::new();
        while self.take("when") {
            let values = match subject {
                Some(_) => self.expressions(&["then"])?,
                None => vec![self.expression(&["then"])?],
            };
            self.expect("then")?;
            branches.push((values, self.statements()?));
        }
        let otherwise = if self.take("else") { Some(self.statements()?) } else { None };
        self.expect("end")?;
        self.expect("case")?;
        Ok(Kind::Case(subject, branches, otherwise))
    }

    pub(super) fn loop_body(&mut self, label: Option<&str>) -> Outcome<Vec<Statement>> {
        self.expect("loop")?;
        let body = self.statements()?;
        self.expect("end")?;
        self.expect("loop")?;
        self.end_label(label)?;
        Ok(body)
    }

    fn loop_of(&mut self, label: Option<String>, word: &str) -> Outcome<Kind> {
        self.names.enter(label.clone(), true);
        let kind = match word {
            "loop" => {
                let body = self.loop_body(label.as_deref())?;
                Kind::Loop { label, condition: None, body }
            }
            "while" => {
                self.next += 1;
                let condition = Some(self.expression(&["loop"])?);
                let body = self.loop_body(label.as_deref())?;
                Kind::Loop { label, condition, body }
            }
            "foreach" => {
                self.next += 1;
                let target = self.for_each_target()?;
                if self.is("slice") {
                    return Err(Problem::unsupported("FOREACH … SLICE"));
                }
                self.expect("in")?;
                self.expect("array")?;
                let array = self.expression(&["loop"])?;
                let body = self.loop_body(label.as_deref())?;
                Kind::ForEach { label, target, array, body }
            }
            _ => self.for_loop(label)?,
        };
        self.names.leave();
        Ok(kind)
    }

    fn for_each_target(&mut self) -> Outcome<Target> {
        let at = self.next;
        let path = self.path()?;
        if self.names.find(&path).is_none() {
            self.next = at;
            let words = "loop variable of FOREACH must be a known variable or list of variables";
            return Err(self.error("42601", words));
        }
        self.next = at;
        self.target()
    }

    fn for_loop(&mut self, label: Option<String>) -> Outcome<Kind> {
        self.next += 1;
        let first = self.next;
        let mut paths = vec![self.path()?];
        while self.take(",") {
            paths.push(self.path()?);
        }
        self.expect("in")?;
        let after_in = self.next;
        let reverse = self.is("reverse");
        if !self.is("execute") {
            self.next += usize::from(reverse);
            self.find(&["..", "loop"])?;
            if self.is("..") {
                self.next = after_in + usize::from(reverse);
                return self.for_range(label, &paths, reverse);
            }
            // One name is a cursor's, with or without arguments.
            let opened = self.is_at(after_in + 1, "(") && self.is_at(self.next - 1, ")");
            if self.is_name(after_in) && (self.next == after_in + 1 || opened) {
                self.next = after_in;
                return self.cursor_loop(label, paths[0].join("."));
            }
        }
        self.next = first;
        if self.names.find(&paths[0]).is_none() {
            let words = "loop variable of loop over rows must be a record variable or list of scalar variables";
            return Err(self.error("42601", words));
        }
        let mut targets = vec![self.target()?];
        while self.take(",") {
            targets.push(self.target()?);
        }
        self.expect("in")?;
        let query = Box::new(self.query("loop")?);
        let body = self.loop_body(label.as_deref())?;
        Ok(Kind::ForQuery { label, targets, query, body })
    }

    fn for_range(&mut self, label: Option<String>, paths: &[Vec<String>], reverse: bool) -> Outcome<Kind> {
        let [path] = paths else {
            return Err(self.error("42601", "integer FOR loop must have only one target variable"));
        };
        let name = path.join(".");
        let from = self.expression(&[".."])?;
        self.next += 1;
        let to = self.expression(&["loop", "by"])?;
        let step = if self.take("by") { Some(Box::new(self.expression(&["loop"])?)) } else { None };
        self.names.declare(super::Name::plain(&name));
        let body = self.loop_body(label.as_deref())?;
        Ok(Kind::ForRange { label, name, reverse, bounds: [Some(Box::new(from)), Some(Box::new(to)), step], body })
    }

    fn leave(&mut self, goes_on: bool) -> Outcome<Kind> {
        let at = self.next;
        self.next += 1;
        let label = if self.is(";") || self.is("when") { None } else { Some(self.name()?) };
        let when = if self.take("when") { Some(self.expression(&[";"])?) } else { None };
        let after = std::mem::replace(&mut self.next, at);
        match &label {
            None if !self.names.in_loop() => {
                let words = if goes_on {
                    "CONTINUE cannot be used outside a loop"
                } else {
                    "EXIT cannot be used outside a loop, unless it has a label"
                };
                return Err(self.error("42601", words));
            }
            Some(label) => match self.names.label(label) {
                None => {
                    let words =
                        format!("there is no label \"{label}\" attached to any block or loop enclosing this statement");
                    return Err(self.error("42601", words));
                }
                Some(false) if goes_on => {
                    return Err(self.error("42601", format!("block label \"{label}\" cannot be used in CONTINUE")));
                }
                Some(_) => {}
            },
            None => {}
        }
        self.next = after;
        Ok(Kind::Leave { goes_on, label, when })
    }

    fn return_statement(&mut self) -> Outcome<Kind> {
        self.next += 1;
        if self.is("next") || self.is("query") {
            let is_next = self.is("next");
            if self.kind != Routine::Set {
                let words =
                    format!("cannot use RETURN {} in a non-SETOF function", if is_next { "NEXT" } else { "QUERY" });
                return Err(self.error("42804", words));
            }
            self.next += 1;
            if !is_next {
                return Ok(Kind::ReturnQuery(self.query(";")?));
            }
            let value = if self.is(";") { None } else { Some(self.expression(&[";"])?) };
            return Ok(Kind::ReturnNext(value));
        }
        if self.is(";") {
            return Ok(Kind::Return(None));
        }
        match self.kind {
            Routine::Void => Err(self.error("42804", "RETURN cannot have a parameter in function returning void")),
            Routine::Set => Err(self.error("42804", "RETURN cannot have a parameter in function returning set")),
            _ => Ok(Kind::Return(Some(self.expression(&[";"])?))),
        }
    }

    fn raise(&mut self) -> Outcome<Raise> {
        self.next += 1;
        let mut raise =
            Raise { level: Level::Exception, message: None, condition: None, options: Vec::new(), again: false };
        if self.is(";") {
            raise.again = true;
            return Ok(raise);
        }
        let level = match self.word().to_ascii_lowercase().as_str() {
            "debug" | "log" => Some(Level::Hidden),
            "info" => Some(Level::Info),
            "notice" => Some(Level::Notice),
            "warning" => Some(Level::Warning),
            "exception" => Some(Level::Exception),
            _ => None,
        };
        self.next += usize::from(level.is_some());
        raise.level = level.unwrap_or(Level::Exception);
        if self.word().starts_with(['\'', '$', 'e', 'E', 'u', 'U']) && self.word().ends_with(['\'', '$']) {
            let format = self.string()?;
            let values = if self.take(",") { self.expressions(&[";", "using"])? } else { Vec::new() };
            let wanted = format.replace("%%", "").matches('%').count();
            if wanted != values.len() {
                let words = if wanted < values.len() { "too many" } else { "too few" };
                return Err(self.error("42601", format!("{words} parameters specified for RAISE")));
            }
            raise.message = Some((format, values));
        } else if self.take("sqlstate") {
            let state = self.string()?;
            if !crate::plpgsql::conditions::is_state(&state) {
                return Err(self.error("42601", "invalid SQLSTATE code"));
            }
            raise.condition = Some(state);
        } else if !self.is("using") && !self.is(";") {
            let at = self.next;
            let name = self.name()?;
            if crate::plpgsql::conditions::states(&name).next().is_none() {
                self.next = at;
                return Err(self.error("42704", format!("unrecognized exception condition \"{name}\"")));
            }
            raise.condition = Some(name);
        }
        if self.take("using") {
            loop {
                let at = self.next;
                let option = self.name()?;
                let known =
                    ["errcode", "message", "detail", "hint", "column", "constraint", "datatype", "table", "schema"];
                if !known.contains(&option.as_str()) {
                    self.next = at;
                    return Err(self.error("42601", "unrecognized RAISE statement option"));
                }
                if !self.take("=") {
                    self.expect(":=")?;
                }
                raise.options.push((option, self.expression(&[";", ","])?));
                if !self.take(",") {
                    break;
                }
            }
        }
        Ok(raise)
    }

    fn execute(&mut self) -> Outcome<Kind> {
        self.next += 1;
        let text = self.expression(&[";", "into", "using"])?;
        let (mut into, mut using) = (None, Vec::new());
        loop {
            if into.is_none() && self.take("into") {
                into = Some(self.read_into()?);
            } else if using.is_empty() && self.take("using") {
                using = self.expressions(&[";", "into"])?;
            } else {
                return Ok(Kind::Execute { text, into, using });
            }
        }
    }

    fn diagnostics(&mut self) -> Outcome<Kind> {
        self.next += 1;
        let stacked = self.take("stacked");
        if !stacked {
            self.take("current");
        }
        self.expect("diagnostics")?;
        let mut items = Vec::new();
        loop {
            let target = self.target()?;
            if !self.take("=") {
                self.expect(":=")?;
            }
            let at = self.next;
            let item = self.name()?;
            let of_error = item != "row_count" && item != "pg_context" && item != "pg_routine_oid";
            if of_error != stacked && item != "pg_context" {
                self.next = at;
                let place = if stacked { "STACKED" } else { "CURRENT" };
                let words =
                    format!("diagnostics item {} is not allowed in GET {place} DIAGNOSTICS", item.to_uppercase());
                return Err(self.error("42601", words));
            }
            items.push((target, item));
            if !self.take(",") {
                return Ok(Kind::Diagnostics { stacked, items });
            }
        }
    }
}
