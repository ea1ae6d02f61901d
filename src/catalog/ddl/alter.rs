//! ALTER TABLE: what do its parts do, and in which order?
//!
//! Input: the parser's statement. Output: the table as its parts leave it. Invariant: the parts run in the server's passes, not as
//! written: drops first, then types, new columns, NOT NULL, keys, other constraints, the rest (src/backend/commands/tablecmds.c).
//! Left out: inheritance and partitions, which are refused; storage and statistics, which change no row.

use pg_query::NodeEnum;
use pg_query::protobuf::{self, AlterTableCmd, AlterTableStmt, AlterTableType, ConstrType, ObjectType};

use super::columns::{default_expression, expect_identity_type, identity};
use super::dependencies::Object;
use super::tables::named;
use super::{Change, is_cascade, object_type};
use crate::catalog::lookup::schema_of;
use crate::catalog::{AttNum, Effect, Oid, Outcome, Problem, RelationKind, Type};

/// The order of the server's passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pass {
    Drop,
    AlterType,
    AddColumn,
    ColumnAttributes,
    AddIndexConstraint,
    AddIndex,
    AddOtherConstraint,
    Rest,
}

const PASSES: [Pass; 8] = [
    Pass::Drop,
    Pass::AlterType,
    Pass::AddColumn,
    Pass::ColumnAttributes,
    Pass::AddIndexConstraint,
    Pass::AddIndex,
    Pass::AddOtherConstraint,
    Pass::Rest,
];

/// One part of the statement, or what a new column's definition leaves for a later pass.
enum Part<'a> {
    Command(&'a AlterTableCmd),
    Constraint(Box<protobuf::Constraint>),
}

