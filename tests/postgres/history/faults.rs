//! Histories with faults: statements left out, sent twice, swapped, or with one name changed.
//!
//! Input: a migration's texts and a seed. Output: the same statements, one a text, some of them broken. Invariant: the same seed breaks
//! the same statements. What the server then rejects must be rejected here with the same SQLSTATE.

use pg_query::NodeEnum;
use pg_query::protobuf::{KeywordKind, Token};
use rehearsal::migration::{Migration, Statement};

use crate::generated::dice::Dice;

/// Statements of a hundred that are broken.
const BROKEN: usize = 12;

/// How what the server rejected fared here.
#[derive(Debug, Default, Clone, Copy)]
pub struct Rejections {
    /// Statements that the server rejects.
    pub all: usize,
    /// Those rejected here with the same SQLSTATE.
    pub alike: usize,
}

/// The statements of a migration, each as a text of its own with the name of its file and line, some of them broken.
pub fn broken(migration: &Migration, seed: u64) -> Vec<(String, String)> {
    let mut dice = Dice::new(seed);
    let mut texts: Vec<(String, String)> = Vec::new();
    let is_control = |statement: &&Statement| matches!(statement.node, NodeEnum::TransactionStmt(_));
    for statement in migration.statements.iter().filter(|statement| !is_control(statement)) {
        let named = |what: &str| format!("{}{what}", migration.spot(statement));
        let sql = statement.sql.clone();
        if !dice.percent(BROKEN) {
            texts.push((named(""), sql));
            continue;
        }
        match dice.below(4) {
            0 => {}
            1 => texts.extend([(named(""), sql.clone()), (named(" again"), sql)]),
            2 => texts.push((named(" renamed"), renamed(&sql, &mut dice))),
            _ => {
                let last = texts.pop();
                texts.push((named(" before"), sql));
                texts.extend(last);
            }
        }
    }
    texts
}

/// The statement with one of its names changed.
fn renamed(sql: &str, dice: &mut Dice) -> String {
    let tokens = pg_query::scan(sql).map(|scanned| scanned.tokens).unwrap_or_default();
    let names: Vec<(usize, usize)> = tokens
        .iter()
        .filter(|token| token.token() == Token::Ident && token.keyword_kind() == KeywordKind::NoKeyword)
        .filter_map(|token| Some((usize::try_from(token.start).ok()?, usize::try_from(token.end).ok()?)))
        .collect();
    if names.is_empty() {
        return sql.to_owned();
    }
    let (_, end) = dice.of(&names);
    let at = if sql[..end].ends_with('"') { end - 1 } else { end };
    format!("{}_x{}", &sql[..at], &sql[at..])
}
