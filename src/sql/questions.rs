//! Named questions: what an owner of such a log asks again and again, ready to run by name.
//!
//! Input: the registered files under `queries/duckdb/sql/`, and `name=value` parameters. Output: [`Question`] with its header
//! read, and bound values. Invariants: the header is the whole declaration (parameters with types and defaults, columns, order,
//! columns needed); a parameter is bound, never pasted; what is missing, unknown or badly typed is refused by name.

use anyhow::{Result, anyhow, bail};
use duckdb::types::Value;
use serde::Serialize;

use crate::query::{self, Query};
use crate::report::{Block, Finding, Report, Table, View};
use crate::snapshot::suggestion;
use crate::ui::hinted;

const FOLDER: &str = "duckdb/sql/";

/// A named question.
#[derive(Debug, Clone, Serialize)]
pub struct Question {
    /// What `--named` takes.
    pub name: &'static str,
    /// What it answers.
    pub title: &'static str,
    /// How it is meant, where the title leaves that open.
    pub about: Option<&'static str>,
    /// Its parameters.
    pub params: Vec<Param>,
    /// Its columns, in order.
    pub returns: Vec<&'static str>,
    /// The columns of `log` it reads and can't do without.
    pub needs: Vec<&'static str>,
    /// Its file.
    #[serde(skip)]
    pub query: &'static Query,
}

/// A parameter of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Param {
    /// Its name, without `$`.
    pub name: &'static str,
    /// `uuid`, `integer` (not negative) or `text`.
    #[serde(rename = "type")]
    pub type_name: &'static str,
    /// What it is when not given; absent where it must be given.
    pub default: Option<&'static str>,
}

/// All questions, by name.
pub fn all() -> Vec<Question> {
    let mut questions: Vec<Question> = query::ALL.iter().filter_map(Question::read).collect();
    questions.sort_by_key(|q| q.name);
    questions
}

/// The question of this name.
///
/// # Errors
/// There is none; the hint has the nearest.
pub fn find(name: &str) -> Result<Question> {
    let questions = all();
    let names: Vec<&str> = questions.iter().map(|q| q.name).collect();
    let hint = suggestion(name, &names).unwrap_or_else(|| format!("--list shows them: {}", names.join(", ")));
    questions
        .into_iter()
        .find(|q| q.name == name)
        .ok_or_else(|| hinted(anyhow!("there is no question named {name}"), hint))
}

impl Question {
    fn read(query: &'static Query) -> Option<Question> {
        let list = |field: &str| -> Vec<&'static str> {
            let text = query.header(field).filter(|text| *text != "none").unwrap_or_default();
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
        };
        let params = query.header("params").filter(|text| *text != "none").unwrap_or_default();
        Some(Question {
            name: query.path.strip_prefix(FOLDER)?,
            title: query.title(),
            about: query.header("about"),
            params: params.split(';').filter_map(Param::read).collect(),
            returns: list("returns"),
            needs: list("needs"),
            query,
        })
    }

    /// Reads `name=value` pairs into values to bind, in the order of the declaration.
    ///
    /// # Errors
    /// A pair without `=`, a name that isn't declared or comes twice, a value of another type, a parameter left out.
    pub fn bind(&self, pairs: &[String]) -> Result<Vec<(&'static str, Value)>> {
        let mut given: Vec<(&str, &str)> = Vec::new();
        for pair in pairs {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(self.refuse(format!("parameter {pair} has no value: write NAME=VALUE")));
            };
            if !self.params.iter().any(|p| p.name == name) {
                return Err(self.refuse(format!("{} has no parameter {name}", self.name)));
            }
            if given.iter().any(|(known, _)| *known == name) {
                return Err(self.refuse(format!("parameter {name} is given twice")));
            }
            given.push((name, value));
        }
        self.params
            .iter()
            .map(|param| {
                let value = given.iter().find(|(name, _)| *name == param.name).map(|(_, value)| *value);
                let value = value
                    .or(param.default)
                    .ok_or_else(|| self.refuse(format!("{} needs the parameter {}", self.name, param.name)))?;
                Ok((param.name, param.value(value).map_err(|error| self.refuse(error.to_string()))?))
            })
            .collect()
    }

    fn refuse(&self, message: String) -> anyhow::Error {
        let declared: Vec<String> = self.params.iter().map(Param::declaration).collect();
        let hint = match declared.as_slice() {
            [] => format!("{} takes no parameters", self.name),
            declared => format!("its parameters: {}", declared.join("; ")),
        };
        hinted(anyhow!(message), hint)
    }
}

