//! DDL: what does a statement that defines something do to the catalog, and what does it ask of the rows?
//!
//! Input: a statement's parse tree. Output: [`Applied`], with the catalog as the statement leaves it, or the server's error with the
//! catalog as it was. Invariants: nothing is half applied; a form that isn't read to its last word is refused by name. Left out:
//! expressions, which the translator binds, and rows, which the effects are carried out on.

mod alter;
mod attachments;
mod callers;
mod columns;
mod composites;
mod constraints;
mod conversions;
mod dependencies;
mod domains;
mod drops;
mod enums;
mod foreign_keys;
mod indexes;
mod keys;
mod languages;
mod likes;
mod partitions;
mod policies;
mod reads;
mod records;
mod relocations;
mod renames;
mod routine_names;
mod routines;
mod rules;
mod sequences;
mod tables;
mod views;
mod whole;

use pg_query::NodeEnum;
use pg_query::protobuf::{DropBehavior, Node, ObjectType};

use super::{Catalog, Effect, Oid, Outcome, Problem};

pub(crate) use attachments::partition_command;
pub(super) use columns::nextval_sequence;
pub(super) use foreign_keys::action as referential_action;
pub(super) use indexes::read_index;
pub use tables::table_query;

/// Where in a transaction a statement stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransactionState {
    /// In a transaction block, or in a file that is sent as one.
    pub in_block: bool,
}

/// A statement that the catalog took.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// The command tag.
    pub kind: String,
    /// What is to be done to rows, in order.
    pub effects: Vec<Effect>,
    /// The table it is about.
    pub table: Option<Oid>,
    /// What the server says beside, and what can't be told here, in whole sentences.
    pub notes: Vec<String>,
}

/// A statement being applied: the catalog it works on is thrown away if it fails.
struct Change {
    catalog: Catalog,
    in_block: bool,
    effects: Vec<Effect>,
    notes: Vec<String>,
    table: Option<Oid>,
}

impl Catalog {
    /// Applies a statement. `None` for those that aren't DDL: queries, writes, transaction control, and CREATE TABLE AS with its
    /// kin, whose columns only the translator knows (see [`Catalog::create_table_as`]).
    ///
    /// # Errors
    /// What the server would say, or what can't be told here. The catalog is then as it was.
    pub fn apply(&mut self, node: &NodeEnum, transaction: &TransactionState) -> Outcome<Option<Applied>> {
        self.change(transaction, |change| change.apply(node))
    }

    fn change(
        &mut self,
        transaction: &TransactionState,
        run: impl FnOnce(&mut Change) -> Outcome<Option<String>>,
    ) -> Outcome<Option<Applied>> {
        let mut change = Change {
            catalog: self.clone(),
            in_block: transaction.in_block,
            effects: vec![],
            notes: vec![],
            table: None,
        };
        let Some(kind) = run(&mut change)? else { return Ok(None) };
        change.catalog.settle_rows();
        *self = change.catalog;
        Ok(Some(Applied { kind, effects: change.effects, table: change.table, notes: change.notes }))
    }
}

impl Change {
    /// Applies a statement; returns its command tag.
    fn apply(&mut self, node: &NodeEnum) -> Outcome<Option<String>> {
        let tag = match node {
            NodeEnum::SelectStmt(_)
            | NodeEnum::InsertStmt(_)
            | NodeEnum::UpdateStmt(_)
            | NodeEnum::DeleteStmt(_)
            | NodeEnum::MergeStmt(_)
            | NodeEnum::TransactionStmt(_) => return Ok(None),
            NodeEnum::CreateTableAsStmt(_) => return Ok(None),
            NodeEnum::CreateStmt(statement) => self.create_table(statement)?,
            NodeEnum::AlterTableStmt(statement) => self.alter_table(statement)?,
            NodeEnum::IndexStmt(statement) => {
                self.expect_no_key_of_partition(statement)?;
                self.create_index(statement)?
            }
            NodeEnum::CreateEnumStmt(statement) => self.create_enum(statement)?,
            NodeEnum::AlterEnumStmt(statement) => self.alter_enum(statement)?,
            NodeEnum::CompositeTypeStmt(statement) => self.create_composite(statement)?,
            NodeEnum::RuleStmt(statement) => self.create_rule(statement)?,
            NodeEnum::CreateDomainStmt(statement) => self.create_domain(statement)?,
            NodeEnum::AlterDomainStmt(statement) => self.alter_domain(statement)?,
            NodeEnum::DropStmt(statement) => self.drop(statement)?,
            NodeEnum::RenameStmt(statement) => self.rename(statement)?,
            NodeEnum::TruncateStmt(statement) => self.truncate(statement)?,
            NodeEnum::CreateSeqStmt(statement) => self.create_sequence(statement)?,
            NodeEnum::AlterSeqStmt(statement) => self.alter_sequence(statement)?,
            NodeEnum::ViewStmt(statement) => self.create_view(statement, None)?,
            NodeEnum::RefreshMatViewStmt(statement) => self.refresh(statement)?,
            NodeEnum::AlterObjectSchemaStmt(statement) => self.set_schema(statement)?,
            _ => return self.record(node).map(Some),
        };
        Ok(Some(tag.to_owned()))
    }

    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Asks something of a table's rows; a table made by this very statement has none.
    fn demand(&mut self, table: Oid, effect: Effect) {
        let is_new = self.effects.iter().any(|effect| matches!(effect, Effect::CreateTable(new) if *new == table));
        if !is_new {
            self.effects.push(effect);
        }
    }

