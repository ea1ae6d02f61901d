//! Sequences: where one stands, and which number it gives next.
//!
//! Input: numbers taken, set and restarted. Output: the server's numbers, or its refusal at a limit. Invariants: the rules are those
//! of `nextval_internal` and `do_setval` (src/backend/commands/sequence.c); nothing that is rolled back gives a number back.
//! Left out: numbers that a session keeps in its cache and loses at its end.

use super::{Outcome, Problem, Type};

/// Where a sequence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// The number it gives next; beyond a limit where it is used up.
    pub next: i64,
    /// The number it begins with.
    pub start: i64,
    /// From one number to the next.
    pub step: i64,
    /// The least number.
    pub min: i64,
    /// The greatest number.
    pub max: i64,
    /// It begins anew at a limit.
    pub cycle: bool,
    /// Numbers a session takes at once.
    pub cache: i64,
    /// What `currval` gives in this session.
    pub current: Option<i64>,
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers { next: 1, start: 1, step: 1, min: 1, max: i64::MAX, cycle: false, cache: 1, current: None }
    }
}

impl Numbers {
    /// The sequence of a serial or identity column of this type.
    pub fn of_type(ty: &Type) -> Numbers {
        Numbers { max: bounds(ty).1, ..Numbers::default() }
    }

    /// Takes a number.
    ///
    /// # Errors
    /// 2200H at a limit.
    pub fn take(&mut self, name: &str) -> Outcome<i64> {
        let mut value = self.next;
        if !(self.min..=self.max).contains(&value) {
            if !self.cycle {
                return Err(self.used_up(name));
            }
            value = if self.step > 0 { self.min } else { self.max };
        }
        self.next = value.saturating_add(self.step);
        // At the end of its type's range there is nothing beyond a limit that could be written down.
        if self.next == value {
            return Err(Problem::unsupported(format!("the sequence {name} at the end of its numbers")));
        }
        self.current = Some(value);
        Ok(value)
    }

    /// Takes numbers for as many rows, which have got them already: one after the other, without a limit.
    ///
    /// # Errors
    /// 2200H at a limit; unsupported, where the sequence begins anew on the way.
    pub fn take_many(&mut self, name: &str, rows: u64) -> Outcome<()> {
        if rows == 0 {
            return Ok(());
        }
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let last = self.step.checked_mul(rows - 1).and_then(|way| self.next.checked_add(way));
        let Some(last) =
            last.filter(|last| (self.min..=self.max).contains(last) && (self.min..=self.max).contains(&self.next))
        else {
            if self.cycle {
                return Err(Problem::unsupported(format!(
                    "the sequence {name}, which begins anew within a statement,"
                )));
            }
            return Err(self.used_up(name));
        };
        self.next = last.saturating_add(self.step);
        self.current = Some(last);
        Ok(())
    }

    fn used_up(&self, name: &str) -> Problem {
        let (limit, value) = if self.step > 0 { ("maximum", self.max) } else { ("minimum", self.min) };
        Problem::rejected("2200H", format!("nextval: reached {limit} value of sequence \"{name}\" ({value})"))
    }

    /// Sets it, as `setval` does.
    ///
    /// # Errors
    /// 22003, where the value is out of bounds.
    pub fn set(&mut self, name: &str, value: i64, called: bool) -> Outcome<()> {
        if !(self.min..=self.max).contains(&value) {
            let message =
                format!("setval: value {value} is out of bounds for sequence \"{name}\" ({}..{})", self.min, self.max);
            return Err(Problem::rejected("22003", message));
        }
        if called {
            self.next = value.saturating_add(self.step);
            self.current = Some(value);
        } else {
            self.next = value;
        }
        Ok(())
    }

    /// Begins anew.
    pub fn restart(&mut self) {
        self.next = self.start;
    }
}

/// The least and the greatest number of a type.
pub fn bounds(ty: &Type) -> (i64, i64) {
    match ty {
        Type::Int2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        Type::Int4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_as_the_server_gives_them() {
        let mut numbers = Numbers { next: 10, start: 10, step: 5, min: 10, max: 20, cycle: true, ..Numbers::default() };
        let taken: Vec<i64> = (0..4).map(|_| numbers.take("s").expect("a number")).collect();
        assert_eq!(taken, [10, 15, 20, 10]);
        numbers.set("s", 20, true).expect("within bounds");
        numbers.cycle = false;
        let check =
            |outcome: Outcome<i64>, expected: &str| assert_eq!(outcome.expect_err(expected).to_string(), expected);
        check(numbers.take("s"), "nextval: reached maximum value of sequence \"s\" (20) (2200H)");
        check(
            numbers.set("s", 21, true).map(|()| 0),
            "setval: value 21 is out of bounds for sequence \"s\" (10..20) (22003)",
        );
        numbers.restart();
        numbers.take_many("s", 3).expect("three numbers");
        assert_eq!((numbers.current, numbers.take_many("s", 1).is_err()), (Some(20), true));
    }
}
