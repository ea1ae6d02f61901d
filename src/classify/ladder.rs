//! Ladders: ordered rules that give each row a category.
//!
//! Input: a TOML file, or one of the built-in ladders. Output: [`Ladder`] with its predicates read.
//! Invariants: at least one rule; ids are unique; unknown keys are refused. A ladder is the same thing as UPDATE statements run
//! in order: `always` writes whatever stood there (the last writer wins), `unset` writes only where no earlier rule has.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::predicate::Predicate;
use crate::query::{quote_identifier, quote_literal};
use crate::snapshot::suggestion;
use crate::ui::hinted;

/// The built-in ladders by name.
const BUILTIN: &[(&str, &str)] =
    &[("backfill", include_str!("ladders/backfill.toml")), ("runtime", include_str!("ladders/runtime.toml"))];

/// Ordered rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Ladder {
    /// Its name.
    pub name: String,
    /// Column it writes.
    pub category_column: String,
    /// The rules in the order they run.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Unique in its ladder.
    pub id: String,
    /// What it writes.
    pub category: String,
    /// Which rows it matches.
    pub when: Predicate,
    /// Whether it may overwrite.
    pub guard: Guard,
    /// What its author says of it.
    pub comment: Option<String>,
}

/// May a rule overwrite what an earlier one wrote?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Guard {
    /// It writes whatever stood there.
    Always,
    /// It writes only where nothing stands.
    Unset,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LadderFile {
    name: Option<String>,
    #[serde(rename = "description")]
    _description: Option<String>,
    category_column: Option<String>,
    rule: Vec<RuleFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    id: String,
    category: String,
    when: String,
    guard: Guard,
    comment: Option<String>,
}

impl Ladder {
    /// A built-in ladder by its name, or the ladder in a file.
    ///
    /// # Errors
    /// No such ladder; or the file can't be read or isn't valid, with the place.
    pub fn load(name: &str) -> Result<Ladder> {
        if let Some((name, text)) = BUILTIN.iter().find(|(builtin, _)| *builtin == name) {
            return Ladder::parse(text, name);
        }
        let text = std::fs::read_to_string(name).map_err(|error| {
            let names: Vec<&str> = BUILTIN.iter().map(|(name, _)| *name).collect();
            let known = format!("built-in ladders: {}; anything else is the path of a TOML file", names.join(", "));
            let hint = suggestion(name, &names).map_or(known.clone(), |near| format!("{near} {known}"));
            hinted(anyhow!(error).context(format!("reading the ladder {name}")), hint)
        })?;
        Ladder::parse(&text, name)
    }

    /// Reads a ladder's text; `origin` is for messages, and its name where it says none.
    ///
    /// # Errors
    /// Not valid TOML, an unknown key, two rules of one id, no rule, or a predicate that can't be read.
    pub fn parse(text: &str, origin: &str) -> Result<Ladder> {
        let file: LadderFile = toml::from_str(text).with_context(|| format!("the ladder {origin} isn't valid"))?;
        if file.rule.is_empty() {
            bail!("the ladder {origin} has no rule");
        }
        let mut rules: Vec<Rule> = Vec::with_capacity(file.rule.len());
        for (index, rule) in file.rule.into_iter().enumerate() {
            if let Some(first) = rules.iter().position(|r| r.id == rule.id) {
                return Err(hinted(
                    anyhow!(
                        "the ladder {origin} has two rules with the id {} (rules {} and {})",
                        rule.id,
                        first + 1,
                        index + 1
                    ),
                    "give each rule an id of its own: reports name rules by it",
                ));
            }
            let when = Predicate::parse(&rule.when)
                .with_context(|| format!("rule {} of the ladder {origin}: `when` can't be read", rule.id))?;
            rules.push(Rule { id: rule.id, category: rule.category, when, guard: rule.guard, comment: rule.comment });
        }
        let stem = Path::new(origin).file_stem().and_then(|s| s.to_str()).unwrap_or(origin);
        Ok(Ladder {
            name: file.name.unwrap_or_else(|| stem.to_owned()),
            category_column: file.category_column.unwrap_or_else(|| "category".to_owned()),
            rules,
        })
    }

