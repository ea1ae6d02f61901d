//! SQL inside of PL/pgSQL: where it ends, and what its INTO is.

use pg_query::NodeEnum;

use super::Parser;
use crate::catalog::{Outcome, Problem};
use crate::plpgsql::tree::{Into, Query, Sql, Target};

const PREFIX: &str = "SELECT ";

/// Reads an expression: a SELECT without its first word.
pub(in crate::plpgsql) fn parse_expression(text: &str, at: usize) -> Outcome<Sql> {
    let node = parse_one(&format!("{PREFIX}{text}"), at)?;
    Ok(Sql { text: text.to_owned(), at, node })
}

/// Reads one statement.
pub(in crate::plpgsql) fn parse_statement(text: &str, at: usize) -> Outcome<Sql> {
    Ok(Sql { text: text.to_owned(), at, node: parse_one(text, at)? })
}

fn parse_one(text: &str, at: usize) -> Outcome<NodeEnum> {
    let parsed = pg_query::parse(text, 0).map_err(|error| {
        let problem = Problem::rejected("42601", super::message(&error));
        problem.at(i32::try_from(at).unwrap_or(-1))
    })?;
    let mut nodes: Vec<NodeEnum> =
        parsed.protobuf.stmts.into_iter().filter_map(|statement| statement.stmt?.node).collect();
    match (nodes.pop(), nodes.is_empty()) {
        (Some(node), true) => Ok(node),
        _ => Err(Problem::rejected("42601", "syntax error at end of input").at(i32::try_from(at).unwrap_or(-1))),
    }
}