    /// 25001, inside a transaction block.
    fn expect_no_block(&self, command: &str) -> Outcome<()> {
        if self.in_block {
            return Err(Problem::rejected("25001", format!("{command} cannot run inside a transaction block"))
                .hint("a file is sent as one transaction: put the statement into a file of its own"));
        }
        Ok(())
    }
}

fn is_cascade(behavior: i32) -> bool {
    behavior == DropBehavior::DropCascade as i32
}

fn object_type(number: i32) -> ObjectType {
    ObjectType::try_from(number).unwrap_or(ObjectType::Undefined)
}

/// Schema and name out of a list of name nodes.
fn qualified(names: &[Node]) -> Outcome<(Option<String>, String)> {
    let mut names = super::tree::strings(names);
    let name = names.pop().ok_or_else(|| Problem::unsupported("a statement without a name"))?;
    let schema = names.pop();
    match names.pop() {
        // A database before the schema can only be this one.
        Some(_) => Err(Problem::unsupported(format!("the name {name} with its database"))),
        None => Ok((schema, name)),
    }
}

/// The same, of a node that holds such a list.
fn qualified_list(node: &Node) -> Outcome<(Option<String>, String)> {
    match &node.node {
        Some(NodeEnum::List(list)) => qualified(&list.items),
        Some(NodeEnum::TypeName(name)) => qualified(&name.names),
        Some(NodeEnum::ObjectWithArgs(object)) => qualified(&object.objname),
        Some(NodeEnum::String(name)) => Ok((None, name.sval.clone())),
        _ => Err(Problem::unsupported("a name of this form")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(sql: &str) -> Vec<NodeEnum> {
        let parsed = pg_query::parse(sql, 0).expect(sql).protobuf;
        parsed.stmts.into_iter().filter_map(|statement| statement.stmt?.node).collect()
    }

    /// Runs statements in one transaction; what the last one came to.
    fn run(catalog: &mut Catalog, sql: &str, in_block: bool) -> Outcome<Option<Applied>> {
        let mut last = Ok(None);
        for node in parsed(sql) {
            last = catalog.apply(&node, &TransactionState { in_block });
        }
        last
    }

    fn check(setup: &str, sql: &str, expected: &str) {
        let mut catalog = Catalog::empty();
        run(&mut catalog, setup, false).expect(setup);
        catalog.commit_transaction();
        let shown = match run(&mut catalog, sql, true) {
            Ok(Some(applied)) => {
                let kinds = applied.effects.iter().map(|effect| {
                    let text = format!("{effect:?}");
                    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
                });
                format!("{}: {}", applied.kind, kinds.collect::<Vec<_>>().join(" "))
            }
            Ok(None) => "not DDL".to_owned(),
            Err(problem) => problem.to_string(),
        };
        assert_eq!(shown, expected, "{sql}");
    }

    #[test]
    fn effects_come_in_the_servers_order() {
        let setup = "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, a text, b int)";
        check(
            setup,
            "ALTER TABLE t ADD UNIQUE (c), ADD c int NOT NULL DEFAULT 1 REFERENCES p, ALTER a TYPE varchar(3), DROP b",
            "ALTER TABLE: DropColumn ConvertColumn AddColumn VerifyNotNull VerifyUnique VerifyConstraint",
        );
        check(
            setup,
            "ALTER TABLE t ALTER a SET NOT NULL, ADD CHECK (b > 0)",
            "ALTER TABLE: VerifyNotNull VerifyConstraint",
        );
        check(setup, "ALTER TABLE t ADD CHECK (b > 0) NOT VALID", "ALTER TABLE: ");
        check(setup, "ALTER TABLE t ALTER id TYPE bigint", "ALTER TABLE: ConvertColumn VerifyNotNull VerifyUnique");
        check(setup, "CREATE UNIQUE INDEX ON t (a)", "CREATE INDEX: VerifyUnique");
        check(setup, "CREATE TABLE u (a int UNIQUE, b int REFERENCES t)", "CREATE TABLE: CreateTable");
        check(setup, "DROP TABLE t", "DROP TABLE: DropTable");
        check(setup, "SELECT 1", "not DDL");
    }

    #[test]
    fn some_commands_need_a_transaction_of_their_own() {
        let refused = |command: &str| format!("{command} cannot run inside a transaction block (25001)");
        let setup = "CREATE TABLE t (a int); CREATE INDEX i ON t (a)";
        check(setup, "CREATE INDEX CONCURRENTLY ON t (a)", &refused("CREATE INDEX CONCURRENTLY"));
        check(setup, "DROP INDEX CONCURRENTLY i", &refused("DROP INDEX CONCURRENTLY"));
        check(setup, "VACUUM t", &refused("VACUUM"));
        check(setup, "LOCK TABLE t", "LOCK TABLE: ");
    }

    #[test]
    fn what_is_not_read_is_refused_by_name() {
        check(
            "",
            "CREATE TABLE t (a int) PARTITION BY LIST ((a + 1))",
            "a table partitioned by an expression can't be rehearsed",
        );
        check("", "DO 'BEGIN END'", "a DO block can't be rehearsed");
    }

    #[test]
    fn new_labels_are_marked_until_they_are_committed() {
        let labels = |sql: &str, in_block: bool| {
            let mut catalog = Catalog::empty();
            run(&mut catalog, "CREATE TYPE e AS ENUM ('a')", false).expect("a type");
            catalog.commit_transaction();
            run(&mut catalog, sql, in_block).expect(sql);
            let marked: Vec<String> = catalog.enums.values().flat_map(|ty| ty.uncommitted.clone()).collect();
            catalog.commit_transaction();
            assert!(catalog.enums.values().all(|ty| ty.uncommitted.is_empty()));
            marked
        };
        assert_eq!(labels("ALTER TYPE e ADD VALUE 'b'", true), ["b"]);
        assert_eq!(labels("ALTER TYPE e ADD VALUE 'b'; ALTER TYPE e RENAME VALUE 'b' TO 'c'", true), ["c"]);
        let on_new_type = "CREATE TYPE f AS ENUM (); ALTER TYPE f ADD VALUE 'b'";
        assert_eq!(labels(on_new_type, true), ["b"]);
        // From PostgreSQL 17 on, not where the type itself is new.
        let mut catalog = Catalog { new_enums_are_open: true, ..Catalog::empty() };
        run(&mut catalog, on_new_type, true).expect(on_new_type);
        assert!(catalog.enums.values().all(|ty| ty.uncommitted.is_empty()));
        // The statement is a transaction of its own.
        assert!(labels("ALTER TYPE e ADD VALUE 'b'", false).is_empty());
    }

    #[test]
    fn queries_keep_their_meaning_when_tables_are_renamed() {
        let mut catalog = Catalog::empty();
        let setup = "CREATE TABLE t (id int, a int, b int); CREATE VIEW v AS SELECT a, t.b FROM t WHERE id > 0";
        run(&mut catalog, setup, false).expect(setup);
        let sql = "ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME id TO a";
        run(&mut catalog, sql, false).expect(sql);
        let view = catalog.views.values().next().expect("the view");
        assert_eq!(view.query.sql, "SELECT a, t.b FROM public.u t(id, a, b) WHERE id > 0");
        let read: Vec<_> = catalog.dependencies(&view.query.node).into_values().flatten().collect();
        assert_eq!(read, [1, 2, 3]);
    }
}