    /// Columns its predicates read, sorted.
    pub fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> =
            self.rules.iter().flat_map(|r| r.when.columns.iter().map(String::as_str)).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Is the last rule one that takes every row nobody took?
    pub fn fallback(&self) -> Option<usize> {
        let last = self.rules.len() - 1;
        (self.rules[last].guard == Guard::Unset && self.rules[last].when.duckdb_sql.eq_ignore_ascii_case("true"))
            .then_some(last)
    }

    /// DuckDB SQL for the index of the rule that decides a row, or NULL; `guard` may differ from the rules' own (what if?).
    ///
    /// This is the ladder read as a function of the row; the UPDATE statements are the same ladder read as a program.
    pub fn winner_sql(&self, guard: impl Fn(usize) -> Guard) -> String {
        self.rules.iter().enumerate().fold("NULL::INTEGER".to_owned(), |earlier, (index, rule)| {
            let when = &rule.when.duckdb_sql;
            match guard(index) {
                Guard::Always => format!("CASE WHEN {when} THEN {index} ELSE {earlier} END"),
                Guard::Unset => format!("coalesce({earlier}, CASE WHEN {when} THEN {index} END)"),
            }
        })
    }

    /// DuckDB SQL that turns a rule's index into `of` that rule.
    pub fn label_sql(&self, index_sql: &str, of: impl Fn(&Rule) -> &str) -> String {
        let arms: Vec<String> = self
            .rules
            .iter()
            .enumerate()
            .map(|(index, rule)| format!("WHEN {index} THEN {}", quote_literal(of(rule))))
            .collect();
        format!("CASE {index_sql} {} END", arms.join(" "))
    }

    /// The UPDATE statement a migration would hold for a rule, in PostgreSQL's words.
    pub fn update_sql(&self, rule: &Rule, table: &str) -> String {
        let column = quote_identifier(&self.category_column);
        let condition = match (rule.guard, rule.when.duckdb_sql.as_str()) {
            (Guard::Always, "true") => String::new(),
            (Guard::Always, _) => format!(" WHERE {}", rule.when.source),
            (Guard::Unset, "true") => format!(" WHERE {column} IS NULL"),
            (Guard::Unset, _) => format!(" WHERE ({}) AND {column} IS NULL", rule.when.source),
        };
        format!("UPDATE {} SET {column} = {}{condition}", quote_identifier(table), quote_literal(&rule.category))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "[[rule]]\nid='a'\ncategory='A'\nwhen='x = 1'\nguard='always'\n[[rule]]\nid='b'\ncategory='B'\nwhen='true'\nguard='unset'\n";

    fn check_error(text: &str, expected: &str) {
        let error = format!("{:#}", Ladder::parse(text, "L.toml").expect_err(text));
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn the_builtin_ladders_are_valid() {
        for (name, _) in BUILTIN {
            let ladder = Ladder::load(name).expect("valid");
            assert_eq!(ladder.name, *name);
            assert!(ladder.fallback().is_some());
        }
    }

    #[test]
    fn a_ladder_is_a_program_of_updates() {
        let ladder = Ladder::parse(TWO, "L.toml").expect("valid");
        assert_eq!(ladder.update_sql(&ladder.rules[0], "t"), "UPDATE \"t\" SET \"category\" = 'A' WHERE x = 1");
        assert_eq!(
            ladder.update_sql(&ladder.rules[1], "t"),
            "UPDATE \"t\" SET \"category\" = 'B' WHERE \"category\" IS NULL"
        );
        assert_eq!(
            ladder.winner_sql(|i| ladder.rules[i].guard),
            "coalesce(CASE WHEN x = 1 THEN 0 ELSE NULL::INTEGER END, CASE WHEN true THEN 1 END)"
        );
    }

    #[test]
    fn defects_are_named() {
        check_error(&TWO.replace("id='b'", "id='a'"), "two rules with the id a (rules 1 and 2)");
        check_error(&TWO.replace("guard='unset'", "guard='never'"), "unknown variant `never`");
        check_error(&TWO.replace("when='true'", "if='true'"), "unknown field `if`");
        check_error(&TWO.replace("x = 1", "x = = 1"), "rule a of the ladder L.toml");
        check_error("rule = []", "no rule");
    }
}
