//! PL/pgSQL's grammar: the text of a body becomes a [`Body`].
//!
//! Input: the text between the dollar quotes. Output: its tree, or the server's error. Tokens are PostgreSQL's own, and so is the
//! reading of SQL inside: an expression goes on to the word that ends it, at no depth of parentheses, just as on the server.

mod cursors;
mod names;
mod sql;
mod statements;

use pg_query::protobuf::{ScanToken, Token};

use super::tree::{Block, Body, Condition, Declaration, Declared, Handler, Sql};
use crate::catalog::{Outcome, Problem};
use crate::translate::NameConflict;
use names::{Name, Names};
pub(super) use sql::{all, expression, statement};

/// Reads a body. `parameters` are the names known outside it; `label` is the routine's own name.
///
/// # Errors
/// What the server's compiler says (42601 and its kin).
pub fn body(text: &str, parameters: &[String], kind: Kind) -> Outcome<Body> {
    let scanned = pg_query::scan(text).map_err(|error| Problem::rejected("42601", message(&error)))?;
    let tokens = scanned
        .tokens
        .into_iter()
        .filter(|token| ![Token::SqlComment, Token::CComment].contains(&token.token()))
        .collect();
    let names = Names::new(parameters.iter().map(|name| Name::plain(name)).collect());
    let mut parser = Parser { text, tokens, next: 0, names, kind };
    let conflict = parser.options()?;
    let block = parser.block_with_label()?;
    parser.take(";");
    match parser.next < parser.tokens.len() {
        true => Err(parser.unexpected()),
        false => Ok(Body { block, conflict }),
    }
}

/// Reads the statements of a function in SQL.
///
/// # Errors
/// 42601.
pub fn statements(text: &str) -> Outcome<()> {
    all(text).map(|_| ())
}

/// What kind of routine a body is of: which forms of RETURN it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// DO, a procedure, a function that returns void.
    Void,
    /// A function of one value.
    Scalar,
    /// A function of rows.
    Set,
    /// A trigger function.
    Trigger,
}

/// The parser's words without what the binding adds.
pub(super) fn message(error: &pg_query::Error) -> String {
    match error {
        pg_query::Error::Parse(message) | pg_query::Error::Scan(message) => message.clone(),
        other => other.to_string(),
    }
}

/// Where the reading stands.
struct Parser<'t> {
    text: &'t str,
    tokens: Vec<ScanToken>,
    next: usize,
    names: Names,
    kind: Kind,
}

impl<'t> Parser<'t> {
    fn start(&self, index: usize) -> usize {
        self.tokens.get(index).map_or(self.text.len(), |token| usize::try_from(token.start).unwrap_or(0))
    }