impl Change {
    pub(super) fn alter_table(&mut self, statement: &AlterTableStmt) -> Outcome<&'static str> {
        self.alter_any(statement, false)
    }

    /// The same of a partition, because of what happens to its table.
    pub(super) fn alter_mirrored(&mut self, statement: &AlterTableStmt) -> Outcome<&'static str> {
        self.alter_any(statement, true)
    }

    fn alter_any(&mut self, statement: &AlterTableStmt, mirrored: bool) -> Outcome<&'static str> {
        let tag = match object_type(statement.objtype) {
            ObjectType::ObjectType => return self.alter_composite(statement),
            ObjectType::ObjectTable => "ALTER TABLE",
            ObjectType::ObjectMatview => "ALTER MATERIALIZED VIEW",
            ObjectType::ObjectView => "ALTER VIEW",
            ObjectType::ObjectIndex => "ALTER INDEX",
            ObjectType::ObjectSequence => "ALTER SEQUENCE",
            other => return Err(Problem::unsupported(format!("ALTER of {}", super::records::object_words(other)))),
        };
        let relation = named(statement.relation.as_ref())?;
        let schema = schema_of(relation);
        let (kind, table) = match self.catalog.find_relation(schema, &relation.relname) {
            Some(found) => found,
            None if statement.missing_ok => {
                self.note(format!("relation \"{}\" does not exist, skipping", relation.relname));
                return Ok(tag);
            }
            None => return Err(self.catalog.missing_named(schema, &relation.relname).at(relation.location)),
        };
        if kind == RelationKind::Table {
            if self.change_partition(table, statement)? {
                return Ok(tag);
            }
            self.expect_alterable(table, statement, mirrored)?;
        }
        let mut parts: Vec<(Pass, Part<'_>)> = Vec::new();
        for node in &statement.cmds {
            let Some(NodeEnum::AlterTableCmd(command)) = &node.node else { continue };
            if matches!(kind, RelationKind::Table) {
                parts.push((pass(command)?, Part::Command(command)));
            } else {
                self.alter_other(kind, &relation.relname, command)?;
            }
        }
        if !parts.is_empty() {
            self.table = Some(table);
        }
        for pass in PASSES {
            let mut index = 0;
            // A part may add to the passes after its own.
            while index < parts.len() {
                if parts[index].0 == pass {
                    let later = self.alter_part(table, &parts[index].1)?;
                    parts.extend(later.into_iter().map(|c| (constraint_pass(&c), Part::Constraint(Box::new(c)))));
                }
                index += 1;
            }
        }
        self.alter_partitions(table, statement)?;
        Ok(tag)
    }

    /// Views, indexes and sequences: what leaves rows alone is recorded.
    fn alter_other(&mut self, kind: RelationKind, name: &str, command: &AlterTableCmd) -> Outcome<()> {
        use AlterTableType as T;
        match subtype(command) {
            T::AtChangeOwner
            | T::AtSetRelOptions
            | T::AtResetRelOptions
            | T::AtReplaceRelOptions
            | T::AtSetTableSpace
            | T::AtSetStatistics
            | T::AtClusterOn
            | T::AtSetStorage
            | T::AtSetOptions
            | T::AtResetOptions => Ok(()),
            T::AtColumnDefault if kind == RelationKind::View => Ok(()),
            _ if kind == RelationKind::View || kind == RelationKind::MaterializedView => {
                let message = format!("ALTER action {} cannot be performed on relation \"{name}\"", words(command));
                Err(Problem::rejected("42809", message)
                    .detail(format!("This operation is not supported for {}s.", kind.as_str())))
            }
            _ => Err(Problem::unsupported(format!("{} of {} {}", words(command), kind.as_str(), name))),
        }
    }

    /// Carries out one part; returns constraints for later passes.
    fn alter_part(&mut self, table: Oid, part: &Part<'_>) -> Outcome<Vec<protobuf::Constraint>> {
        let command = match part {
            Part::Constraint(constraint) => return self.add_constraint(table, constraint).map(|()| vec![]),
            Part::Command(command) => *command,
        };
        use AlterTableType as T;
        let name = &command.name;
        match subtype(command) {
            T::AtAddColumn => return self.add_column(table, command),
            T::AtDropColumn => self.drop_column(table, command)?,
            T::AtColumnDefault => self.set_default(table, command)?,
            T::AtSetNotNull => {
                let attnum = self.attnum(table, name)?;
                self.set_not_null(table, &[attnum]);
            }
            T::AtDropNotNull => self.drop_not_null(table, name)?,
            T::AtAlterColumnType => self.alter_type(table, command)?,
            T::AtAddConstraint => {
                if let Some(NodeEnum::Constraint(constraint)) =
                    command.def.as_deref().and_then(|node| node.node.as_ref())
                {
                    self.add_constraint(table, constraint)?;
                }
            }
            T::AtValidateConstraint => self.validate_constraint(table, name)?,
            T::AtAlterConstraint => match command.def.as_deref().and_then(|node| node.node.as_ref()) {
                Some(NodeEnum::Constraint(altered)) => self.alter_constraint(table, altered)?,
                Some(NodeEnum::AtalterConstraint(altered)) => {
                    let altered = protobuf::Constraint {
                        conname: altered.conname.clone(),
                        deferrable: altered.deferrable,
                        initdeferred: altered.initdeferred,
                        ..Default::default()
                    };
                    self.alter_constraint(table, &altered)?;
                }
                _ => return Err(Problem::unsupported("ALTER CONSTRAINT of this form")),
            },
            T::AtDropConstraint => {
                self.drop_constraint(table, name, command.missing_ok, is_cascade(command.behavior))?
            }
            T::AtDropExpression => self.drop_expression(table, command)?,
            T::AtAddIdentity => self.add_identity(table, command)?,
            T::AtSetIdentity => self.set_identity(table, command)?,
            T::AtDropIdentity => self.drop_identity(table, command)?,
            T::AtSetStatistics | T::AtSetOptions | T::AtResetOptions | T::AtSetStorage | T::AtSetCompression
                if !name.is_empty() =>
            {
                self.attnum(table, name)?;
            }
            T::AtEnableRowSecurity => {
                self.catalog.secured.insert(table);
            }
            T::AtDisableRowSecurity => {
                self.catalog.secured.remove(&table);
            }
            T::AtEnableTrig | T::AtEnableAlwaysTrig | T::AtDisableTrig => {
                let enabled = command.subtype() != T::AtDisableTrig;
                let found = self.catalog.triggers.iter_mut().find(|t| t.table == table && t.name == *name);
                if let Some(trigger) = found {
                    trigger.enabled = enabled;
                } else if !self.catalog.partial {
                    let relation = &self.catalog.tables[&table].name;
                    let message = format!("trigger \"{name}\" for table \"{relation}\" does not exist");
                    return Err(Problem::rejected("42704", message));
                }
            }
            T::AtEnableTrigAll | T::AtEnableTrigUser | T::AtDisableTrigAll | T::AtDisableTrigUser => {
                let enabled = matches!(command.subtype(), T::AtEnableTrigAll | T::AtEnableTrigUser);
                self.catalog.triggers.iter_mut().filter(|t| t.table == table).for_each(|t| t.enabled = enabled);
            }
            T::AtReplicaIdentity => self.expect_identity_index(table, command)?,
            // Everything else that got a pass is recorded: it leaves rows and names alone.
            _ => {}
        }
        Ok(vec![])
    }

    /// REPLICA IDENTITY USING INDEX names an index of the table.
    fn expect_identity_index(&self, table: Oid, command: &AlterTableCmd) -> Outcome<()> {
        let named = command.def.as_deref().and_then(|def| def.node.as_ref());
        let Some(NodeEnum::ReplicaIdentityStmt(identity)) = named.filter(|_| !self.catalog.partial) else {
            return Ok(());
        };
        if identity.name.is_empty() || self.catalog.indexes_of(table).any(|index| index.name == identity.name) {
            return Ok(());
        }
        let message =
            format!("index \"{}\" for table \"{}\" does not exist", identity.name, self.catalog.tables[&table].name);
        Err(Problem::rejected("42704", message))
    }

    pub(super) fn attnum(&self, table: Oid, name: &str) -> Outcome<AttNum> {
        self.catalog.expect_column(&self.catalog.tables[&table], name).map(|column| column.attnum)
    }

    fn add_column(&mut self, table: Oid, command: &AlterTableCmd) -> Outcome<Vec<protobuf::Constraint>> {
        let Some(NodeEnum::ColumnDef(definition)) = command.def.as_deref().and_then(|node| node.node.as_ref()) else {
            return Err(Problem::unsupported("ADD COLUMN without a definition"));
        };
        let owner = &self.catalog.tables[&table];
        let (schema, owner_name) = (owner.schema.clone(), owner.name.clone());
        if owner.column(&definition.colname).is_some() {
            let message = format!("column \"{}\" of relation \"{owner_name}\" already exists", definition.colname);
            if command.missing_ok {
                self.note(format!("{message}, skipping"));
                return Ok(vec![]);
            }
            return Err(Problem::rejected("42701", message));
        }
        let mut draft = self.draft_column(definition, &owner_name)?;
        let sequence = self.create_column_sequence(&schema, &owner_name, &mut draft)?;
        let not_null = draft.column.not_null;
        let owner = self.catalog.tables.get_mut(&table).expect("the table was read above");
        owner.last_attnum += 1;
        let attnum = owner.last_attnum;
        draft.column.attnum = attnum;
        owner.columns.push(draft.column);
        if let Some(sequence) = sequence.and_then(|oid| self.catalog.sequences.get_mut(&oid)) {
            sequence.owner = Some((table, attnum));
        }
        self.effects.push(Effect::AddColumn(table, attnum));
        if not_null {
            self.effects.push(Effect::VerifyNotNull(table, attnum));
        }
        Ok(draft.constraints)
    }

    fn drop_column(&mut self, table: Oid, command: &AlterTableCmd) -> Outcome<()> {
        let attnum = match self.attnum(table, &command.name) {
            Ok(attnum) => attnum,
            Err(_) if command.missing_ok => {
                let owner = &self.catalog.tables[&table].name;
                self.note(format!("column \"{}\" of relation \"{owner}\" does not exist, skipping", command.name));
                return Ok(());
            }
            Err(problem) => return Err(problem),
        };
        self.remove(&[Object::Column(table, attnum)], is_cascade(command.behavior))
    }

    fn set_default(&mut self, table: Oid, command: &AlterTableCmd) -> Outcome<()> {
        let attnum = self.attnum(table, &command.name)?;
        let ty = self.catalog.tables[&table].by_attnum(attnum).map_or(Type::Unknown, |column| column.ty.clone());
        let default = default_expression(command.def.as_deref(), &ty, &self.catalog)?;
        let owner = self.catalog.tables.get_mut(&table).expect("its column was found");
        let relation = owner.name.clone();
        let column = owner.column_mut(attnum).expect("it was found by name");
        let (kind, hint) = if column.identity.is_some() {
            ("an identity column", "Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead.")
        } else if column.generated.is_some() {
            ("a generated column", "Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead.")
        } else {
            let first = std::mem::replace(&mut column.default, default);
            let added =
                self.effects.iter_mut().find(|e| matches!(e, Effect::AddColumn(t, c) if (*t, *c) == (table, attnum)));
            if let Some(added) = added {
                *added = Effect::AddColumnFilled(table, attnum, first);
            }
            return Ok(());
        };
        let message = format!("column \"{}\" of relation \"{relation}\" is {kind}", command.name);
        let problem = Problem::rejected("42601", message);
        Err(if command.def.is_none() { problem.hint(hint) } else { problem })
    }

    fn drop_not_null(&mut self, table: Oid, name: &str) -> Outcome<()> {
        let attnum = self.attnum(table, name)?;
        let key = self.catalog.primary_key(table).and_then(|index| index.key_columns()).unwrap_or_default();
        let owner = self.catalog.tables.get_mut(&table).expect("its column was found");
        let relation = owner.name.clone();
        let column = owner.column_mut(attnum).expect("it was found by name");
        if column.identity.is_some() {
            let message = format!("column \"{name}\" of relation \"{relation}\" is an identity column");
            return Err(Problem::rejected("42601", message));
        }
        if key.contains(&attnum) {
            return Err(Problem::rejected("42P16", format!("column \"{name}\" is in a primary key")));
        }
        column.not_null = false;
        Ok(())
    }

    fn drop_expression(&mut self, table: Oid, command: &AlterTableCmd) -> Outcome<()> {
        let attnum = self.attnum(table, &command.name)?;
        let owner = self.catalog.tables.get_mut(&table).expect("its column was found");
        let relation = owner.name.clone();
        let column = owner.column_mut(attnum).expect("it was found by name");
        if column.generated.take().is_some() {
            return Ok(());
        }
        let message =
            format!("column \"{}\" of relation \"{relation}\" is not a stored generated column", command.name);
        if command.missing_ok {
            self.note(format!("{message}, skipping"));
            return Ok(());
        }
        Err(Problem::rejected("55000", message))
    }

    fn add_identity(&mut self, table: Oid, command: &AlterTableCmd) -> Outcome<()> {
        let Some(NodeEnum::Constraint(given)) = command.def.as_deref().and_then(|node| node.node.as_ref()) else {
            return Err(Problem::unsupported("ADD GENERATED of this form"));
        };
        let attnum = self.attnum(table, &command.name)?;
        let owner = &self.catalog.tables[&table];
        let (schema, relation) = (owner.schema.clone(), owner.name.clone());
        let column = owner.by_attnum(attnum).expect("it was found by name");
        expect_identity_type(&column.ty)?;
        let ty = column.ty.clone();
        let state = if !column.not_null {
            "must be declared NOT NULL before identity can be added"
        } else if column.identity.is_some() {
            "is already an identity column"
        } else if column.default.is_some() {
            "already has a default value"
        } else {
            let name = match self.sequence_named(&given.options, &schema)? {
                Some(name) => name,
                None => self.catalog.choose_relation_name(&schema, &relation, Some(&command.name), "seq", false),
            };
            let oid = self.catalog.new_oid();
            let numbers = crate::catalog::Numbers::of_type(&ty);
            let numbers = Some(super::sequences::read_options(&given.options, numbers, &ty, true)?);
            let sequence = crate::catalog::Sequence {
                oid,
                schema,
                name,
                owner: Some((table, attnum)),
                numbers,
                replaced: Vec::new(),
            };
            self.catalog.sequences.insert(oid, sequence);
            let owner = self.catalog.tables.get_mut(&table).expect("its column was found");
            let column = owner.column_mut(attnum).expect("it was found by name");
            column.identity = Some(identity(&given.generated_when));
            return Ok(());
        };
        Err(Problem::rejected("55000", format!("column \"{}\" of relation \"{relation}\" {state}", command.name)))
    }

    fn set_identity(&mut self, table: Oid, command: &AlterTableCmd) -> Outcome<()> {
        let attnum = self.attnum(table, &command.name)?;
        let owner = self.catalog.tables.get_mut(&table).expect("its column was found");
        let relation = owner.name.clone();
        let column = owner.column_mut(attnum).expect("it was found by name");
        if column.identity.is_none() {
            let message = format!("column \"{}\" of relation \"{relation}\" is not an identity column", command.name);
            return Err(Problem::rejected("55000", message));
        }
        let Some(NodeEnum::List(options)) = command.def.as_deref().and_then(|node| node.node.as_ref()) else {
            return Ok(());
        };
        let owned = self.catalog.sequences.values().find(|s| s.owner == Some((table, attnum))).map(|s| s.oid);
        if let Some(sequence) = owned {
            self.set_options(sequence, &options.items)?;
        }
        let owner = self.catalog.tables.get_mut(&table).expect("its column was found");
        let column = owner.column_mut(attnum).expect("it was found by name");
        for option in &options.items {
            let Some(NodeEnum::DefElem(option)) = &option.node else { continue };
            // The letter comes as a number: its character code.
            if option.defname == "generated"
                && let Some(NodeEnum::Integer(letter)) = option.arg.as_deref().and_then(|node| node.node.as_ref())
            {
                column.identity = Some(identity(if letter.ival == i32::from(b'a') { "a" } else { "d" }));
            }
        }
        Ok(())
    }

    fn drop_identity(&mut self, table: Oid, command: &AlterTableCmd) -> Outcome<()> {
        let attnum = self.attnum(table, &command.name)?;
        let owner = self.catalog.tables.get_mut(&table).expect("its column was found");
        let relation = owner.name.clone();
        let column = owner.column_mut(attnum).expect("it was found by name");
        if column.identity.take().is_some() {
            self.catalog.sequences.retain(|_, sequence| sequence.owner != Some((table, attnum)));
            return Ok(());
        }
        let message = format!("column \"{}\" of relation \"{relation}\" is not an identity column", command.name);
        if command.missing_ok {
            self.note(format!("{message}, skipping"));
            return Ok(());
        }
        Err(Problem::rejected("55000", message))
    }
}

