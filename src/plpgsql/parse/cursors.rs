//! Cursors: how they are declared, opened and read.

use super::Parser;
use crate::catalog::{Outcome, Problem};
use crate::plpgsql::tree::{CursorQuery, Kind};

impl Parser<'_> {
    /// `[NO SCROLL] CURSOR (a int, …) FOR query`
    pub(super) fn cursor_query(&mut self) -> Outcome<CursorQuery> {
        self.take("no");
        self.take("scroll");
        self.expect("cursor")?;
        let mut parameters = Vec::new();
        if self.take("(") {
            loop {
                let name = self.name()?;
                let first = self.next;
                while !self.is(",") && !self.is(")") {
                    if self.word().is_empty() || self.is("(") {
                        return Err(Problem::unsupported("a cursor with a parameter of this type"));
                    }
                    self.next += 1;
                }
                let ty: Vec<&str> = (first..self.next).map(|at| self.word_at(at)).collect();
                parameters.push((name, ty.join(" ")));
                if !self.take(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        if !self.take("for") {
            self.expect("is")?;
        }
        Ok(CursorQuery { parameters, query: self.query(";")? })
    }

    /// OPEN
    pub(super) fn open(&mut self) -> Outcome<Kind> {
        self.next += 1;
        let cursor = self.cursor_name()?;
        let arguments = self.cursor_arguments()?;
        self.take("no");
        self.take("scroll");
        let query = if self.take("for") { Some(self.query(";")?) } else { None };
        Ok(Kind::Open { cursor, arguments, query })
    }

    /// FETCH and MOVE, forward by one row.
    pub(super) fn fetch(&mut self, moves: bool) -> Outcome<Kind> {
        self.next += 1;
        let names_more = |parser: &Self| !parser.is_at(parser.next + 1, ";") && !parser.is_at(parser.next + 1, "into");
        if names_more(self) && (self.is("next") || self.is("forward")) {
            self.next += 1;
        }
        if !self.take("from") {
            self.take("in");
        }
        let known = self.is_name(self.next) && (self.is_at(self.next + 1, ";") || self.is_at(self.next + 1, "into"));
        if !known {
            return self.skip("FETCH and MOVE in this direction");
        }
        let cursor = self.cursor_name()?;
        let into = match moves {
            true => None,
            false => {
                self.expect("into")?;
                Some(self.read_into()?)
            }
        };
        Ok(Kind::Fetch { cursor, into })
    }

    /// CLOSE
    pub(super) fn close(&mut self) -> Outcome<Kind> {
        self.next += 1;
        Ok(Kind::Close(self.cursor_name()?))
    }

    fn cursor_name(&mut self) -> Outcome<String> {
        let at = self.next;
        let name = self.name()?;
        if self.names.find(std::slice::from_ref(&name)).is_none() {
            self.next = at;
            return Err(self.error("42601", format!("\"{name}\" is not a known variable")));
        }
        Ok(name)
    }

    fn cursor_arguments(&mut self) -> Outcome<Vec<crate::plpgsql::tree::Sql>> {
        if !self.take("(") {
            return Ok(Vec::new());
        }
        let list = self.expressions(&[")"])?;
        self.expect(")")?;
        Ok(list)
    }

    /// `FOR record IN cursor(arguments) LOOP`, from behind IN on.
    pub(super) fn cursor_loop(&mut self, label: Option<String>, name: String) -> Outcome<Kind> {
        let cursor = self.cursor_name()?;
        let arguments = self.cursor_arguments()?;
        self.names.declare(super::Name::plain(&name));
        let body = self.loop_body(label.as_deref())?;
        Ok(Kind::ForCursor { label, name, cursor, arguments, body })
    }
}