    /// The text of a token; empty at the end.
    fn word_at(&self, index: usize) -> &'t str {
        let Some(token) = self.tokens.get(index) else { return "" };
        let (start, end) = (usize::try_from(token.start).unwrap_or(0), usize::try_from(token.end).unwrap_or(0));
        self.text.get(start..end).unwrap_or("")
    }

    fn word(&self) -> &'t str {
        self.word_at(self.next)
    }

    fn is_at(&self, index: usize, word: &str) -> bool {
        self.word_at(index).eq_ignore_ascii_case(word)
    }

    fn is(&self, word: &str) -> bool {
        self.is_at(self.next, word)
    }

    /// Takes a word where it stands.
    fn take(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, word: &str) -> Outcome<()> {
        if self.take(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn here(&self) -> usize {
        self.start(self.next)
    }

    fn unexpected(&self) -> Problem {
        let what = match self.word() {
            "" => "syntax error at end of input".to_owned(),
            word => format!("syntax error at or near \"{word}\""),
        };
        self.error("42601", what)
    }

    fn error(&self, state: &'static str, message: impl Into<String>) -> Problem {
        Problem::rejected(state, message).at(i32::try_from(self.here()).unwrap_or(-1))
    }

    fn is_name(&self, index: usize) -> bool {
        let word = self.word_at(index);
        word.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '"')
    }

    /// A name, folded as the parser folds it.
    fn name(&mut self) -> Outcome<String> {
        if !self.is_name(self.next) {
            return Err(self.unexpected());
        }
        let name = folded(self.word());
        self.next += 1;
        Ok(name)
    }

    /// `a.b.c`
    fn path(&mut self) -> Outcome<Vec<String>> {
        let mut path = vec![self.name()?];
        while self.is(".") && self.is_name(self.next + 1) {
            self.next += 1;
            path.push(self.name()?);
        }
        Ok(path)
    }

    /// `#variable_conflict use_column` and its kin, before the body.
    fn options(&mut self) -> Outcome<NameConflict> {
        let mut conflict = NameConflict::default();
        while self.take("#") {
            match (self.name()?.as_str(), self.name()?.as_str()) {
                ("variable_conflict", "error") => conflict = NameConflict::Error,
                ("variable_conflict", "use_variable") => conflict = NameConflict::Variable,
                ("variable_conflict", "use_column") => conflict = NameConflict::Column,
                ("print_strict_params", _) => {}
                _ => return Err(self.unexpected()),
            }
        }
        Ok(conflict)
    }

    /// `<<name>>`
    fn label(&mut self) -> Outcome<Option<String>> {
        if !self.take("<<") {
            return Ok(None);
        }
        let name = self.name()?;
        self.expect(">>")?;
        Ok(Some(name))
    }

    fn block_with_label(&mut self) -> Outcome<Block> {
        let label = self.label()?;
        self.block(label)
    }

    /// `[DECLARE …] BEGIN … END [label]`
    fn block(&mut self, label: Option<String>) -> Outcome<Block> {
        self.names.enter(label.clone(), false);
        let mut declarations = Vec::new();
        while self.take("declare") {
            while !self.is("begin") && !self.is("declare") {
                if self.word().is_empty() {
                    return Err(self.unexpected());
                }
                let declared = self.declaration()?;
                declarations.push(declared);
            }
        }
        self.expect("begin")?;
        let body = self.statements()?;
        let mut handlers = Vec::new();
        if self.take("exception") {
            while self.take("when") {
                handlers.push(self.handler()?);
            }
            if handlers.is_empty() {
                return Err(self.unexpected());
            }
        }
        self.expect("end")?;
        self.end_label(label.as_deref())?;
        self.names.leave();
        Ok(Block { label, declarations, body, handlers })
    }

    /// The label after END, which must be the one before BEGIN.
    fn end_label(&mut self, label: Option<&str>) -> Outcome<()> {
        if self.is(";") || self.word().is_empty() {
            return Ok(());
        }
        let at = self.next;
        let name = self.name()?;
        match label {
            Some(label) if label == name => Ok(()),
            Some(label) => {
                self.next = at;
                let words = format!("end label \"{name}\" differs from block's label \"{label}\"");
                Err(self.error("42601", words))
            }
            None => {
                self.next = at;
                Err(self.error("42601", format!("end label \"{name}\" specified for unlabeled block")))
            }
        }
    }

    fn handler(&mut self) -> Outcome<Handler> {
        let mut conditions = Vec::new();
        loop {
            let at = self.next;
            let name = self.name()?;
            if name == "sqlstate" {
                let state = self.string()?;
                if !super::conditions::is_state(&state) {
                    return Err(self.error("42601", "invalid SQLSTATE code"));
                }
                conditions.push(Condition::State(state));
            } else if name == "others" {
                conditions.push(Condition::Others);
            } else {
                let before = conditions.len();
                conditions.extend(super::conditions::states(&name).map(|s| Condition::State(s.to_owned())));
                if conditions.len() == before {
                    self.next = at;
                    return Err(self.error("42704", format!("unrecognized exception condition \"{name}\"")));
                }
            }
            if !self.take("or") {
                break;
            }
        }
        self.expect("then")?;
        // Two more variables, there for the handler only.
        self.names.enter(None, false);
        self.names.declare(Name::plain("sqlstate"));
        self.names.declare(Name::plain("sqlerrm"));
        let body = self.statements()?;
        self.names.leave();
        Ok(Handler { conditions, body })
    }

    fn declaration(&mut self) -> Outcome<Declaration> {
        let at = self.here();
        let name = self.name()?;
        if self.take("alias") {
            self.expect("for")?;
            let of = match self.word() {
                word if word.starts_with('$') => {
                    self.next += 1;
                    word.to_owned()
                }
                _ => self.name()?,
            };
            self.expect(";")?;
            self.names.declare(Name::plain(&name));
            return Ok(Declaration {
                name,
                at,
                ty: Declared::Alias(of),
                constant: false,
                not_null: false,
                default: None,
            });
        }
        if self.is("cursor") || self.is("no") && self.is_at(self.next + 1, "scroll") || self.is("scroll") {
            let query = self.cursor_query()?;
            self.expect(";")?;
            self.names.declare(Name::plain(&name));
            let ty = Declared::Cursor(Box::new(query));
            return Ok(Declaration { name, at, ty, constant: false, not_null: false, default: None });
        }
        let constant = self.take("constant");
        let ty = self.declared_type()?;
        if self.take("collate") {
            self.path()?;
            return Err(Problem::unsupported("a variable with a collation"));
        }
        let not_null = self.take("not");
        if not_null {
            self.expect("null")?;
        }
        let has_default = self.take(":=") || self.take("=") || self.take("default");
        let default = match has_default {
            true => Some(self.expression(&[";"])?),
            false => None,
        };
        if not_null && default.is_none() {
            let words = format!("variable \"{name}\" must have a default value, since it's declared NOT NULL");
            return Err(self.error("22004", words));
        }
        self.expect(";")?;
        if self.names.is_declared_here(&name) {
            return Err(self.error("42601", format!("syntax error at or near \"{name}\"")));
        }
        self.names.declare(Name { constant, ..Name::plain(&name) });
        Ok(Declaration { name, at, ty, constant, not_null, default })
    }

    /// The words of a type, up to what can follow one.
    fn declared_type(&mut self) -> Outcome<Declared> {
        let first = self.next;
        let mut depth = 0_usize;
        loop {
            let word = self.word().to_ascii_lowercase();
            match word.as_str() {
                "" => return Err(self.unexpected()),
                "(" | "[" => depth += 1,
                ")" | "]" => depth = depth.saturating_sub(1),
                "not" | "default" | ":=" | "=" | ";" | "collate" if depth == 0 => break,
                _ => {}
            }
            self.next += 1;
        }
        if self.next == first {
            return Err(self.error("42601", "missing data type declaration"));
        }
        let end = self.next;
        if end >= first + 3 && self.word_at(end - 2) == "%" {
            let of = (first..end - 2).filter(|&i| self.word_at(i) != ".").map(|i| folded(self.word_at(i))).collect();
            match self.word_at(end - 1).to_ascii_lowercase().as_str() {
                "type" => return Ok(Declared::TypeOf(of)),
                "rowtype" => return Ok(Declared::RowOf(of)),
                _ => {}
            }
        }
        Ok(Declared::Type(self.text[self.start(first)..self.start(end)].trim().to_owned()))
    }

    /// A string constant's value.
    fn string(&mut self) -> Outcome<String> {
        use pg_query::NodeEnum;
        use pg_query::protobuf::a_const::Val;
        let Sql { node, .. } = sql::parse_expression(self.word(), self.here())?;
        let NodeEnum::SelectStmt(select) = &node else { return Err(self.unexpected()) };
        let value = select.target_list.first().and_then(|target| match &target.node {
            Some(NodeEnum::ResTarget(target)) => target.val.as_deref()?.node.as_ref(),
            _ => None,
        });
        let Some(NodeEnum::AConst(constant)) = value else { return Err(self.unexpected()) };
        let Some(Val::Sval(text)) = &constant.val else { return Err(self.unexpected()) };
        self.next += 1;
        Ok(text.sval.clone())
    }
}

/// A word as a name: folded, or without its quotes.
pub(super) fn folded(word: &str) -> String {
    match word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => word.to_lowercase(),
    }
}

#[cfg(test)]
mod tests;
