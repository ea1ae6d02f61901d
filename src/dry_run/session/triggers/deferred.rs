//! Deferred triggers: constraint triggers that run at the end of the transaction.
//!
//! Input: rows that a trigger fires for. Output: the same kept, and the trigger run for them at COMMIT or SET CONSTRAINTS … IMMEDIATE.
//! Invariants: a trigger sees its rows as they were when it was fired, and everything else as it is when it runs; only a function that
//! writes nothing waits, so that what is committed is run again without it. Left out: SET CONSTRAINTS of some constraints by name.

use super::{Fired, Work};
use crate::catalog::{Function, Outcome, Problem};
use crate::dry_run::engine::Ran;
use crate::dry_run::report::StatementReport;
use crate::dry_run::session::Session;
use crate::dry_run::session::transaction::Block;
use crate::migration::Statement;
use crate::plpgsql::run::is_interpreted;
use crate::translate::Named;

/// Words of a body that may do something.
const DOING: &[&str] = &[
    "insert",
    "update",
    "delete",
    "merge",
    "truncate",
    "create",
    "alter",
    "drop",
    "execute",
    "perform",
    "call",
    "copy",
    "nextval",
    "setval",
    "set_config",
    "lock",
    "notify",
];

/// A trigger that waits, with the rows that it was fired for.
#[derive(Clone)]
pub(in crate::dry_run::session) struct Waiting {
    function: Function,
    calls: Vec<Vec<Named>>,
    statement: Statement,
}

impl Session<'_> {
    /// Does a trigger wait for the end of the transaction?
    pub(super) fn is_put_off(&self, trigger: &Fired) -> bool {
        let statement = &trigger.statement;
        statement.isconstraint && (statement.initdeferred || (statement.deferrable && self.catalog.defers()))
    }

    /// Keeps a trigger's calls for later; where no transaction is open, its statement is the last of its own.
    pub(super) fn put_off(
        &mut self,
        trigger: &Fired,
        function: Function,
        calls: Vec<Vec<Named>>,
        work: &Work,
        statement: &Statement,
        report: &mut StatementReport,
    ) -> Ran<()> {
        self.expect_only_checks(trigger, &function)?;
        // What was committed has been checked.
        if self.replaying {
            return Ok(());
        }
        if self.block == Block::None {
            if self.bodies > 1 {
                let what = format!("the trigger {}, which waits for the end of a body's statement,", trigger.name);
                return Err(Problem::unsupported(what).into());
            }
            return self.run_function(&function, calls, statement, report).map(|_| ());
        }
        self.pending.insert(work.table, true);
        self.waiting.push(Waiting { function, calls, statement: statement.clone() });
        Ok(())
    }

    /// Runs the triggers that wait.
    pub(in crate::dry_run::session) fn run_waiting(&mut self, report: &mut StatementReport) -> Ran<()> {
        for waiting in std::mem::take(&mut self.waiting) {
            self.bodies += 1;
            let ran = self.run_function(&waiting.function, waiting.calls, &waiting.statement, report);
            self.bodies -= 1;
            ran?;
        }
        Ok(())
    }

    fn expect_only_checks(&self, trigger: &Fired, function: &Function) -> Outcome<()> {
        let body = function.definition.as_ref().and_then(|definition| definition.body.as_deref()).unwrap_or_default();
        let body = body.to_lowercase();
        let words: Vec<&str> = body.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let own = |name: &str| self.catalog.functions.iter().any(|f| is_interpreted(f) && f.name == name);
        match words.iter().any(|word| DOING.contains(word) || own(word)) {
            true => Err(Problem::unsupported(format!(
                "the trigger {}, which is deferred and does more than to look,",
                trigger.name
            ))),
            false => Ok(()),
        }
    }
}
