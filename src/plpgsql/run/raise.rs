//! RAISE and ASSERT; which handler catches what.

use super::{Frame, Host, Interpreter};
use crate::catalog::Problem;
use crate::catalog::problem::ServerError;
use crate::plpgsql::conditions::{is_state, keep, states};
use crate::plpgsql::tree::{Condition, Handler, Level, Raise, Sql};

impl<H: Host> Interpreter<'_, H> {
    pub(super) fn raise(&mut self, raise: &Raise, frame: &mut Frame) -> Result<(), H::Halt> {
        if raise.again {
            let Some(error) = frame.handled.clone() else {
                let words = "RAISE without parameters cannot be used outside an exception handler";
                return Err(Problem::rejected("0Z002", words).into());
            };
            return Err(Problem::Rejected(error).into());
        }
        let mut state = raise.condition.as_ref().map(|name| known_state(name)).transpose()?;
        let mut message = match &raise.message {
            Some((format, values)) => Some(self.formatted(raise.level, format, values, frame)?),
            None => None,
        };
        let (mut detail, mut hint) = (None, None);
        for (option, value) in &raise.options {
            let value = self.evaluate(value, frame, None)?;
            let Some(text) = self.shown(&value)? else {
                return Err(Problem::rejected("22004", "RAISE statement option cannot be null").into());
            };
            let twice = match option.as_str() {
                "errcode" => state.replace(known_state(&text)?).is_some(),
                "message" => message.replace(text).is_some(),
                "detail" => detail.replace(text).is_some(),
                "hint" => hint.replace(text).is_some(),
                _ => false,
            };
            if twice {
                let message = format!("RAISE option already specified: {}", option.to_uppercase());
                return Err(Problem::rejected("42601", message).into());
            }
        }
        let sqlstate = state.unwrap_or("P0001");
        let message = message.unwrap_or_else(|| match &raise.condition {
            Some(name) => name.clone(),
            None => sqlstate.to_owned(),
        });
        if raise.level != Level::Exception {
            self.host.say(raise.level, &message);
            return Ok(());
        }
        self.raised = true;
        Err(Problem::Rejected(ServerError { sqlstate, message, detail, hint, position: None }).into())
    }

    /// The format with its parameters; one that can't be written is a question mark in what is only said.
    fn formatted(&mut self, level: Level, format: &str, values: &[Sql], frame: &mut Frame) -> Result<String, H::Halt> {
        let mut text = String::new();
        let mut values = values.iter();
        let mut letters = format.chars().peekable();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                text.push(letter);
            } else if letters.peek() == Some(&'%') {
                letters.next();
                text.push('%');
            } else if let Some(sql) = values.next() {
                match self.parameter(sql, frame) {
                    Ok(shown) => text.push_str(shown.as_deref().unwrap_or("<NULL>")),
                    Err(halt) if level == Level::Exception => return Err(halt),
                    Err(halt) => match self.host.caught(halt) {
                        Ok(error) => return Err(Problem::Rejected(error).into()),
                        Err(_) => text.push('?'),
                    },
                }
            }
        }
        Ok(text)
    }

    fn parameter(&mut self, sql: &Sql, frame: &mut Frame) -> Result<Option<String>, H::Halt> {
        if let Some(fields) = self.named_row(sql, frame) {
            let mut list = Vec::new();
            for (_, value) in &fields {
                list.push(self.shown(value)?.map_or_else(String::new, |text| in_a_row(&text)));
            }
            return Ok(Some(format!("({})", list.join(","))));
        }
        let value = self.evaluate(sql, frame, None)?;
        self.shown(&value)
    }

    pub(super) fn assert(&mut self, condition: &Sql, message: Option<&Sql>, frame: &mut Frame) -> Result<(), H::Halt> {
        if self.holds(condition, frame)? {
            return Ok(());
        }
        let mut words = "assertion failed".to_owned();
        if let Some(message) = message {
            let value = self.evaluate(message, frame, None)?;
            words = self.shown(&value)?.unwrap_or(words);
        }
        self.raised = true;
        Err(Problem::rejected("P0004", words).into())
    }
}

/// A value inside of a row's text.
fn in_a_row(text: &str) -> String {
    let quoted = text.is_empty() || text.contains(|c: char| c.is_whitespace() || "(),\"\\".contains(c));
    if quoted { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\"\"")) } else { text.to_owned() }
}

/// The SQLSTATE of a condition's name, or of a code.
fn known_state(name: &str) -> Result<&'static str, Problem> {
    if is_state(name) {
        return Ok(keep(name));
    }
    states(name)
        .next()
        .ok_or_else(|| Problem::rejected("42704", format!("unrecognized exception condition \"{name}\"")))
}

/// The first handler that takes an error.
pub(super) fn handler<'b>(handlers: &'b [Handler], error: &ServerError) -> Option<&'b Handler> {
    handlers.iter().find(|handler| handler.conditions.iter().any(|condition| catches(condition, error.sqlstate)))
}

fn catches(condition: &Condition, state: &str) -> bool {
    match condition {
        // Neither an interrupt nor an assertion is anybody else's.
        Condition::Others => !["57014", "P0004"].contains(&state),
        Condition::State(wanted) if wanted.ends_with("000") => state.starts_with(&wanted[..2]),
        Condition::State(wanted) => state == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_catch_codes_and_classes() {
        let check = |condition: Condition, state: &str, expected: bool| {
            assert_eq!(catches(&condition, state), expected, "{condition:?} {state}");
        };
        let of = |state: &str| Condition::State(state.to_owned());
        check(of("23505"), "23505", true);
        check(of("23505"), "23503", false);
        check(of("23000"), "23505", true);
        check(Condition::Others, "P0001", true);
        check(Condition::Others, "P0004", false);
        check(of("P0004"), "P0004", true);
    }

    #[test]
    fn values_are_quoted_inside_of_a_row() {
        let check = |text: &str, expected: &str| assert_eq!(in_a_row(text), expected);
        check("a", "a");
        check("", "\"\"");
        check("a b", "\"a b\"");
        check("a\"b", "\"a\"\"b\"");
    }
}
