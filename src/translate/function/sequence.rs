//! Sequences in expressions: `nextval`, `currval`, `lastval`, `pg_get_serial_sequence`.
//!
//! Invariant: a number is the one the server would give, or the expression is refused. What sets a sequence, or takes from it more
//! than once a row, needs an order of evaluation that a query hasn't got: the session carries that out. Left out: `setval`.

use super::super::reader::Reader;
use super::super::typed::Typed;
use super::super::{NUMBERS_OF_SEQUENCE, Taken};
use crate::catalog::definition::qualified;
use crate::catalog::{Outcome, Problem, Sequence, Type};

impl<'a> Reader<'a> {
    pub(super) fn sequence_function(&mut self, name: &str, args: &[Typed]) -> Outcome<Typed> {
        match (name, args) {
            ("nextval", [sequence]) => self.nextval(sequence),
            ("currval", [sequence]) => {
                let sequence = self.named_sequence(sequence)?;
                let Some(numbers) = sequence.numbers else { return Err(unknown_state(sequence)) };
                if self.remarks.numbers.contains_key(&sequence.oid) {
                    return Err(Problem::unsupported("currval() beside nextval() of the same sequence"));
                }
                let current = numbers.current.ok_or_else(|| {
                    let message =
                        format!("currval of sequence \"{}\" is not yet defined in this session", sequence.name);
                    Problem::rejected("55000", message)
                })?;
                Ok(Typed::new(format!("CAST({current} AS BIGINT)"), Type::Int8))
            }
            ("lastval", []) => {
                let last = self.catalog().last_sequence.and_then(|oid| self.catalog().sequences.get(&oid));
                let Some(sequence) = last else {
                    return Err(Problem::rejected("55000", "lastval is not yet defined in this session"));
                };
                let current = sequence.numbers.and_then(|numbers| numbers.current);
                let current = current.ok_or_else(|| unknown_state(sequence))?;
                Ok(Typed::new(format!("CAST({current} AS BIGINT)"), Type::Int8))
            }
            ("pg_get_serial_sequence", [table, column]) => self.serial_sequence(table, column),
            _ => Err(Problem::unsupported(format!("the function {name}()"))),
        }
    }

    fn nextval(&mut self, sequence: &Typed) -> Outcome<Typed> {
        let sequence = self.named_sequence(sequence)?;
        self.volatile(NUMBERS_OF_SEQUENCE);
        let Some(numbers) = sequence.numbers else { return Err(unknown_state(sequence)) };
        if self.remarks.numbers.insert(sequence.oid, Taken::EachRow).is_some() {
            return Err(Problem::unsupported(format!(
                "taking from the sequence {} at two places of one statement",
                sequence.name
            )));
        }
        let (next, step) = (numbers.next, numbers.step);
        Ok(Typed::new(format!("({next} + {step} * (row_number() OVER () - 1))"), Type::Int8))
    }

    fn named_sequence(&self, argument: &Typed) -> Outcome<&'a Sequence> {
        let Some(text) = argument.text() else {
            return Err(Problem::unsupported("a sequence whose name is computed"));
        };
        self.catalog().expect_sequence(text)
    }

    /// The sequence that a column owns, as text that `nextval` reads.
    fn serial_sequence(&self, table: &Typed, column: &Typed) -> Outcome<Typed> {
        let (Some(table), Some(column)) = (table.text(), column.text()) else {
            return Err(Problem::unsupported("pg_get_serial_sequence() of a computed name"));
        };
        let catalog = self.catalog();
        let found = catalog.table_by_text(table)?;
        let column = catalog.expect_column(found, column)?;
        let owner = Some((found.oid, column.attnum));
        let sequence = catalog.sequences.values().find(|sequence| sequence.owner == owner);
        Ok(match sequence {
            // The schema always stands before the name here.
            Some(sequence) if sequence.schema == "public" => {
                text(&format!("public.{}", qualified("public", &sequence.name)))
            }
            Some(sequence) => text(&qualified(&sequence.schema, &sequence.name)),
            None => Typed::null(),
        })
    }
}

fn text(value: &str) -> Typed {
    Typed { ty: Type::Text, ..Typed::string(value) }
}

fn unknown_state(sequence: &Sequence) -> Problem {
    Problem::unsupported(format!("the sequence {}, whose state the snapshot doesn't hold,", sequence.name))
}
