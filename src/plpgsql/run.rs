//! Running a body.
