//! Which values of a growing array are NULL.
//!
//! Input: one word for each value. Output: Arrow's bitmap, or none where nothing is NULL. Invariant: runs are written as runs,
//! because a log's columns are NULL for long stretches, or hardly ever.

use arrow::array::NullBufferBuilder;
use arrow::buffer::NullBuffer;

/// The bitmap so far.
pub struct Nulls {
    builder: NullBufferBuilder,
    /// The last values, which are all NULL or all not.
    run: usize,
    run_is_null: bool,
}

impl Default for Nulls {
    fn default() -> Nulls {
        Nulls { builder: NullBufferBuilder::new(0), run: 0, run_is_null: false }
    }
}

impl Nulls {
    /// Appends a value.
    #[inline]
    pub fn append(&mut self, is_null: bool) {
        if is_null != self.run_is_null {
            self.end_run();
            self.run_is_null = is_null;
        }
        self.run += 1;
    }

    /// The bitmap; what follows begins a new one.
    pub fn finish(&mut self) -> Option<NullBuffer> {
        self.end_run();
        self.builder.finish()
    }

    fn end_run(&mut self) {
        match std::mem::take(&mut self.run) {
            0 => {}
            run if self.run_is_null => self.builder.append_n_nulls(run),
            run => self.builder.append_n_non_nulls(run),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[bool]) {
        let mut nulls = Nulls::default();
        for _ in 0..2 {
            values.iter().for_each(|is_null| nulls.append(*is_null));
            let found = nulls.finish();
            let found = (0..values.len()).map(|place| found.as_ref().is_some_and(|found| found.is_null(place)));
            assert_eq!(found.collect::<Vec<_>>(), values);
        }
    }

    #[test]
    fn runs_keep_their_places() {
        check(&[]);
        check(&[false; 3]);
        check(&[true; 3]);
        check(&[true, false, false, true, true, false]);
    }
}