impl Parser<'_> {
    /// Moves to the first of some words outside of parentheses.
    pub(super) fn find(&mut self, ends: &[&str]) -> Outcome<()> {
        let mut depth = 0_usize;
        loop {
            let word = self.word();
            if word.is_empty() {
                return Err(self.error("42601", "syntax error at end of input"));
            }
            if depth == 0 && ends.iter().any(|end| word.eq_ignore_ascii_case(end)) {
                return Ok(());
            }
            match word {
                "(" | "[" => depth += 1,
                ")" | "]" => {
                    depth = depth.checked_sub(1).ok_or_else(|| self.error("42601", "mismatched parentheses"))?;
                }
                ";" => return Err(self.missing_end(ends)),
                _ => {}
            }
            self.next += 1;
        }
    }

    fn missing_end(&self, ends: &[&str]) -> Problem {
        match ends {
            [end] if end.chars().all(char::is_alphabetic) => {
                self.error("42601", format!("missing \"{}\" at end of SQL expression", end.to_uppercase()))
            }
            _ => self.unexpected(),
        }
    }

    /// The text from a token to where the reading stands, without blanks around it.
    fn text_from(&self, first: usize) -> &str {
        let start = self.start(first);
        let end = match self.next.checked_sub(1).and_then(|last| self.tokens.get(last)) {
            Some(token) if self.next > first => usize::try_from(token.end).unwrap_or(start),
            _ => start,
        };
        self.text.get(start..end).unwrap_or("")
    }

    /// An expression up to one of some words, which is left standing.
    pub(super) fn expression(&mut self, ends: &[&str]) -> Outcome<Sql> {
        let first = self.next;
        self.find(ends)?;
        if self.next == first {
            return Err(self.error("42601", "missing expression"));
        }
        let (text, at) = (self.text_from(first).to_owned(), self.start(first));
        parse_expression(&text, at)
    }

    /// Expressions between commas, up to one of some words.
    pub(super) fn expressions(&mut self, ends: &[&str]) -> Outcome<Vec<Sql>> {
        let with_comma: Vec<&str> = ends.iter().copied().chain([","]).collect();
        let mut list = vec![self.expression(&with_comma)?];
        while self.take(",") {
            list.push(self.expression(&with_comma)?);
        }
        Ok(list)
    }

    /// A query up to a word, static or dynamic.
    pub(super) fn query(&mut self, end: &'static str) -> Outcome<Query> {
        if self.take("execute") {
            let text = self.expression(&[end, "using"])?;
            let using = if self.take("using") { self.expressions(&[end])? } else { Vec::new() };
            return Ok(Query::Dynamic { text, using });
        }
        let first = self.next;
        self.find(&[end])?;
        let (text, at) = (self.text_from(first).to_owned(), self.start(first));
        Ok(Query::Static(parse_statement(&text, at)?))
    }

    /// `a`, `r.b`, `c[1]`
    pub(super) fn target(&mut self) -> Outcome<Target> {
        let at = self.next;
        let path = self.path()?;
        self.check_assignable(&path, at)?;
        let mut subscripts = Vec::new();
        while self.take("[") {
            let first = self.next;
            let mut depth = 0_usize;
            while !(self.is("]") && depth == 0) {
                match self.word() {
                    "" | ";" => return Err(self.unexpected()),
                    "[" | "(" => depth += 1,
                    "]" | ")" => depth = depth.saturating_sub(1),
                    _ => {}
                }
                self.next += 1;
            }
            let (text, at) = (self.text_from(first).to_owned(), self.start(first));
            subscripts.push(parse_expression(&text, at)?);
            self.next += 1;
        }
        Ok(Target { path, subscripts })
    }

    pub(super) fn check_assignable(&mut self, path: &[String], at: usize) -> Outcome<()> {
        match self.names.find(path) {
            Some(name) if name.constant => {
                let words = format!("variable \"{}\" is declared CONSTANT", name.name);
                self.next = at;
                Err(self.error("22005", words))
            }
            Some(_) => Ok(()),
            None => {
                self.next = at;
                Err(self.error("42601", format!("\"{}\" is not a known variable", path.join("."))))
            }
        }
    }

    /// `[STRICT] target, …`
    pub(super) fn read_into(&mut self) -> Outcome<Into> {
        let strict = self.take("strict");
        let mut targets = vec![self.target()?];
        while self.take(",") {
            targets.push(self.target()?);
        }
        Ok(Into { strict, targets })
    }

    /// An SQL statement up to its semicolon, with its INTO taken out.
    pub(super) fn sql_statement(&mut self) -> Outcome<(Sql, Option<Into>)> {
        let first = self.next;
        let is_import = self.is("import");
        let mut into: Option<Into> = None;
        let mut text = String::new();
        let mut part = first;
        let mut depth = 0_usize;
        while !(self.is(";") && depth == 0) {
            match self.word().to_ascii_lowercase().as_str() {
                "" => return Err(self.error("42601", "syntax error at end of input")),
                "(" | "[" => depth += 1,
                ")" | "]" => depth = depth.saturating_sub(1),
                "into" if !is_import && self.next > first => {
                    let before = self.word_at(self.next - 1).to_ascii_lowercase();
                    // CREATE TABLE … AS SELECT … INTO doesn't exist, so what stands elsewhere is PL/pgSQL's.
                    if !["insert", "merge"].contains(&before.as_str()) && self.is_name(self.next + 1) {
                        if into.is_some() {
                            return Err(self.error("42601", "INTO specified more than once"));
                        }
                        text.push_str(self.text_from(part));
                        self.next += 1;
                        into = Some(self.read_into()?);
                        part = self.next;
                        text.push(' ');
                        continue;
                    }
                }
                _ => {}
            }
            self.next += 1;
        }
        text.push_str(self.text_from(part));
        Ok((parse_statement(&text, self.start(first))?, into))
    }
}

/// Reads an expression that stands nowhere.
pub(in crate::plpgsql) fn expression(text: &str) -> Outcome<Sql> {
    parse_expression(text, 0)
}

/// Reads a statement that stands nowhere.
pub(in crate::plpgsql) fn statement(text: &str) -> Outcome<Sql> {
    parse_statement(text, 0)
}

/// Reads all statements of a text.
pub(in crate::plpgsql) fn all(text: &str) -> Outcome<Vec<Sql>> {
    let parsed = pg_query::parse(text, 0).map_err(|error| Problem::rejected("42601", super::message(&error)))?;
    let nodes = parsed.protobuf.stmts.into_iter().filter_map(|raw| {
        let from = usize::try_from(raw.stmt_location).unwrap_or(0);
        let to = match usize::try_from(raw.stmt_len).unwrap_or(0) {
            0 => text.len(),
            length => from + length,
        };
        let node = raw.stmt?.node?;
        Some(Sql { text: text.get(from..to).unwrap_or(text).trim().to_owned(), at: from, node })
    });
    Ok(nodes.collect())
}