impl Param {
    /// `limit integer = 20`
    fn read(text: &'static str) -> Option<Param> {
        let (declared, default) = match text.split_once('=') {
            Some((declared, default)) => (declared, Some(default.trim())),
            None => (text, None),
        };
        let (name, type_name) = declared.trim().split_once(' ')?;
        Some(Param { name, type_name: type_name.trim(), default })
    }

    /// As `--list` shows it.
    pub fn declaration(&self) -> String {
        match self.default {
            Some(default) => format!("{}={default}", self.name),
            None => format!("{}=<{}>", self.name, self.type_name),
        }
    }

    fn value(&self, text: &str) -> Result<Value> {
        let expected = match self.type_name {
            "uuid" => match uuid::Uuid::parse_str(text.trim()) {
                Ok(uuid) => return Ok(Value::Text(uuid.to_string())),
                Err(_) => "a UUID, e.g. 574a2587-8931-4d20-b19b-477d63300319",
            },
            "integer" => match text.trim().parse::<i64>() {
                Ok(number) if number >= 0 => return Ok(Value::BigInt(number)),
                _ => "a whole number, 0 or more",
            },
            _ => return Ok(Value::Text(text.to_owned())),
        };
        bail!("parameter {}: {text:?} isn't {expected}", self.name)
    }
}

/// `--list`
#[derive(Debug, Serialize)]
pub struct QuestionList {
    /// All questions, by name.
    pub questions: Vec<Question>,
}

impl Report for QuestionList {
    fn name(&self) -> &'static str {
        "sql"
    }

    fn findings(&self) -> &[Finding] {
        &[]
    }

    fn result(&self) -> Result<serde_json::Value> {
        Ok(serde_json::to_value(self)?)
    }

    fn view(&self) -> View {
        let mut table = Table::new("", &["name", "answers", "parameters"]);
        for question in &self.questions {
            let params: Vec<String> = question.params.iter().map(Param::declaration).collect();
            table.push(vec![question.name.into(), question.title.into(), params.join(" ").into()]);
        }
        View {
            title: format!("{} named questions", self.questions.len()),
            headline: vec![
                "Run one with --named NAME, its parameters with --param NAME=VALUE; --explain prints its SQL."
                    .to_owned(),
            ],
            blocks: vec![Block::Table(table)],
        }
    }
}

/// `--explain`
#[derive(Debug, Serialize)]
pub struct QuestionText {
    /// The question.
    #[serde(flatten)]
    pub question: Question,
    /// Its SQL, header included.
    pub sql: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_is_read() {
        let questions = all();
        assert!(questions.len() >= 13, "{}", questions.len());
        for question in &questions {
            assert!(!question.returns.is_empty() && !question.needs.is_empty(), "{}", question.name);
            for param in &question.params {
                assert!(["uuid", "integer", "text"].contains(&param.type_name), "{}: {param:?}", question.name);
                if let Some(default) = param.default {
                    param.value(default).expect(question.name);
                }
            }
        }
    }

    #[test]
    fn parameters_are_checked_by_name_and_type() {
        let question = find("timeline").expect("registered");
        let check = |pairs: &[&str], expected: &str| {
            let pairs: Vec<String> = pairs.iter().map(|p| (*p).to_owned()).collect();
            let error = question.bind(&pairs).expect_err(expected);
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(&[], "needs the parameter entity");
        check(&["entity"], "has no value");
        check(&["album=x"], "no parameter album");
        check(&["entity=x"], "isn't a UUID");
        let id = "entity=574A2587-8931-4d20-b19b-477d63300319";
        check(&[id, id], "given twice");
        let bound = question.bind(&[id.to_owned()]).expect("a UUID");
        assert_eq!(bound, [("entity", Value::Text("574a2587-8931-4d20-b19b-477d63300319".into()))]);
    }

    #[test]
    fn a_default_stands_in() {
        let question = find("busiest-jobs").expect("registered");
        assert_eq!(question.bind(&[]).expect("defaults"), [("limit", Value::BigInt(20))]);
        assert!(question.bind(&["limit=-1".to_owned()]).is_err());
    }
}