fn subtype(command: &AlterTableCmd) -> AlterTableType {
    AlterTableType::try_from(command.subtype).unwrap_or(AlterTableType::Undefined)
}

/// `ADD COLUMN`, out of the parser's `AT_AddColumn`.
fn words(command: &AlterTableCmd) -> String {
    use AlterTableType as T;
    let words = match subtype(command) {
        T::AtColumnDefault if command.def.is_none() => "ALTER COLUMN ... DROP DEFAULT",
        T::AtColumnDefault => "ALTER COLUMN ... SET DEFAULT",
        T::AtSetNotNull => "ALTER COLUMN ... SET NOT NULL",
        T::AtDropNotNull => "ALTER COLUMN ... DROP NOT NULL",
        T::AtAlterColumnType => "ALTER COLUMN ... SET DATA TYPE",
        other => {
            let mut words = String::new();
            for letter in other.as_str_name().trim_start_matches("AT_").chars() {
                if letter.is_ascii_uppercase() && !words.is_empty() {
                    words.push(' ');
                }
                words.push(letter.to_ascii_uppercase());
            }
            return words;
        }
    };
    words.to_owned()
}

fn pass(command: &AlterTableCmd) -> Outcome<Pass> {
    use AlterTableType as T;
    Ok(match subtype(command) {
        T::AtDropColumn | T::AtDropConstraint | T::AtDropNotNull | T::AtDropExpression | T::AtDropIdentity => {
            Pass::Drop
        }
        T::AtColumnDefault if command.def.is_none() => Pass::Drop,
        T::AtColumnDefault | T::AtAddIdentity => Pass::AddOtherConstraint,
        T::AtAlterColumnType => Pass::AlterType,
        T::AtAddColumn => Pass::AddColumn,
        T::AtSetNotNull => Pass::ColumnAttributes,
        T::AtAddConstraint => match command.def.as_deref().and_then(|node| node.node.as_ref()) {
            Some(NodeEnum::Constraint(constraint)) => constraint_pass(constraint),
            _ => return Err(Problem::unsupported("ADD CONSTRAINT of this form")),
        },
        T::AtSetIdentity
        | T::AtValidateConstraint
        | T::AtAlterConstraint
        | T::AtSetStatistics
        | T::AtSetOptions
        | T::AtResetOptions
        | T::AtSetStorage
        | T::AtSetCompression
        | T::AtChangeOwner
        | T::AtClusterOn
        | T::AtDropCluster
        | T::AtSetLogged
        | T::AtSetUnLogged
        | T::AtSetTableSpace
        | T::AtSetRelOptions
        | T::AtResetRelOptions
        | T::AtReplaceRelOptions
        | T::AtEnableTrig
        | T::AtEnableAlwaysTrig
        | T::AtEnableReplicaTrig
        | T::AtDisableTrig
        | T::AtEnableTrigAll
        | T::AtDisableTrigAll
        | T::AtEnableTrigUser
        | T::AtDisableTrigUser
        | T::AtReplicaIdentity
        | T::AtEnableRowSecurity
        | T::AtDisableRowSecurity
        | T::AtForceRowSecurity
        | T::AtNoForceRowSecurity => Pass::Rest,
        _ => return Err(Problem::unsupported(format!("ALTER TABLE … {}", words(command)))),
    })
}

fn constraint_pass(constraint: &protobuf::Constraint) -> Pass {
    match ConstrType::try_from(constraint.contype) {
        Ok(ConstrType::ConstrPrimary | ConstrType::ConstrUnique) if !constraint.indexname.is_empty() => {
            Pass::AddIndexConstraint
        }
        Ok(ConstrType::ConstrPrimary | ConstrType::ConstrUnique | ConstrType::ConstrExclusion) => Pass::AddIndex,
        _ => Pass::AddOtherConstraint,
    }
}
