//! `OVERLAPS`: two stretches of time, each by its ends or by its beginning and its length.
//!
//! Input: four arguments in the types of the signature that was chosen. Output: a truth value; NULL where what is missing decides.

use crate::catalog::{Outcome, Type};
use crate::translate::reader::Reader;
use crate::translate::typed::Typed;

impl Reader<'_> {
    pub(super) fn overlaps(&mut self, args: Vec<Typed>) -> Outcome<Typed> {
        let mut ends = Vec::new();
        for pair in args.chunks(2) {
            let [begin, end] = pair else { return Err(self.no_function("overlaps", &args)) };
            let end = match end.ty {
                Type::Interval => self.operator("+", begin.clone(), end.clone())?,
                _ => end.clone(),
            };
            ends.extend([begin.clone(), end]);
        }
        let known = |ty: &Type| matches!(ty, Type::Time(_) | Type::Timestamp(_) | Type::Timestamptz(_));
        if !ends.iter().all(|end| known(&end.ty)) {
            return Err(self.no_function("overlaps", &args));
        }
        let ends: Vec<String> = ends.iter().map(|end| format!("[CAST({} AS VARCHAR)]", end.sql)).collect();
        Ok(Typed::new(format!("pg_overlaps({})", ends.join(", ")), Type::Bool))
    }
}
